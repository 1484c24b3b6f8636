"""service.yaml, app.yaml and the environment: what is read, and every problem at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.errors import SettingsError
from playground.settings import (
    Resources,
    RunningSettings,
    ServiceSettings,
    docs_table,
    load_running,
    load_service,
    read_number,
)

README_BLOCKS = """\
image: eu.gcr.io/theplayground_repo/my_service:latest
ZOOM_LEVEL: 16 # Your required zoom level
PADDING: 24 # Your required padding around the tile
PREDICTOR_CLASS: ShipDetector
PREDICTOR_PACKAGE: ship_detection.predictor
resources:
  cpu: 4
  memory_gb: 3.2
  disk_size_gb: 10
workers = 2
backlog = 6
timeout = 60
"""
"""The blocks of the documentation pasted one under the other, the Python one included."""

LEAST = "ZOOM_LEVEL: 16\nPREDICTOR_CLASS: A\nPREDICTOR_PACKAGE: a\n"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Read this text as service.yaml."""
    monkeypatch.chdir(tmp_path)

    def read(text: str | bytes) -> ServiceSettings:
        Path("service.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_service(Path("service.yaml"))

    return read


def problems_of(read, text: str | bytes) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(text)
    return list(caught.value.problems)


def test_documented_blocks(service):
    assert service(README_BLOCKS) == ServiceSettings(
        image="eu.gcr.io/theplayground_repo/my_service:latest",
        name="my-service",
        zoom_level=16,
        padding=24,
        predictor_class="ShipDetector",
        predictor_package="ship_detection.predictor",
        resources=Resources(cpu=4, memory_gb=Decimal("3.2"), disk_size_gb=10),
        workers=2,
        backlog=6,
        timeout=60,
    )


def test_documented_defaults(service):
    read = service(LEAST)
    assert (read.padding, read.workers, read.backlog, read.timeout) == (0, 2, 6, 60)
    assert read.resources == Resources(cpu=4, memory_gb=Decimal("3.2"), disk_size_gb=10)
    assert (read.image, read.name, read.tiles, read.fill, read.predictor_isolation) == (
        None,
        "a",
        None,
        "reflect",
        "process",
    )


def test_every_problem_at_once_in_the_order_of_the_file(service):
    text = """\
image: "Not An Image"
PADDING: 300
ZOOM: 16
ZOOM_LEVEL: "16"
PREDICTOR_CLASS: class
PREDICTOR_PACKAGE: ship-detection
PROJECT_NAME: mine
workers: true
workers: 3
resources: {cpu: many, memory: 3}
FILL:
"""
    assert problems_of(service, text) == [
        'service.yaml:1: image: found "Not An Image", allowed: the reference of a Docker image, '
        "like eu.gcr.io/project/my_service:latest",
        "service.yaml:2: PADDING: found 300, allowed: a whole number from 0 to 256 (pixels)",
        "service.yaml:3: ZOOM: unknown key; did you mean ZOOM_LEVEL?",
        'service.yaml:4: ZOOM_LEVEL: found "16", allowed: a whole number from 0 to 30; remove the quotes',
        "service.yaml:5: PREDICTOR_CLASS: found class, allowed: the name of a Python class, like ShipDetector",
        "service.yaml:6: PREDICTOR_PACKAGE: found ship-detection, allowed: a name that Python can import, "
        "like ship_detection.predictor",
        "service.yaml:7: PROJECT_NAME: is not in the partner's file; the team gives it with --project",
        "service.yaml:8: workers: found true, allowed: a whole number from 1 to 64",
        "service.yaml:9: workers: given twice, first in line 8",
        "service.yaml:10: resources.cpu: found many, allowed: a whole number from 1 to 80 (cores)",
        "service.yaml:10: resources.memory: unknown key; did you mean resources.memory_gb?",
        "service.yaml:11: FILL: found nothing, allowed: one of reflect, edge, nodata",
    ]


def test_missing_keys(service):
    assert problems_of(service, "PADDING: 2") == [
        "service.yaml: PREDICTOR_PACKAGE: missing, needed: a name that Python can import, "
        "like ship_detection.predictor",
        "service.yaml: PREDICTOR_CLASS: missing, needed: the name of a Python class, like ShipDetector",
        "service.yaml: ZOOM_LEVEL: missing, needed: a whole number from 0 to 30",
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("PADDING: 24.0", "24.0"),
        ("PADDING: 016", "016"),
        ("timeout: 1:00", "1:00"),
        ("PADDING: 0x10", "0x10"),
        ("PADDING: 1_0", "1_0"),
        ("PADDING: -1", "-1"),
        ("PADDING: yes", "yes"),
        ("PADDING: [1]", "a list"),
        ("PADDING: {a: 1}", "a mapping"),
        ("PADDING: 99999999999999999999", "99999999999999999999"),
        ("PREDICTOR_PYTHON: ''", '""'),
        ("resources: {memory_gb: .nan}", ".nan"),
        ("resources: {memory_gb: 1e3}", "1e3"),
        ("resources: {memory_gb: 0}", "0"),
        ("resources: {disk_size_gb: 9}", "9"),
        ("resources: {disk_size_gb: 10.5}", "10.5"),
        ("resources: 4", "4"),
        ("workers: 0", "0"),
        ("backlog: 2049", "2049"),
        ("PREDICTOR_ISOLATION: thread", "thread"),
        ("name: My_Service", "My_Service"),
        ("name: service-", "service-"),
        ("image: a:b:c", "a:b:c"),
        ("image: eu.gcr.io/p/service@sha256:123", "eu.gcr.io/p/service@sha256:123"),
        ('TILES: "two\\nlines"', '"two\nlines"'),
    ],
)
def test_what_is_not_allowed(service, line: str, found: str):
    (problem,) = problems_of(service, LEAST + line)
    assert problem.startswith("service.yaml:4: ")
    assert f": found {found}, allowed: " in problem


def test_a_number_where_text_belongs(service):
    (problem,) = problems_of(service, LEAST + "name: 2020")
    assert problem.endswith("no hyphen at either end; put it in quotes")
    assert service(LEAST + "name: '2020'").name == "2020"


@pytest.mark.parametrize(
    ("key", "suggested"),
    [("zoom_level", "ZOOM_LEVEL"), ("PREDICTOR_CLAS", "PREDICTOR_CLASS"), ("memory_gb", "resources.memory_gb")],
)
def test_unknown_key_suggests_the_nearest(service, key: str, suggested: str):
    assert problems_of(service, f"{LEAST}{key}: 1") == [
        f"service.yaml:4: {key}: unknown key; did you mean {suggested}?"
    ]


def test_unknown_key_without_a_near_one_lists_all(service):
    (problem,) = problems_of(service, LEAST + "qqqq: 1")
    assert "unknown key, allowed: PREDICTOR_PACKAGE, PREDICTOR_CLASS, ZOOM_LEVEL" in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "service.yaml: the file is empty"),
        ("# nothing\n", "service.yaml: the file is empty"),
        ("- a\n", "service.yaml:1: found a list or a text"),
        ("just words", "service.yaml:1: found a list or a text"),
        ("ZOOM_LEVEL: 16\n\tPADDING: 2", "service.yaml:2: is not YAML at column 1: found a tab, allowed: spaces"),
        ("ZOOM_LEVEL: 16\nPADDING: a: b", "service.yaml:2: is not YAML at column 11: mapping values are not allowed"),
        ("ZOOM_LEVEL: 16\nPADDING 2\n", "service.yaml:3: is not YAML at column 1: could not find expected ':'"),
        ("ZOOM_LEVEL: 16\n---\nPADDING: 2\n", "service.yaml:2: found a second document"),
        ("TILES: 'a", "service.yaml:1: is not YAML at column 10: found unexpected end of stream"),
        ("PADDING: *a", "service.yaml:1: is not YAML at column 10: found undefined alias"),
        ("PADDING: \x00", "service.yaml: is not YAML: "),
        (b"TILES: \xff\n", "service.yaml: is not UTF-8 text"),
        ("[" * 5000, "service.yaml: nested too deeply"),
    ],
)
def test_files_that_cannot_be_read(service, text: str | bytes, words: str):
    (problem,) = problems_of(service, text)
    assert problem.startswith(words)


def test_no_file(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"absent.yaml: no such file"):
        load_service(tmp_path / "absent.yaml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_service(tmp_path)


def test_anchors_and_a_byte_order_mark(service):
    assert service("\ufeff" + LEAST + "workers: &n 3\nbacklog: *n\n").backlog == 3
    assert "name: found a mapping" in problems_of(service, LEAST + "name: &a {b: *a}\n")[0]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("eu.gcr.io/p/Water".lower(), "water"),
        ("localhost:5000/my_service:v1.2", "my-service"),
        ("europe-west1-docker.pkg.dev/p/r/a__b@sha256:" + "0" * 64, "a-b"),
        ("ubuntu", "ubuntu"),
        ("p/" + "x" * 70, "x" * 63),
    ],
)
def test_name_from_the_image(service, image: str, name: str):
    assert service(f"{LEAST}image: {image}").name == name


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Read this text as app.yaml."""
    monkeypatch.chdir(tmp_path)

    def read(text: str, **environ: str) -> RunningSettings:
        Path("app.yaml").write_text(text)
        return load_running(Path("app.yaml"), environ)

    return read


def test_app_yaml_as_documented(running):
    read = running(
        "runtime: custom\nresources: {cpu: 3}\nZOOM_LEVEL: 16\n"
        "PREDICTOR_CLASS: Ships\nPREDICTOR_PACKAGE: ships\nPROJECT_NAME: mine\n"
    )
    assert read == RunningSettings(
        predictor_class="Ships", predictor_package="ships", zoom_level=16, name="ships", project_name="mine"
    )


def test_the_environment_wins_over_env_variables_over_flat_keys(running):
    text = LEAST + 'PADDING: 1\nservice: "water"\nenv_variables:\n  PADDING: "2"\n  ZOOM_LEVEL: "3"\n  TILES: ""\n'
    read = running(text, ZOOM_LEVEL="4", TIMEOUT="5", WORKERS="", FILL="edge")
    assert (read.padding, read.zoom_level, read.timeout, read.workers, read.fill) == (2, 4, 5, 2, "edge")
    assert (read.name, read.tiles) == ("water", None)


def test_the_environment_alone():
    environ = {"PREDICTOR_PACKAGE": "a.b", "PREDICTOR_CLASS": "C", "ZOOM_LEVEL": "0", "GAE_SERVICE": "default"}
    assert load_running(None, environ) == RunningSettings(
        predictor_package="a.b", predictor_class="C", zoom_level=0, name="default"
    )


def test_every_problem_of_the_running_service(running):
    text = "env_variables:\n  PADDING: '300'\n  FILL: [a]\ntimeout: 0\n"
    with pytest.raises(SettingsError) as caught:
        running(text, ZOOM_LEVEL="sixteen", PREDICTOR_CLASS="A")
    assert list(caught.value.problems) == [
        "PREDICTOR_PACKAGE: missing in app.yaml and the environment, needed: a name that Python can import, "
        "like ship_detection.predictor",
        "environment variable ZOOM_LEVEL: found sixteen, allowed: a whole number from 0 to 30",
        'app.yaml:2: env_variables.PADDING: found "300", allowed: a whole number from 0 to 256 (pixels)',
        "app.yaml:3: env_variables.FILL: found a list, allowed: one of reflect, edge, nodata",
        "app.yaml:4: timeout: found 0, allowed: a whole number from 1 to 3600 (seconds)",
    ]


def test_numbers_for_gunicorn():
    assert read_number("workers", {}, 2) == 2
    assert read_number("backlog", {"BACKLOG": "0"}, 6) == 0
    with pytest.raises(SettingsError, match=r"variable TIMEOUT: found 1\.5, allowed: a whole number from 1"):
        read_number("timeout", {"TIMEOUT": "1.5"}, 60)


@given(zoom=st.integers(0, 30), padding=st.integers(0, 256), cpu=st.sampled_from([1, 2, 4]), tiles=st.text(min_size=1))
def test_round_trip(tmp_path_factory, zoom: int, padding: int, cpu: int, tiles: str):
    path = tmp_path_factory.mktemp("round") / "service.yaml"
    quoted = tiles.replace("\\", "\\\\").replace('"', '\\"')
    if not (tiles.isprintable() and tiles.strip()):
        return
    path.write_text(
        f"ZOOM_LEVEL: {zoom}\nPADDING: {padding}\nPREDICTOR_CLASS: A\nPREDICTOR_PACKAGE: a\n"
        f'resources:\n    cpu: {cpu}\nTILES: "{quoted}"\n',
        "utf-8",
    )
    read = load_service(path)
    assert (read.zoom_level, read.padding, read.resources.cpu, read.tiles) == (zoom, padding, cpu, tiles)


def test_documentation_has_every_setting():
    rows = {row[0]: row for row in docs_table(ServiceSettings)}
    assert rows["PADDING"] == (
        "PADDING",
        "a whole number from 0 to 256 (pixels)",
        "0",
        "pixels of the neighbours added on each side",
    )
    assert rows["ZOOM_LEVEL"][2] == "required"
    assert rows["resources.memory_gb"][2] == "3.2"
    assert "PROJECT_NAME" in {row[0] for row in docs_table(RunningSettings)}

"""What `playground check` sees of a running service, and what it writes down."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from conftest import PREDICTORS

from playground.acceptance import CHECKS, OVER_HTTP, Bench, Expectations, run_checks
from playground.acceptance.masks import disagreement, mask_of
from playground.acceptance.model import Check, Finding, failed, passed
from playground.acceptance.recommend import next_machine, recommend
from playground.acceptance.report import as_junit
from playground.acceptance.scene import scene_of_image, side_of, synthetic_scene
from playground.acceptance.service import ServiceSubject
from playground.commands import main
from playground.errors import ImageError
from playground.wrap.appengine import HIGHEST, LOWEST, OVERHEAD_GB, is_machine
from playground.wrap.certificate import read_certificate

PADDING = 16
QUICK = Expectations(calls=10)


def check_url(url: str, padding: int = PADDING, **options) -> dict[str, Finding]:
    subject = ServiceSubject(url, {}, 10, options.pop("load_seconds", 30))
    try:
        bench = Bench(subject, [synthetic_scene(padding, 3)], padding, QUICK)
        return {each.name: each for each in run_checks(bench, **options)}
    finally:
        subject.close()


def test_a_good_service_passes(serve):
    service = serve("good:Contours", PADDING=str(PADDING))
    service.wait_loaded()
    findings = check_url(service.url)
    assert [f"{each.name}: {each.verdict.words}" for each in findings.values() if each.is_bad] == []
    outcomes = {name: each.verdict.outcome for name, each in findings.items()}
    for name in ("health", "errors", "concurrent", "axis-order", "padded-frame", "seams", "deterministic", "sizes"):
        assert outcomes[name] == "passed", findings[name].verdict
    for name in ("memory-growth", "tile-kept", "quiet", "any-order", "drains"):
        assert outcomes[name] == "skipped"
        assert findings[name].verdict.words


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("defects:SwapsAxes", "axis-order"),
        ("defects:CountsFromTheTile", "padded-frame"),
        ("defects:GivesBowTies", "valid-polygons"),
        ("defects:RaisesOnEmptyTiles", "plain-images"),
        ("defects:ReturnsAList", "returns"),
    ],
)
def test_defects_are_seen_over_http(serve, target: str, name: str):
    service = serve(target, PADDING=str(PADDING))
    service.wait_loaded()
    found = check_url(service.url, names=[name])[name]
    assert found.verdict.outcome == "failed", found.verdict.words


def test_a_service_that_cannot_load_says_why(serve):
    service = serve("defects:CannotLoad")
    service.wait_loaded()
    findings = check_url(service.url, names=["loads", "predicts"])
    assert "weights.h5 is not here" in findings["loads"].verdict.words
    assert findings["predicts"].verdict.outcome == "skipped"


def test_nobody_answers():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        findings = check_url(url, names=["loads"], load_seconds=0.2)
    assert "not ready" in findings["loads"].verdict.words


def run(*arguments: str, folder: Path = PREDICTORS) -> subprocess.CompletedProcess[str]:
    playground = str(Path(sys.executable).parent / "playground")
    return subprocess.run(
        [playground, "check", *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of the caller's own."""
    from PIL import Image

    path = tmp_path_factory.mktemp("scene") / "scene.png"
    Image.fromarray(synthetic_scene(PADDING, 5).pixels).save(path)
    return path


def test_the_command_explains_what_failed(tmp_path: Path, picture: Path):
    names = ("loads", "axis-order", "closed-rings", "latency")
    only = [word for name in names for word in ("--only", name)]
    told = run(
        *("defects:SwapsAxes", "--padding", str(PADDING), "--scene", str(picture), "--calls", "10", *only),
        *("--junit", str(tmp_path / "check.xml"), "--certificate", str(tmp_path / "check.json")),
    )
    assert told.returncode == 1, told.stderr
    assert "axis-order (must): coordinates are with x and y swapped" in told.stdout
    assert "why it matters:" in told.stdout
    assert "position[::-1]" in told.stdout
    assert "not fit for service" in told.stdout
    assert "memory_gb:" in told.stdout
    suite = ElementTree.parse(tmp_path / "check.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    certificate = read_certificate(tmp_path / "check.json")
    assert certificate.target == "defects:SwapsAxes"
    assert [each.name for each in certificate.failures] == ["axis-order"]
    assert certificate.figures["latency_p50"] > 0
    assert {"workers", "timeout", "cpu", "memory_gb"} == certificate.recommended.keys()


def test_the_command_prints_json(picture: Path):
    told = run("good:Contours", "--scene", str(picture), "--padding", str(PADDING), "--only", "loads", "--json")
    assert told.returncode == 0, told.stderr
    body = json.loads(told.stdout)
    assert body["passed"] is True
    assert body["checks"][0]["outcome"] == "passed"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["no_such_module:Detector", "--scene", "SCENE", "--only", "loads"], 1, "No module named"),
        (["good:Contours", "--scene", __file__, "--only", "loads"], 1, "not a readable image"),
        (["nowhere.yaml"], 2, "there is no nowhere.yaml"),
        (["good:Contours", "--only", "no-such-check"], 2, "no-such-check"),
        (["good:Contours", "--tiles", "x.mbtiles"], 2, "--tiles needs --zoom"),
        (["good:Contours", "--python", "/no/python", "--scene", "SCENE", "--only", "loads"], 1, "no Python at"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], status: int, words: str, picture: Path, monkeypatch):
    monkeypatch.chdir(PREDICTORS)
    arguments = [str(picture) if word == "SCENE" else word for word in arguments]
    told = CliRunner().invoke(main, ["check", *arguments])
    assert told.exit_code == status, told.output
    assert words in " ".join((told.output + told.stderr).split())
    assert "Traceback" not in told.output or "No module" in told.output


def test_scenes_of_the_callers_own_must_be_large_enough(picture: Path):
    assert min(scene_of_image("x", picture.read_bytes(), PADDING).pixels.shape[:2]) == side_of(PADDING)
    with pytest.raises(ImageError, match="544 x 544"):
        scene_of_image("x", picture.read_bytes(), PADDING + 1)


def test_checks_are_either_for_a_process_or_a_service():
    assert OVER_HTTP
    assert len(CHECKS) == 41


def test_junit_holds_only_what_xml_can(tmp_path: Path):
    one = Check("must", lambda bench: passed(), "what", "why", "mend")
    words = "escape \x1b[31m \x00 <tag> & \ud7ff"
    (suite,) = ElementTree.fromstring(as_junit([Finding("a", "b", one, failed(words))], "target"))
    assert suite[0][0].get("message") == "must: escape [31m  <tag> & \ud7ff"


@pytest.mark.parametrize("memory", [20, 400, 3000, 20000, 200000])
@pytest.mark.parametrize("cores", [0.3, 1.0, 3.7, 16])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_what_is_recommended_is_what_app_engine_takes(memory: int, cores: float, workers: int):
    advice = recommend({"latency_p95": 0.5, "memory_mb": memory, "cores": cores}, workers, 6)
    assert is_machine(advice["cpu"])
    assert LOWEST <= (Decimal(advice["memory_gb"]) + OVERHEAD_GB) / advice["cpu"] <= HIGHEST
    assert advice["timeout"] == 20
    if advice["cpu"] < 80:
        assert Decimal(advice["memory_gb"]) * 1024 >= workers * memory


def test_nothing_measured_nothing_recommended():
    assert recommend({}, 2, 6) == {}
    assert recommend({"latency_p95": 1000}, 2, 6) == {"timeout": 600}
    assert [next_machine(cpu) for cpu in (0, 1, 3, 32, 33, 81)] == [1, 1, 4, 32, 36, 80]


def test_masks_hold_holes_points_and_parts():
    square = [[2, 2], [2, 6], [6, 6], [6, 2]]
    features = [
        {"geometry": {"type": "MultiPolygon", "coordinates": [[square, [[3, 3], [5, 3], [5, 5], [3, 5]]]]}},
        {"geometry": {"type": "Point", "coordinates": [10, 10]}},
        {"geometry": {"type": "Polygon", "coordinates": [[[float("nan"), 0], ["x", 1]]]}},
        {"geometry": {"type": "LineString", "coordinates": [[0, 0], [9, 9]]}},
        {"geometry": None},
        "no feature",
    ]
    mask = mask_of(features, 12, 12)
    assert mask.sum() == 16 - 4 + 9
    assert not mask[3:5, 3:5].any()
    assert disagreement(mask, mask) == 0
    assert disagreement(mask, ~mask) > 0.3


def test_the_command_checks_a_service(serve, picture: Path):
    service = serve("good:Contours", PADDING=str(PADDING))
    service.wait_loaded()
    only = [word for name in ("loads", "health", "errors", "padded-frame") for word in ("--only", name)]
    told = run(service.url, "--scene", str(picture), "--header", "X-Correlation-ID: a", *only)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "4 passed, 0 failed, 0 skipped: fit for service" in told.stdout


def test_the_command_checks_a_build_context(tmp_path: Path, picture: Path):
    text = f"ZOOM_LEVEL: 5\nPADDING: {PADDING}\nPREDICTOR_CLASS: Boxes\nPREDICTOR_PACKAGE: good\nname: boxes\n"
    (tmp_path / "service.yaml").write_text(text + "image: boxes:v1\nPIXEL_CONVENTION: index\n")
    generated = CliRunner().invoke(main, ["generate", str(tmp_path / "service.yaml"), "-o", str(tmp_path / "context")])
    assert generated.exit_code == 0, generated.stderr
    only = [word for name in ("loads", "pixel-convention", "valid-polygons") for word in ("--only", name)]
    told = run(str(tmp_path / "context"), "--scene", str(picture), *only)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "index, as declared" in told.stdout

"""playground lint: each rule of App Engine Flex at its boundary, on what we generate and what people make of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import require
from test_commands import playground

from playground.settings import ServiceSettings
from playground.wrap import flex, google
from playground.wrap.lint import lint
from playground.wrap.render import render_context
from playground.wrap.write import write_files

SETTINGS = ServiceSettings(image="a/b", predictor_package="a", predictor_class="C", zoom_level=1, name="water")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    write_files(render_context(SETTINGS, "my-project"), tmp_path / "water")
    return tmp_path / "water"


@pytest.fixture
def changed(context: Path):
    """Change app.yaml and tell the problems: what stands for ``old``, or a text added at the end."""

    def change(old: str, new: str = "") -> list[str]:
        path = context / "app.yaml"
        text = path.read_text()
        if new or old in text:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        else:
            text += f"\n{old}\n"
        path.write_text(text)
        found = lint(context, "my-project", google_too=False)
        return [f"{problem.level}: {problem.words}" for problem in found if "3.2 GB is accepted" not in problem.words]

    return change


def test_what_we_generate_is_clean(context):
    told = playground("lint", str(context), "--project", "my-project", "--json")
    assert told.returncode == 0, told.stderr
    (warning,) = json.loads(told.stdout)
    assert (warning["level"], warning["place"]) == ("warning", f"{context}/app.yaml:8")
    assert "3.2 GB is accepted with 4 cores" in warning["words"]
    assert "0 errors, 1 warnings" in told.stderr


def test_googles_parser_is_run_too(context):
    require(google.sdk_root(), "the Google Cloud SDK is not here")
    path = context / "app.yaml"
    path.write_text(path.read_text() + "\nPREDICTOR_CLASS: A\n")
    told = playground("lint", str(context))
    assert told.returncode == 1
    assert "Unexpected attribute 'PREDICTOR_CLASS'" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("key", flex.NUMBERS)
def test_numbers_at_both_ends(tmp_path, key):
    low, high, _ = flex.NUMBERS[key]
    step = low if "." in str(low) and low < 1 else 1
    outside = {low - step, high + step}
    for value in {low, high} | outside:
        *parents, last = key.split(".")
        lines = [f"{'  ' * depth}{parent}:" for depth, parent in enumerate(parents)]
        check = parents[0] if parents[0].endswith("check") else "readiness_check"
        lines += [f"{'  ' * len(parents)}{last}: {value}"]
        if parents[0] != check:
            lines.append("readiness_check:")
        others = "liveness_check" if check == "readiness_check" else "readiness_check"
        if last == "check_interval_sec":
            lines.append("  timeout_sec: 0")
        if last == "timeout_sec":
            lines.append("  check_interval_sec: 301")
        lines += ["  path: /x", f"{others}:", "  path: /x"]
        lines += ["runtime: custom", "env: flex", "service: a"]
        (tmp_path / "app.yaml").write_text("\n".join(lines) + "\n")
        said = [problem.words for problem in lint(tmp_path, google_too=False) if problem.words.startswith(f"{key}:")]
        assert [words for words in said if "allowed: more than" not in words] == (
            [f"{key}: found {value}, allowed: {low} to {high} ({flex.NUMBERS[key][2]})"] if value in outside else []
        )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("runtime: custom", "runtime: python", "error: runtime: found python, allowed: custom; the image is our own"),
        ("env: flex", "env: standard", "error: env: found standard, allowed: flex"),
        ('service: "water"', "", "warning: service: missing: the app's default service would be replaced"),
        ('service: "water"', 'service: "Water"', "error: service: found Water, allowed: lowercase letters"),
        ("cpu: 4", "cpu: 3", "error: resources.cpu: found 3, allowed: 1, an even number to 32"),
        ("cpu: 4", "cpu: many", "error: resources.cpu: found many, allowed: a number"),
        (
            "memory_gb: 3.2",
            "memory_gb: 3.1",
            "error: resources.memory_gb: found 3.1, allowed with 4 cores: 3.20 to 25.60",
        ),
        (
            "min_num_instances: 1",
            "min_num_instances: 5",
            "error: automatic_scaling.min_num_instances: found 5, more than",
        ),
        ("path: /readiness_check", "host: x", "error: readiness_check: no path: App Engine would never ask"),
        ("path: /liveness_check", "path: live", "error: liveness_check.path: found live, allowed: a path that starts"),
        (
            "check_interval_sec: 5",
            "check_interval_sec: 4",
            "error: readiness_check.check_interval_sec: found 4, allowed: ",
        ),
        ('ZOOM_LEVEL: "1"', "ZOOM_LEVEL: 1", "warning: env_variables.ZOOM_LEVEL: found 1, allowed: a text; put it in"),
        ('ZOOM_LEVEL: "1"', 'ZOOM_LEVEL: "99"', "error: the service cannot start: "),
        ('FILL: "reflect"', 'GAE_X: "a"', "error: env_variables.GAE_X: is reserved"),
        ('FILL: "reflect"', '1X: "a"', "error: env_variables.1X: allowed: letters, digits and underscores"),
        ("manual_scaling: {instances: 2}", "", "error: manual_scaling: stands beside automatic_scaling"),
        ("network: {session_affinity: maybe}", "", "error: network.session_affinity: found maybe, allowed: true or"),
        ("network: {subnetwork_name: a}", "", "error: network.subnetwork_name: needs network.name beside it"),
        ("network: {name: a/b}", "", "error: network.name: found a/b, allowed: the short name"),
        ("network: {forwarded_ports: [8080]}", "", "error: network.forwarded_ports: found 8080: reserved"),
        ("network: {forwarded_ports: ['1023/tcp']}", "", "error: network.forwarded_ports: found 1023/tcp: reserved"),
        ("vpc_access_connector: {name: a}", "", "warning: vpc_access_connector: is for the standard environment"),
        ("version: v1", "", "error: version: is not taken any more; give --version to gcloud"),
    ],
)
def test_changes_by_hand(changed, old, new, said):
    found = changed(old, new or ("" if old not in ('service: "water"',) else "# none"))
    assert any(words.startswith(said) for words in found), found


@pytest.mark.parametrize("port", ["1024", "'65535/udp'"])
def test_ports_that_may_be_forwarded(changed, port):
    assert changed(f"network: {{forwarded_ports: [{port}], name: n, session_affinity: true}}") == []


def test_volumes_at_their_boundaries(changed, context):
    def volumes(count, size="0.001", name="v"):
        each = f"{{name: {name}, volume_type: tmpfs, size_gb: {size}}}"
        return f"disk_size_gb: 10\n  volumes: [{', '.join([each] * count)}]"

    text = (context / "app.yaml").read_text()
    for change, wrong in ((volumes(8), 0), (volumes(9), 1), (volumes(1, "0.0009"), 1), (volumes(1, name="1a"), 1)):
        (context / "app.yaml").write_text(text)
        assert len(changed("disk_size_gb: 10", change)) == wrong


def test_names_that_do_not_fit_together(changed, context):
    assert any("leaves" in words for words in changed('service: "water"', f'service: "{"w" * 45}"'))


def test_files_that_must_not_stand_together(changed, context):
    (context / "cloudbuild.yaml").write_text("steps: []\n")
    assert any("stands beside a Dockerfile" in words for words in changed("# none"))


@pytest.mark.parametrize(("seconds", "wrong"), [("24", 0), ("25", 1)])
def test_the_server_ends_in_time(changed, context, seconds, wrong):
    conf = context / "gunicorn.conf.py"
    conf.write_text(conf.read_text().replace("graceful_timeout = 21", f"graceful_timeout = {seconds}"))
    assert len(changed("# none")) == wrong


def test_what_is_needed_is_not_ignored(changed, context):
    (context / ".gcloudignore").write_text("*.pyc\napp.yaml\n")
    assert changed("# none") == ["error: app.yaml: leaves out what the service needs"]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        *((name, True) for name in ("v1", "a" * 63, "20261121t101500")),
        *((name, False) for name in ("a" * 64, "-a", "a-", "A", "latest", "default", "ah-1", "a-dot-b")),
    ],
)
def test_names_of_versions(name, good):
    assert (flex.version_problem(name) is None) is good


def test_a_folder_without_app_yaml(tmp_path):
    told = playground("lint", str(tmp_path))
    assert told.returncode == 1
    assert "app.yaml: no such file" in told.stderr

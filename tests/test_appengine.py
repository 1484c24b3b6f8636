"""App Engine Flex: its rules, and Google's own parser on what we generate."""

from __future__ import annotations

import shlex
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import require

from playground.errors import SettingsError
from playground.settings import Resources, ServiceSettings, load_service
from playground.wrap import appengine, google
from playground.wrap.render import render_context, render_runtime

LEAST = "image: a/b\nZOOM_LEVEL: 16\nPREDICTOR_CLASS: A\nPREDICTOR_PACKAGE: a\n"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Read LEAST and this text as a service.yaml that goes to App Engine."""
    monkeypatch.chdir(tmp_path)

    def read(text: str, project: str | None = None) -> ServiceSettings:
        Path("service.yaml").write_text(f"{LEAST}{text}\nAUTH: none\n")
        return load_service(Path("service.yaml"), appengine.rules(project))

    return read


@pytest.mark.parametrize("cpu", [1, 2, 4, 30, 32, 36, 80])
def test_memory_at_both_ends(service, cpu: int):
    least, most = appengine.memory_range(cpu)
    cent = Decimal("0.01")
    for memory in (least, most):
        assert service(f"resources: {{cpu: {cpu}, memory_gb: {memory}}}").resources.memory_gb == memory
    for memory in (least - cent, most + cent):
        with pytest.raises(SettingsError) as caught:
            service(f"resources: {{cpu: {cpu}, memory_gb: {memory}}}")
        assert caught.value.problems == (
            f"service.yaml:5: resources.memory_gb: found {memory}, allowed with {cpu} cores: {least} to {most} (GB)",
        )


def test_the_documented_machine_is_legal_with_a_warning(service):
    assert service("resources: {cpu: 4, memory_gb: 3.2}").warnings == (
        "service.yaml:5: resources.memory_gb: 3.2 GB is accepted with 4 cores, "
        "but App Engine's documentation asks for 3.6 or more",
    )
    assert service("resources: {cpu: 4, memory_gb: 3.6}").warnings == ()


def test_memory_that_floats_would_refuse(service):
    assert (1.4 + 0.4) / 2 < 0.9
    assert service("resources: {cpu: 2, memory_gb: 1.4}").resources.memory_gb == Decimal("1.4")


@pytest.mark.parametrize("cpu", [3, 31, 34, 38, 79])
def test_machines_that_do_not_exist(service, cpu: int):
    with pytest.raises(SettingsError, match="1 problem") as caught:
        service(f"resources: {{cpu: {cpu}}}")
    assert f"found {cpu}, allowed: 1, an even number to 32" in caught.value.problems[0]


def test_rules_and_types_are_reported_together(service):
    with pytest.raises(SettingsError) as caught:
        service("PADDING: 300\nresources: {cpu: 3, memory_gb: 99999}\nTILES: https://me:secret@tiles/{z}/{x}/{y}\n")
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "PADDING",
        "resources.memory_gb",
        "resources.cpu",
        "TILES",
    ]
    assert "secret@" not in str(caught.value.problems)


def test_secrets_in_the_address_of_tiles(service):
    (_, warning) = service("TILES: https://tiles/{z}/{x}/{y}.png?access_token=abc").warnings
    assert "seems to hold a key" in warning
    assert len(service("TILES: https://tiles/{z}/{x}/{y}.png?layer=keys").warnings) == 1


def test_image_is_needed(service, tmp_path: Path):
    Path("bare.yaml").write_text(LEAST.removeprefix("image: a/b\n"))
    assert load_service(Path("bare.yaml")).image is None
    with pytest.raises(SettingsError) as caught:
        load_service(Path("bare.yaml"), appengine.rules(None))
    assert caught.value.problems == ("bare.yaml: image: missing, needed: the reference of the partner's Docker image",)


def test_names_that_are_too_long_together(service):
    with pytest.raises(SettingsError, match="1 problem"):
        service(f"name: {'a' * 30}", project="p" * 30)
    assert "leaves 3 characters" in service(f"name: {'a' * 25}", project="p" * 25).warnings[-1]


def test_googles_own_parser_accepts_app_yaml(tmp_path: Path):
    require(google.sdk_root(), "the Google Cloud SDK is not here")
    settings = ServiceSettings(
        predictor_package="a.b",
        predictor_class="C",
        zoom_level=16,
        name="water",
        tiles='a "b" {z} \\ # : \u00e9 \u2028 $HOME %',
        predictor_python="/opt/conda/bin/python",
        resources=Resources(cpu=2, memory_gb=Decimal("1.40")),
    )
    path = tmp_path / "app.yaml"
    path.write_bytes(render_runtime(settings, "my-project")["app.yaml"])
    received = google.parse_app_yaml(path)
    assert "error" not in received
    assert received["envVariables"]["TILES"] == settings.tiles
    assert received["resources"] == {"cpu": 2.0, "memoryGb": 1.4, "diskGb": 10.0}
    assert received["readinessCheck"]["path"] == "/readiness_check"
    assert received["livenessCheck"]["path"] == "/liveness_check"
    assert received["service"] == "water"


def test_googles_own_linter_accepts_the_commands_of_the_readme():
    require(google.sdk_root(), "the Google Cloud SDK is not here")
    settings = ServiceSettings(image="a/b", predictor_package="a", predictor_class="C", zoom_level=1, name="water")
    lines = render_context(settings, "my-project")["README.md"].decode().splitlines()
    commands = [line.replace("VERSION", "v1") for line in lines if line.startswith("gcloud ")]
    assert len(commands) == 2
    assert [google.command_problem(shlex.split(command)) for command in commands] == [None, None]

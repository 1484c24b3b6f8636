"""The generator: the same input, the same bytes; and care for what is in the folder already."""

from __future__ import annotations

import re
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from packaging.requirements import Requirement

from playground import resources
from playground.commands import main
from playground.errors import GenerateError
from playground.settings import Resources, ServiceSettings, load_running
from playground.version import __version__
from playground.wrap.render import render_context, render_runtime
from playground.wrap.write import MANIFEST, write_files

ROOT = Path(__file__).parent.parent

LEAST = ServiceSettings(
    image="eu.gcr.io/theplayground_repo/my_service:latest",
    name="my-service",
    predictor_package="ship_detection.predictor",
    predictor_class="ShipDetector",
    zoom_level=16,
    padding=24,
)

FULL = ServiceSettings(
    image="localhost:5000/a/b:v1@sha256:" + "0" * 64,
    name="full",
    predictor_package="a",
    predictor_class="B",
    zoom_level=0,
    padding=256,
    tiles="https://tiles.example.com/{z}/{x}/{y}.png?a=\"b\"&c='$HOME' # : \\ é",
    fill="nodata",
    predictor_python="/opt/conda/bin/python",
    predictor_isolation="none",
    workers=3,
    backlog=0,
    timeout=3600,
    resources=Resources(cpu=8, memory_gb=Decimal("10.50"), disk_size_gb=100),
)

GENERATED = ("Dockerfile", "README.md", "app.yaml", "gunicorn.conf.py")


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize(("folder", "settings", "project"), [("least", LEAST, None), ("full", FULL, "my-project")])
def test_golden(golden, folder: str, settings: ServiceSettings, project: str | None, name: str):
    golden(f"{folder}/{name}", without_revision(render_context(settings, project)[name]))


def without_revision(content: bytes) -> bytes:
    """A Dockerfile without the digest of what it copies, which changes with every line of the library."""
    return re.sub(rb"(image\.revision=.sha256:)[0-9a-f]{64}", rb"\1...", content)


def test_same_input_same_bytes():
    assert render_context(FULL, "my-project") == render_context(FULL, "my-project")


def test_what_is_in_a_context():
    files = render_context(LEAST)
    assert [name for name in files if not name.startswith("app/")] == [
        ".dockerignore",
        ".gcloudignore",
        "Dockerfile",
        "README.md",
        "app.yaml",
        "get_pip.py",
        "gunicorn.conf.py",
        "requirements.txt",
        f"tile_playground-{__version__}-py3-none-any.whl",
    ]
    for name in ("app.py", "app_utils.py", "playground_interfaces/tile.py", "playground_interfaces/loop.py"):
        assert files[f"app/{name}"] == (ROOT / "app" / name).read_bytes()
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]


def test_runtime_needs_no_image():
    settings = ServiceSettings(predictor_package="a", predictor_class="A", zoom_level=1, name="a")
    assert {name.split("/")[0] for name in render_runtime(settings)} == {"app", "app.yaml", "gunicorn.conf.py"}
    with pytest.raises(GenerateError, match="no image"):
        render_context(settings)


@pytest.mark.parametrize("settings", [LEAST, FULL], ids=lambda settings: settings.name)
def test_the_service_reads_what_was_written(tmp_path: Path, settings: ServiceSettings):
    files = render_runtime(settings, "my-project")
    assert yaml.safe_load(files["app.yaml"])["resources"]["cpu"] == settings.resources.cpu
    (tmp_path / "app.yaml").write_bytes(files["app.yaml"])
    running = load_running(tmp_path / "app.yaml", {})
    for key in ("name", "predictor_package", "zoom_level", "padding", "tiles", "fill", "predictor_python"):
        assert getattr(running, key) == getattr(settings, key)
    assert running.project_name == "my-project"


def test_dockerfile_needs_no_buildkit():
    text = resources.read("Dockerfile.integration").decode()
    instructions = [line for line in text.splitlines() if line[:1].isupper()]
    assert not [line for line in instructions if "--mount" in line or "<<" in line or line.startswith("COPY --")]
    assert text.count("\nARG base_id\nFROM ${base_id}\n") == 1


def test_lock_holds_every_dependency_with_hashes():
    toml = (ROOT / "pyproject.toml").read_text()
    wanted = [
        Requirement(line.strip(' ",')) for line in toml.split("dependencies = [")[1].split("]")[0].split("\n")[1:-1]
    ]
    lock = resources.read("templates/requirements.txt").decode()
    locked = [Requirement(line.rstrip("\\ ")) for line in lock.splitlines() if line[:1].isalpha()]
    for requirement in wanted:
        versions = [str(each.specifier)[2:] for each in locked if each.name == requirement.name]
        assert versions, f"{requirement.name} is not locked: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions)
    assert lock.count("--hash=sha256:") > len(locked)
    assert "://" not in lock


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run ``playground ARGUMENTS`` in an empty folder that holds a service.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    Path("service.yaml").write_text("image: a/ships\nZOOM_LEVEL: 16\nPREDICTOR_CLASS: A\nPREDICTOR_PACKAGE: a\n")

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return invoke


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_command(run):
    result = run("generate", "service.yaml", "-o", "build/ships", "--project", "my-project")
    assert (result.exit_code, result.stdout) == (0, "build/ships\n")
    assert "wrote build/ships/Dockerfile" in result.stderr
    assert "warning: service.yaml: resources.memory_gb: 3.2 GB is accepted" in result.stderr
    assert 'PROJECT_NAME: "my-project"' in Path("build/ships/app.yaml").read_text()
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in Path("build").rglob("*"))
    check = subprocess.run(["sha256sum", "--check", "--quiet", MANIFEST], cwd="build/ships", check=False)
    assert check.returncode == 0


def test_command_twice_writes_the_same(run):
    run("generate", "service.yaml", "-o", "one")
    run("generate", "service.yaml", "-o", "two")
    before = files_in(Path("one"))
    assert before == files_in(Path("two"))
    assert run("generate", "service.yaml", "-o", "one").exit_code == 0
    assert files_in(Path("one")) == before


def test_command_tells_every_problem(run):
    Path("service.yaml").write_text("ZOOM_LEVEL: 99\nPREDICTOR_CLASS: A\nresources: {cpu: 3}\n")
    result = run("generate", "service.yaml", "-o", "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.split(": found")[0].strip() for line in result.stderr.splitlines()] == [
        "error: service.yaml: 4 problems",
        "service.yaml:1: ZOOM_LEVEL",
        "service.yaml: PREDICTOR_PACKAGE: missing, needed: a name that Python can import, "
        "like ship_detection.predictor",
        "service.yaml: image: missing, needed: the reference of the partner's Docker image",
        "service.yaml:3: resources.cpu",
    ]
    assert not Path("out").exists()


def test_wrong_use(run):
    assert run("generate").exit_code == 2
    assert run("generate", "service.yaml").exit_code == 2
    result = run("generate", "service.yaml", "-o", "out", "--project", "The Project")
    assert result.exit_code == 2
    assert "a Google Cloud project id: 6 to 30 lowercase letters" in result.stderr


def test_no_service_file(run):
    result = run("generate", "absent.yaml", "-o", "out")
    assert result.exit_code == 1
    assert "absent.yaml: no such file" in result.stderr


def test_a_folder_with_other_files_is_refused(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(GenerateError, match="is not empty, and was not generated"):
        write_files({"a": b"1"}, tmp_path)
    write_files({"a": b"1"}, tmp_path, force=True)
    write_files({"a": b"2"}, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_files_changed_by_hand_are_refused(tmp_path: Path):
    write_files({"a": b"1", "b/c": b"1"}, tmp_path)
    (tmp_path / "b" / "c").write_text("mine")
    with pytest.raises(GenerateError, match="c was changed by hand"):
        write_files({"a": b"2"}, tmp_path)
    assert (tmp_path / "a").read_bytes() == b"1"
    write_files({"a": b"2"}, tmp_path, force=True)
    assert files_in(tmp_path).keys() == {"a", MANIFEST}


def test_stale_files_go_and_their_folders(tmp_path: Path):
    write_files({"a": b"1", "old/deep/b": b"1", "kept/c": b"1"}, tmp_path)
    (tmp_path / "kept" / "mine").write_text("mine")
    write_files({"a": b"1"}, tmp_path)
    assert files_in(tmp_path).keys() == {"a", "kept/mine", MANIFEST}
    assert not (tmp_path / "old").exists()


def test_a_writing_that_was_cut_short_is_finished(tmp_path: Path):
    write_files({"a": b"1", "b": b"1"}, tmp_path)
    (tmp_path / "a").write_bytes(b"2")
    assert write_files({"a": b"2", "b": b"2"}, tmp_path) == ["a", "b"]


def test_a_manifest_cannot_point_outside(tmp_path: Path):
    out = tmp_path / "out"
    write_files({"a": b"1"}, out)
    (tmp_path / "victim").write_text("alive")
    (out / MANIFEST).write_text(f"0  ../victim\n0  {tmp_path}/victim\n0  a\n")
    write_files({"b": b"1"}, out, force=True)
    assert (tmp_path / "victim").read_text() == "alive"


def test_out_is_a_file(tmp_path: Path):
    (tmp_path / "out").write_text("")
    for force in (False, True):
        with pytest.raises(GenerateError, match="out"):
            write_files({"a": b"1"}, tmp_path / "out", force)

"""What several tests share."""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import mercantile
import pytest
from images import layer, save
from interpreters import interpreter
from PIL import Image
from service import RunningService, start_service, stop_all

from playground.predictor import Limits, PredictorSpec, ProcessPredictor
from playground.sources.mbtiles import write_mbtiles
from playground.wrap.image.opening import read_image
from playground.wrap.image.report import ImageReport, report_on

PREDICTORS = Path(__file__).parent / "predictors"
GOLDEN = Path(__file__).parent / "golden"

# The same examples in every run; pytest's own deadline holds.
hypothesis.settings.register_profile("seeded", derandomize=True, deadline=None)
hypothesis.settings.load_profile("seeded")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write tests/golden anew; read the diff, commit it.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, bytes], None]:
    """Compare content with a file below tests/golden, or write it there with --update-golden."""

    def check(name: str, content: bytes) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        assert path.exists(), f"no {path}: run pytest --update-golden"
        assert content.decode() == path.read_text("utf-8"), f"{path} differs: pytest --update-golden, read the diff"

    return check


def require(condition: object, reason: str) -> None:
    """Skip for ``reason`` unless the condition holds; in CI, where everything must be there, fail."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must have this: {reason}")
    pytest.skip(reason)


@pytest.fixture
def look(tmp_path: Path) -> Callable:
    """The report on an image of these layers."""

    def report(*layers: dict, package: str = "ship", **config: object) -> ImageReport:
        return report_on(read_image(save(tmp_path / "image.tar", [layer(each) for each in layers], **config)), package)

    return report


@pytest.fixture
def start_predictor() -> Iterator:
    """Start one of tests/predictors: ``start_predictor("documented:Process", python=...)``; stopped afterwards."""
    started: list[ProcessPredictor] = []

    def start(
        target: str, python: str = sys.executable, workdir: Path = PREDICTORS, **limits: float
    ) -> ProcessPredictor:
        package, _, class_name = target.partition(":")
        spec = PredictorSpec(package, class_name, workdir, python)
        causes: list[str] = []
        predictor = ProcessPredictor(spec, Limits(**limits), observe=causes.append)
        predictor.causes = causes
        started.append(predictor)
        predictor.start()
        predictor.wait_ready(60)
        return predictor

    yield start
    for predictor in started:
        predictor.close()


@pytest.fixture(params=["3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def python(request: pytest.FixtureRequest) -> str:
    """Each CPython that a partner may have, without any package."""
    found = interpreter(request.param)
    require(found, f"there is no CPython {request.param} on this machine")
    return str(found)


@dataclasses.dataclass(frozen=True)
class PartnerPython:
    """A partner's virtual environment, and its packages as they were when it was made."""

    path: str
    frozen: str

    @staticmethod
    def freeze_of(path: str) -> str:
        return subprocess.run([path, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout

    def freeze(self) -> str:
        return self.freeze_of(self.path)


@pytest.fixture(scope="session")
def partner_python(tmp_path_factory: pytest.TempPathFactory) -> PartnerPython:
    """A virtual environment with what a partner asked for, and nothing else."""
    folder = tmp_path_factory.mktemp("partner") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    path = str(folder / "bin" / "python")
    packages = ["numpy", "pillow", "opencv-python-headless"]
    subprocess.run([path, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages], check=True)
    return PartnerPython(path, PartnerPython.freeze_of(path))


@pytest.fixture(scope="session")
def imagery_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MBTiles file, zoom 0 to 3, PNG: each tile a colour of its own. One tile is missing: 3/2/2."""
    path = tmp_path_factory.mktemp("imagery") / "world.mbtiles"

    def tiles() -> Iterator[tuple[mercantile.Tile, bytes]]:
        for z in range(4):
            for x, y in itertools.product(range(2**z), repeat=2):
                if (z, x, y) != (3, 2, 2):
                    buffer = io.BytesIO()
                    Image.new("RGB", (256, 256), (x * 16, y * 16, z * 16)).save(buffer, "PNG")
                    yield mercantile.Tile(x, y, z), buffer.getvalue()

    write_mbtiles(path, {"name": "world", "format": "png", "minzoom": "0", "maxzoom": "3"}, tiles())
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A real Chromium, driven by playwright: ``browser.new_page()``."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(chromium, "there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Start a real service of one of tests/predictors: ``serve("readers:Bytes", PADDING="3")``; stopped at the end."""
    started: list[RunningService] = []

    def start(target: str, **environ: str) -> RunningService:
        package, _, class_name = target.partition(":")
        environ = {
            "PREDICTOR_PACKAGE": package,
            "PREDICTOR_CLASS": class_name,
            "PREDICTOR_PYTHON": sys.executable,
            "WORKERS": "1",
            "ZOOM_LEVEL": "3",
            "AUTH": "none",
            **environ,
        }
        log = tmp_path_factory.mktemp("service") / "log"
        started.append(start_service(environ, PREDICTORS, log))
        return started[-1]

    yield start
    stop_all(started)

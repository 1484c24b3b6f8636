"""Partners' images of many kinds, made on the spot: inspected, planned, built, proven unchanged, run and drained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from test_docker import base, build, docker, predict, start  # noqa: F401 - fixtures

from playground.commands import main

PREDICTOR = """\
import os, sys
from playground_interfaces import BaseProcess, PredictionResult
{imports}

class Ship(BaseProcess):
    def __init__(self):
        self.seen = " ".join([sys.prefix, {facts}])

    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_result(self.seen, [(8, 8), (8, 24), (24, 24), (24, 8), (8, 8)], 0.75)
        return result
"""
SERVICE = """\
image: playground-test-base-{name}:v1
ZOOM_LEVEL: 16
PREDICTOR_CLASS: Ship
PREDICTOR_PACKAGE: ship.predictor
workers: 1
"""
PIP = "python3 -m pip install --quiet --break-system-packages --no-cache-dir --no-deps"


class Base(NamedTuple):
    """A partner's image: its Dockerfile after FROM, what its predictor tells, and what the service is."""

    dockerfile: str
    imports: str = ""
    facts: str = '""'
    told: str = "/usr"
    user: str = "playground"
    reset: tuple[str, ...] = ()


BASES = {
    "system": Base("COPY . /api/"),
    "venv": Base(
        "RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --quiet --no-cache-dir requests==2.25.1 --no-deps\n"
        'COPY . /api/\nENTRYPOINT ["/opt/venv/bin/python", "/api/server.py"]',
        told="/opt/venv",
        reset=("ENTRYPOINT",),
    ),
    "entrypoint": Base(
        'COPY . /api/\nENTRYPOINT ["/bin/false"]\nCMD ["never"]\nHEALTHCHECK CMD false\nSTOPSIGNAL SIGHUP\n'
        'EXPOSE 5000\nSHELL ["/bin/false"]\nWORKDIR /srv',
        reset=("ENTRYPOINT", "CMD", "WORKDIR", "HEALTHCHECK", "STOPSIGNAL", "SHELL"),
    ),
    "user": Base(
        "COPY . /api/\nRUN useradd --create-home modeler"
        " && chown -R modeler /api/ship"
        " && chmod 700 /api/ship\nUSER modeler",
        user="modeler",
    ),
    "environment": Base(
        "COPY . /api/\nRUN mkdir /api/vendored && echo 'raise SystemExit' > /api/vendored/flask.py"
        " && echo \"TASTE = 'sweet'\" > /api/vendored/sauce.py\n"
        "ENV PYTHONPATH=/api/vendored PYTHONHOME=/usr PYTHONSAFEPATH=1 PIP_TARGET=/no\n"
        "ENV PIP_INDEX_URL=http://127.0.0.1:1\n"
        "ENV PIP_NO_INDEX=1 GUNICORN_CMD_ARGS='--bind 127.0.0.1:1' PORT=5000 TIMEOUT=never WORKERS=none",
        imports="import sauce",
        facts="sauce.TASTE",
        told="/usr sweet",
        reset=("ENV PYTHONPATH", "ENV PYTHONHOME", "ENV PIP_TARGET", "ENV PIP_INDEX_URL", "ENV PORT"),
    ),
    "old-packages": Base(
        f"RUN {PIP} flask==1.1.4 werkzeug==1.0.1 numpy==1.23.5 requests==2.25.1 click==7.1.2"
        " urllib3==1.26.5 idna==2.10 chardet==4.0.0 certifi==2020.12.5\nCOPY . /api/",
        imports="import click, numpy, requests",
        facts="click.__version__, numpy.__version__, requests.__version__",
        told="/usr 7.1.2 1.23.5 2.25.1",
    ),
    "own-app": Base(
        "COPY . /api/\nWORKDIR /api\nRUN echo 'raise SystemExit(9)' > app.py && mkdir utils"
        " && echo \"NAME = 'theirs'\" > utils/__init__.py && echo 'NAME: theirs' > app.yaml",
        imports="import utils",
        facts="utils.NAME",
        told="/usr theirs",
    ),
    "no-pip": Base(
        "RUN rm -rf /usr/lib/python3.11/ensurepip /usr/lib/python3/dist-packages/pip* /usr/share/python-wheels"
        " /usr/bin/pip*"
        "\nCOPY . /api/"
    ),
    "volume": Base("COPY . /api/\nVOLUME /api"),
}

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


def playground(*arguments: str) -> str:
    """What the command prints; it must succeed."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, f"{result.output}\n{result.stderr}\n{result.exception!r}"
    return result.stdout


@pytest.mark.parametrize("name", BASES)
def test_a_partners_image_from_inspection_to_drain(name: str, base: str, tmp_path: Path, start):  # noqa: F811
    kind = BASES[name]
    partner, wrapped = f"playground-test-base-{name}:v1", f"playground-test-wrapped-{name}"
    (tmp_path / "ship").mkdir()
    (tmp_path / "ship" / "predictor.py").write_text(PREDICTOR.format(imports=kind.imports, facts=kind.facts))
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\n{kind.dockerfile}\n")
    build(partner, tmp_path)

    told = json.loads(playground("inspect-image", partner, "--package", "ship.predictor", "--json"))
    assert told["refused"] == []
    assert told["image"]["found"] == ["/api/ship/predictor.py"]
    assert told["plan"]["run_as"] == kind.user
    assert set(kind.reset) <= {reset["what"] for reset in told["plan"]["resets"]}

    (tmp_path / "service.yaml").write_text(SERVICE.format(name=name))
    context = str(tmp_path / "out")
    playground("generate", str(tmp_path / "service.yaml"), "-o", context, "--inspect")
    image_id = playground("build", context, "--tag", wrapped, "--network", "host").strip()
    assert image_id == docker("inspect", "--format", "{{.Id}}", wrapped).stdout.strip()

    # The command has proven it already; here is what it says, and pip's own word.
    proof = json.loads(playground("inspect-image", wrapped, "--against", partner, "--json"))
    assert proof["layers_kept"] is True
    assert proof["packages"] == told["plan"]["packages"] > 0
    assert [proof[what] for what in ("changed_packages", "changed", "removed", "added")] == [[], [], [], []]
    if name != "no-pip":
        frozen = ("run", "--rm", "--entrypoint", told["plan"]["predictor_python"])
        before, after = (docker(*frozen, image, "-m", "pip", "freeze").stdout for image in (partner, wrapped))
        assert before == after

    container = start(wrapped)
    container.wait_ready()
    (feature,) = predict(container)["features"]
    assert feature["properties"]["category"].strip() == kind.told
    assert container.run("stat -c %U /proc/1") == kind.user
    docker("stop", "--time", "20", container.id)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container.id).stdout.strip() == "0"


REFUSED = {
    "python-2": (
        "RUN rm /usr/bin/python3* && mkdir -p /usr/lib/python2.7 && cp /bin/true /usr/bin/python2.7"
        " && ln -s python2.7 /usr/bin/python",
        "it has Python 2 only",
    ),
    "no-python": ("RUN rm /usr/bin/python3*", "it has no Python, so nothing can run the predictor"),
    "no-package": ("RUN rm -r /api/ship", "PREDICTOR_PACKAGE ship.predictor is nowhere in it"),
    "elsewhere": ("RUN mkdir /srv/app && mv /api/ship /srv/app/", "ship.predictor is at /srv/app/ship/predictor.py"),
    "own-conf": ("RUN touch /api/gunicorn.conf.py", "it has its own /api/gunicorn.conf.py"),
    "onbuild": ("ONBUILD COPY . /api/", "its ONBUILD would run while it is wrapped (COPY . /api/)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_partners_image_that_is_refused_before_the_build(name: str, base: str, tmp_path: Path):  # noqa: F811
    lines, words = REFUSED[name]
    (tmp_path / "ship").mkdir()
    (tmp_path / "ship" / "predictor.py").write_text("")
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nCOPY . /api/\n{lines}\n")
    build(f"playground-test-base-{name}:v1", tmp_path)
    (tmp_path / "service.yaml").write_text(SERVICE.format(name=name))
    result = CliRunner().invoke(
        main, ["generate", str(tmp_path / "service.yaml"), "-o", str(tmp_path / "out"), "--inspect"]
    )
    assert result.exit_code == 1
    assert f"playground-test-base-{name}:v1 cannot be wrapped: 1 reason" in result.stderr
    assert words in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()

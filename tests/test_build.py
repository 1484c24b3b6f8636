"""Build contexts of inspected images, golden; what a failing build says; hostile settings in every file."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import stat
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import yaml
from click.testing import CliRunner
from images import ELF, layer, save, system
from test_generate import FULL, LEAST, without_revision

from playground.commands import main
from playground.errors import BuildError, GenerateError, SettingsError
from playground.settings import Resources, ServiceSettings, load_service
from playground.wrap.build import build_image, explain
from playground.wrap.image.opening import read_image
from playground.wrap.image.report import report_on
from playground.wrap.plan import WrapPlan, plan_wrap, read_plan, write_plan
from playground.wrap.render import render_context, render_runtime
from playground.wrap.settle import settle

CONDA = {"opt/conda/bin/python3.9": ELF, "opt/conda/bin/python": "python3.9", "opt/conda/conda-meta/history": b""}
PYENV = {"root/.pyenv/versions/3.8.18/bin/python3.8": ELF, "root/.pyenv/versions/3.8.18/bin/python": "python3.8"}
VENV = {"opt/venv/bin/python": "/usr/bin/python3", "opt/venv/pyvenv.cfg": b"home = /usr/bin\nversion = 3.11.2\n"}
UBI = {
    "etc/os-release": b'NAME="Red Hat Enterprise Linux"\nID="rhel"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n'
}
VARIANTS: dict[str, tuple[list[dict], dict]] = {
    "debian-venv": ([system(), VENV], {"Entrypoint": ["/opt/venv/bin/python", "serve.py"], "User": "modeler"}),
    "ubi": ([system("3.12"), UBI], {"User": "1001", "Cmd": ["/usr/libexec/s2i/run"], "ExposedPorts": {"8080/tcp": {}}}),
    "conda-old": (
        [{**system("3.8"), **CONDA}],
        {"Env": ["PATH=/opt/conda/bin:/usr/bin", "PYTHONPATH=/a b;$(rm -rf /)"]},
    ),
    "pyenv-no-pip": ([system(), {"usr/lib/python3.11/ensurepip/.wh..wh..opq": b""}, PYENV], {"WorkingDir": "/srv"}),
    "no-shell": ([system(), {"usr/bin/.wh.sh": b""}], {"Shell": ["/bin/bash", "-c"], "StopSignal": "SIGINT"}),
    "volume": ([system()], {"Volumes": {"/api": {}}, "Healthcheck": {"Test": ["CMD-SHELL", "curl x\nRUN evil"]}}),
}


def plan_of(tmp_path: Path, name: str, image: str | None) -> WrapPlan:
    layers, config = VARIANTS[name]
    found = read_image(save(tmp_path / "image.tar", [layer(each) for each in layers], **config))
    report = report_on(found, "ship")
    return plan_wrap(msgspec.structs.replace(report, reference=image, digest="sha256:" + "ab" * 32))


@pytest.mark.parametrize("name", VARIANTS)
def test_golden_dockerfile(golden, tmp_path: Path, name: str) -> None:
    files = render_context(LEAST, None, plan_of(tmp_path, name, LEAST.image))
    text = without_revision(files["Dockerfile"]).decode()
    assert 'image.revision="sha256:..."' in text
    golden(f"{name}/Dockerfile", text.encode())
    assert ("get_pip.py" in files) == ("get_pip.py" in text)
    for line in instructions(text):
        copied = re.match(r"COPY (?!--from)(.*) \S+$", line)
        for source in copied[1].split() if copied else ():
            stem = source.rstrip("/").partition("*")[0]
            assert any(file.startswith(stem) for file in files), f"{source} is not in the context"


def instructions(text: str) -> list[str]:
    """A Dockerfile's instructions, as both builders split them: without comments, with their continued lines."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.sub(r"\\\n", " ", "\n".join(lines)).split("\n")


KNOWN = {"ARG", "FROM", "USER", "SHELL", "WORKDIR", "RUN", "COPY", "ENV", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT"}
KNOWN |= {"EXPOSE", "CMD", "LABEL"}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_dockerfile_for_both_builders(tmp_path: Path, name: str) -> None:
    plan = plan_of(tmp_path, name, LEAST.image)
    text = render_context(LEAST, None, plan)["Dockerfile"].decode()
    found = instructions(text)
    assert {line.split()[0] for line in found} <= KNOWN
    assert not [line for line in found if "--mount" in line or "<<" in line or "--chmod" in line or "--link" in line]
    assert not text.splitlines()[0].lower().startswith(("# syntax", "# escape", "# check"))
    assert [line for line in found if line.startswith("ARG base_id=")] == [
        'ARG base_id="eu.gcr.io/theplayground_repo/my_service@sha256:' + "ab" * 32 + '"'
    ]
    after = found[found.index("FROM ${base_id}") :]
    if name in ("no-shell", "conda-old"):  # nothing of the partner's is run: no shell, no Python
        assert [
            line for line in after if line.startswith("RUN ") and not line.startswith('RUN ["/opt/playground/')
        ] == []
    assert plan.predictor_python in render_context(LEAST, None, plan)["app.yaml"].decode()


def test_a_plan_is_a_file(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "debian-venv", LEAST.image)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    with pytest.raises(GenerateError, match="the plan is of"):
        render_context(FULL, None, plan)
    (tmp_path / "plan.json").write_text('{"kind": "other"}')
    with pytest.raises(GenerateError, match="is no plan"):
        read_plan(tmp_path / "plan.json")


EVIL = "a\"b'c\\d $(touch /evil) ${HOME} `id` # x: &y *z {{ 7*7 }} {% raw %} é漢\U0001f6a2 \u202e"


def test_hostile_values_are_only_values(tmp_path: Path) -> None:
    settings = ServiceSettings(
        image="a/ships:v1",
        name="ships",
        predictor_package="ship",
        predictor_class="Ship",
        zoom_level=16,
        tiles=f"https://tiles.example/{{z}}/{{x}}/{{y}}?q={EVIL}",
        predictor_python=f"/opt/{EVIL}/python",
        metadata={EVIL: [EVIL, "line\nENV: evil\nRUN touch /evil"]},
        resources=Resources(cpu=4, memory_gb=Decimal("3.2"), disk_size_gb=10),
    )
    files = render_context(settings, None)
    app = yaml.safe_load(files["app.yaml"])
    assert app["env_variables"]["TILES"] == settings.tiles
    assert app["env_variables"]["PREDICTOR_PYTHON"] == settings.predictor_python
    plain = yaml.safe_load(render_runtime(LEAST)["app.yaml"])
    assert app.keys() == plain.keys()
    assert [line.split()[0] for line in instructions(files["Dockerfile"].decode())] == [
        line.split()[0] for line in instructions(render_context(LEAST)["Dockerfile"].decode())
    ]
    assert "evil" not in files["Dockerfile"].decode() + files["gunicorn.conf.py"].decode()


def test_a_hostile_image_cannot_write_instructions(tmp_path: Path) -> None:
    evil = f'{EVIL}\nRUN touch /evil\r\nFROM evil\u2028USER root\x85"\\'
    plan = WrapPlan(
        image="a/b:v1",
        predictor_python=f"/{evil}",
        predictor_version=evil,
        predictor_why=evil,
        server="image",
        server_python=f"/{evil}",
        server_why=evil,
        run_as="x$(id)",
        warnings=(evil,),
    )
    text = render_context(dataclasses.replace(LEAST, image="a/b:v1", name="b"), None, plan)["Dockerfile"].decode()
    plain = render_context(LEAST)["Dockerfile"].decode()
    assert [line.split()[0] for line in instructions(text)] == [line.split()[0] for line in instructions(plain)]
    value = next(line for line in text.splitlines() if line.startswith("ARG server_python="))
    assert re.search(r"(?<!\\)\$", value) is None
    assert shlex.split(value.removeprefix("ARG "))[0].startswith("server_python=/a\"b'c\\d \\$(touch")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "bomb": BOMB,
    "bomb in a setting": BOMB + "METADATA: *i\n",
    "object": "image: !!python/object/apply:os.system ['touch evil']\n",
    "image": 'image: "a/b\\nRUN touch /evil"\n',
    "shell in image": "image: a/b$(touch evil)\n",
    "class": 'PREDICTOR_CLASS: "A\'; import os"\n',
    "package": "PREDICTOR_PACKAGE: a;b\n",
    "name": "name: 'a b: c'\n",
    "newline in python": 'PREDICTOR_PYTHON: "/a\\nENV X=y"\n',
    "workers": "workers: '2); import os'\n",
    "merge": "<<: {image: a/b}\n",
    "ring": "METADATA: &m {a: *m}\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_service_yaml_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    given = {line.partition(":")[0] for line in HOSTILE[name].splitlines()}
    rest = {"image": "a/b", "ZOOM_LEVEL": "1", "PREDICTOR_CLASS": "A", "PREDICTOR_PACKAGE": "a"}
    text = HOSTILE[name] + "".join(f"{key}: {value}\n" for key, value in rest.items() if key not in given)
    Path("service.yaml").write_text(text)
    with pytest.raises(SettingsError):
        load_service(Path("service.yaml"))
    assert [path.name for path in tmp_path.iterdir()] == ["service.yaml"]


FAILURES = {
    "playground: the image has no user x": "the image has no user x",
    "#9 12.3 playground: the image has no python3": "the image has no python3",
    "write /x: No space left on device": "the engine's disk is full",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES from the requirements file.": "do not use it",
    "ERROR: No matching distribution found for numpy==2.4.6": "there is no wheel of numpy==2.4.6",
    "socket.gaierror: [Errno -3] Temporary failure in name resolution": "the build cannot reach the package index",
    "manifest for a/b:v1 not found: manifest unknown": "the engine cannot pull the image",
    "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?": "no engine answers",
    "standard_init_linux.go: exec format error": "for another processor",
}


@pytest.mark.parametrize("line", FAILURES)
def test_the_likely_cause_of_a_failure(line: str) -> None:
    message, _ = explain("docker build", "step 9/20, RUN set -eu", ["Collecting numpy", line, "exit 1"])
    assert message.startswith("docker build failed at step 9/20, RUN set -eu: ")
    assert FAILURES[line] in message


def test_a_failure_of_an_unknown_kind_tells_the_last_word() -> None:
    assert explain("docker build", "", ["fine", "an error of its own", "bye"])[0].endswith(": an error of its own")


def test_a_failing_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "bin" / "docker"
    engine.parent.mkdir()
    engine.write_text(
        '#!/bin/sh\n[ "$1" = image ] && echo "[]" && exit 0\n[ "$1" = tag ] && exit 0\n'
        'echo "Step 3/9 : RUN pip"; echo "playground: words" >&2; exit 1\n'
    )
    engine.chmod(engine.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{engine.parent}:{os.environ['PATH']}")
    (tmp_path / "Dockerfile").write_text('ARG base_id="a/b:v1"\nFROM ${base_id}\n')
    said: list[str] = []
    with pytest.raises(BuildError, match=r"docker build failed at step 3/9, RUN pip: words"):
        build_image(tmp_path, "x", say=said.append)
    assert said[1:] == ["Step 3/9 : RUN pip", "playground: words"]
    result = CliRunner().invoke(main, ["build", str(tmp_path / "absent")])
    assert result.exit_code == 1
    assert "name a folder that `playground generate` wrote" in result.stderr


def test_settling_twice_changes_nothing(tmp_path: Path) -> None:
    for name in ("opt/playground/app", "etc", "api"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "opt/playground/app/app.py").write_text("")
    (tmp_path / "opt/playground/app/app.yaml").write_text("")
    (tmp_path / "api/app.yaml").write_text("theirs")
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nother:x:10001:10001::/:/bin/sh")
    assert settle(tmp_path, "playground") == ""
    first = (tmp_path / "etc/passwd").read_text()
    assert first.splitlines()[1:] == [
        "other:x:10001:10001::/:/bin/sh",
        "playground:x:10002:10002::/home/playground:/bin/sh",
    ]
    assert settle(tmp_path, "playground") == ""
    assert (tmp_path / "etc/passwd").read_text() == first
    assert os.readlink(tmp_path / "api/app.py") == "/opt/playground/app/app.py"
    assert (tmp_path / "api/app.yaml").read_text() == "theirs"
    assert settle(tmp_path, "12345") == ""
    assert settle(tmp_path, "nobody-here").startswith("the image has no user nobody-here")

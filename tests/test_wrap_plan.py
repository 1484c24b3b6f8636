"""How an image would be wrapped: which Python is whose, and what is refused, with every reason."""

from __future__ import annotations

import pytest
from images import ARM, DEBIAN, ELF, GLIBC, metadata, system

from playground.errors import WrapRefusedError
from playground.wrap.plan import plan_wrap


def test_the_plan_of_an_ordinary_image(look) -> None:
    plan = plan_wrap(look(system(), Env=["PATH=/usr/bin"], Cmd=["python3"]))
    assert (plan.predictor_python, plan.server, plan.server_python) == ("/usr/bin/python3", "image", "/usr/bin/python3")
    assert (plan.run_as, plan.conf, plan.pip) == ("playground", "/api/gunicorn.conf.py", True)
    assert plan.predictor_why == "it is the first python3 of the image's PATH"


VENV = {
    "opt/venv/bin/python": "/usr/bin/python3",
    "opt/venv/pyvenv.cfg": b"home = /usr/bin\nversion = 3.11.2\n",
    "opt/venv/lib/python3.11/site-packages/x.dist-info/METADATA": metadata("x", "1"),
}
INSTALLED = {**VENV, "api": None, "opt/venv/lib/python3.11/site-packages/boats/__init__.py": b""}


@pytest.mark.parametrize(
    ("files", "config", "package", "python", "why"),
    [
        (VENV, {"Entrypoint": ["/opt/venv/bin/python"]}, "ship", "/opt/venv/bin/python", "the image starts /opt/venv"),
        (VENV, {"Env": ["VIRTUAL_ENV=/opt/venv"]}, "ship", "/opt/venv/bin/python", "the image's environment names it"),
        (VENV, {"Env": ["PATH=/opt/venv/bin:/usr/bin"]}, "ship", "/usr/bin/python3", "the first python3"),
        (INSTALLED, {}, "boats", "/opt/venv/bin/python", "it has boats"),
        (VENV, {}, "ship", "/usr/bin/python3", "the first python3"),
    ],
)
def test_which_python_is_the_predictors(look, files: dict, config: dict, package: str, python: str, why: str) -> None:  # noqa: PLR0917
    plan = plan_wrap(look(system(), files, package=package, **config))
    assert plan.predictor_python == python
    assert why in plan.predictor_why


def test_where_the_servers_python_comes_from(look) -> None:
    without = [name for name in system() if "ensurepip" in name or "venv" in name]
    no_ensurepip = plan_wrap(look(system(), {"usr/lib/python3.11/ensurepip/.wh..wh..opq": b""}))
    assert (no_ensurepip.server, no_ensurepip.pip) == ("image", False)
    for files in ({"usr/bin/.wh.sh": b""}, {"usr/lib/python3.11/venv/.wh..wh..opq": b""}):
        assert plan_wrap(look(system(), files)).server == "uv", without
    assert plan_wrap(look(system("3.8"))).server == "uv"
    assert plan_wrap(look(system("3.6"))).predictor_version == "3.6"


REFUSED = {
    "it has Python 2 only; predictors run in Python 3.6 or newer": ([system("2.7")], {}),
    "Python 3.5; predictors run": ([system("3.5")], {}),
    "it has no Python": ([{"etc/os-release": DEBIAN, "api/ship.py": b""}], {}),
    "it is for linux/arm64": ([system()], {"architecture": "arm64"}),
    "a program for another processor": ([system(**{"usr/bin/python3.11": ARM})], {}),
    "its libc is musl": ([system(), {"lib/ld-musl-x86_64.so.1": b""}], {}),
    "its glibc 2.23 is too old": (
        [system(**{"usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC.replace(b"2.36", b"2.23")})],
        {},
    ),
    "PREDICTOR_PACKAGE ship is nowhere in it": ([system(), {"api/.wh.ship": b""}], {}),
    "PREDICTOR_PACKAGE ship is at /srv/ship/__init__.py": (
        [system(), {"api/.wh.ship": b"", "srv/ship/__init__.py": b""}],
        {"WorkingDir": "/srv"},
    ),
    "its VOLUME /opt would hide": ([system()], {"Volumes": {"/opt": {}}}),
    "its ONBUILD would run": ([system()], {"OnBuild": ["COPY . /api"]}),
    "it is wrapped already": ([system(), {"opt/playground/bin/python": ELF}], {}),
    "it has its own /api/gunicorn.conf.py": ([system(), {"api/gunicorn.conf.py": b""}], {}),
    "none of its Pythons is on its PATH": (
        [system(), VENV, {"usr/local/bin/python3.12": ELF}],
        {"Env": ["PATH=/nowhere"]},
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_wrapped_is_refused_with_the_reason(look, words: str) -> None:
    layers, config = REFUSED[words]
    with pytest.raises(WrapRefusedError) as refused:
        plan_wrap(look(*layers, **config))
    assert [words in problem for problem in refused.value.problems] == [True], refused.value.problems


def test_all_reasons_at_once(look) -> None:
    with pytest.raises(WrapRefusedError, match="3 reasons"):
        plan_wrap(look({"opt/playground/a": b""}, architecture="arm64"))

"""How an image will be wrapped: decided from what was seen, before anything is built; or refused, with every reason."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from playground.errors import GenerateError, WrapRefusedError
from playground.wrap.image.opening import repository_of
from playground.wrap.image.pythons import Interpreter
from playground.wrap.image.report import ImageReport

KIND = "playground-plan"
FORMAT = 1
OLDEST_PREDICTOR = (3, 6)
OLDEST_SERVER, NEWEST_SERVER = (3, 10), (3, 14)
BROUGHT = "3.12"
"""The Python that uv brings where the image has none for the server."""
OLDEST_GLIBC = (2, 28)
"""The server's wheels are manylinux_2_28."""
CONF = "gunicorn.conf.py"
PREFERENCE = ("local", "system", "pyenv", "conda", "other", "venv")


class Reset(msgspec.Struct, frozen=True):
    """Something of the image's that the service does without: what it was, what it becomes, why."""

    what: str
    was: str
    becomes: str
    why: str


class WrapPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How an image will be wrapped.

    Attributes:
        image, digest, image_id: what was looked at.
        predictor_python, predictor_version: the interpreter of the predictor, and why that one.
        server: "image" for a virtual environment of the image's own Python, "uv" for a Python that uv brings.
        server_python: its path in the image; or its version.
        pip: whether that Python brings pip; else the build fetches it.
        run_as: the user of the service.
        conf: where gunicorn finds its configuration.
        resets: what of the image's is not for the service.
        warnings: what may surprise.
        packages: how many packages the image's Pythons have.
    """

    kind: str = KIND
    format: int = FORMAT
    image: str
    digest: str = ""
    image_id: str = ""
    predictor_python: str
    predictor_version: str
    predictor_why: str
    server: str
    server_python: str
    server_why: str
    pip: bool = True
    run_as: str = "playground"
    conf: str = f"/api/{CONF}"
    resets: tuple[Reset, ...] = ()
    warnings: tuple[str, ...] = ()
    packages: int = 0

    @property
    def base(self) -> str:
        """The image, pinned by its digest where a registry knows it."""
        return f"{repository_of(self.image)}@{self.digest}" if self.digest and self.image[:1] != "/" else self.image


def plan_wrap(report: ImageReport, python: str | None = None) -> WrapPlan:
    """The plan for an image.

    Args:
        report: what was seen.
        python: PREDICTOR_PYTHON, where the partner says it.

    Raises:
        WrapRefusedError: it cannot be wrapped; with every reason.
    """
    problems = list(_problems(report))
    chosen, why = choose_predictor_python(report, python)
    problems += _predictor_problems(report, chosen, python)
    server = choose_server_python(report)
    if problems or chosen is None:
        raise WrapRefusedError(
            f"{report.reference} cannot be wrapped: {len(problems)} reason{'s' * (len(problems) > 1)}",
            "mend the image and look again; nothing was built",
            tuple(problems),
        )
    covered = [volume for volume in report.volumes if _is_below("/api", volume)]
    return WrapPlan(
        image=report.reference,
        digest=report.digest,
        image_id=report.image_id,
        predictor_python=_as_asked(chosen, python),
        predictor_version=chosen.version,
        predictor_why=why,
        server="image" if server else "uv",
        server_python=server.path if server else BROUGHT,
        server_why=_server_why(report, server),
        pip=server is None or server.ensurepip,
        run_as=_run_as(report),
        conf=f"/opt/playground/app/{CONF}" if covered else f"/api/{CONF}",
        resets=tuple(_resets(report)),
        warnings=tuple(_warnings(report, server)),
        packages=report.packages,
    )


def choose_predictor_python(report: ImageReport, python: str | None = None) -> tuple[Interpreter | None, str]:
    """The interpreter that runs the predictor, and why it is that one."""
    if python:
        return _named(report, python), "PREDICTOR_PYTHON names it"
    holder = next((each for each in report.interpreters if report.found and _holds(each, report.found[0])), None)
    if holder is not None:
        return holder, f"it has {report.package}"
    for word in (*report.entrypoint, *report.command):
        if word.startswith("/") and (found := _in_folder(report, posixpath.dirname(word))):
            return found, f"the image starts {word}"
    if report.virtual_env and (found := _in_folder(report, f"{report.virtual_env}/bin")):
        return found, "the image's environment names it"
    for name in ("python3", "python"):
        if found := _named(report, name):
            return found, f"it is the first {name} of the image's PATH"
    return (report.interpreters[0], "it is the only one") if len(report.interpreters) == 1 else (None, "")


def choose_server_python(report: ImageReport) -> Interpreter | None:
    """The image's own Python that the server's environment is made of; None where it has none that does."""
    fit = [
        each
        for each in report.interpreters
        if OLDEST_SERVER <= each.release[:2] <= NEWEST_SERVER and each.venv and each.amd64 is not False
    ]
    if not fit or not report.has_shell:
        return None
    return min(fit, key=lambda each: (not each.ensurepip, PREFERENCE.index(each.kind), each.path))


def write_plan(plan: WrapPlan, path: Path) -> None:
    """As JSON, the same bytes for the same plan."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan, order="sorted"), indent=2) + b"\n")


def read_plan(path: Path) -> WrapPlan:
    """The plan of a file.

    Raises:
        GenerateError: there is none.
    """
    hint = "write one with `playground inspect-image IMAGE --package PACKAGE --plan FILE`"
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=WrapPlan)
    except OSError as error:
        raise GenerateError(f"{path}: {error.strerror}", hint) from error
    except msgspec.DecodeError as error:
        raise GenerateError(f"{path} is no plan: {error}", hint) from error
    if plan.kind != KIND or plan.format != FORMAT:
        raise GenerateError(f"{path} is no plan that this version reads", hint)
    return plan


def _problems(report: ImageReport) -> Iterator[str]:
    """Why the image as such cannot be wrapped."""
    if report.architecture != "linux/amd64":
        yield f"it is for {report.architecture}, App Engine runs linux/amd64: build it with --platform linux/amd64"
    if report.libc == "musl":
        yield "its libc is musl: the server's pycurl and simplejpeg have no wheels for it; take one with glibc"
    glibc = tuple(int(part) for part in re.findall(r"\d+", report.libc))
    if glibc and glibc < OLDEST_GLIBC:
        yield f"its {report.libc} is too old: the server's wheels need 2.28 (Debian 10, Ubuntu 20.04, UBI 8) or newer"
    if report.wrapped:
        yield "it is wrapped already (/opt/playground is there): give the partner's own image"
    if CONF in report.api:
        yield f"it has its own /api/{CONF}, which the service needs: rename it"
    for volume in report.volumes:
        if _is_below("/opt/playground", volume):
            yield f"its VOLUME {volume} would hide the server in /opt/playground: take it away"
    if report.onbuild:
        triggers = "; ".join(report.onbuild)
        yield f"its ONBUILD would run while it is wrapped ({triggers}): build a child of it, and give that"


def _predictor_problems(report: ImageReport, chosen: Interpreter | None, python: str | None) -> Iterator[str]:
    """Why the predictor could not run in it."""
    versions = ", ".join(f"{each.path} ({each.version})" for each in report.interpreters)
    if chosen is None and not report.interpreters:
        yield "it has no Python, so nothing can run the predictor"
    elif all(each.release < (3,) for each in report.interpreters):
        yield "it has Python 2 only; predictors run in Python 3.6 or newer: port it"
    elif chosen is None and python:
        yield f"PREDICTOR_PYTHON {python} is not in it; it has {versions}"
    elif chosen is None:
        yield f"none of its Pythons is on its PATH: set PREDICTOR_PYTHON to one of {versions}"
    elif chosen.amd64 is False:
        yield f"{chosen.path} is a program for another processor than amd64"
    elif chosen.release < OLDEST_PREDICTOR:
        others = any(each.release >= OLDEST_PREDICTOR for each in report.interpreters)
        other = f": set PREDICTOR_PYTHON to another of {versions}" if others else ": port it"
        yield f"{chosen.path} is Python {chosen.version}; predictors run in Python 3.6 or newer{other}"
    elif report.package and not report.found:
        yield f"PREDICTOR_PACKAGE {report.package} is nowhere in it: copy it to /api, or install it"
    elif report.package and not _reachable(report, chosen):
        yield (
            f"PREDICTOR_PACKAGE {report.package} is at {report.found[0]}, where {chosen.path} does not look "
            "when started in /api: copy it to /api, install it, or name its folder in PYTHONPATH"
        )


def _reachable(report: ImageReport, chosen: Interpreter) -> bool:
    """Whether the predictor process finds the package: in /api, on PYTHONPATH, or among its own packages."""
    depth = report.package.count(".") + 1
    for path in report.found:
        folder = re.sub(r"/__init__\.pyc?$", "", path)
        for _ in range(depth):
            folder = posixpath.dirname(folder)
        if folder in ("/api", *report.python_path, *chosen.folders, *chosen.search):
            return True
    return False


def _resets(report: ImageReport) -> Iterator[Reset]:
    """What of the image's configuration is not for the service."""
    if report.entrypoint:
        why = "it would start the partner's own program around ours"
        yield Reset("ENTRYPOINT", " ".join(report.entrypoint), "none", why)
    if report.command:
        yield Reset("CMD", " ".join(report.command), "gunicorn", "the service is started instead")
    if report.workdir not in ("/api", "/api/"):
        yield Reset("WORKDIR", report.workdir, "/api", "the predictor's files are there")
    run_as = _run_as(report)
    if report.user.partition(":")[0] != run_as.partition(":")[0]:
        yield Reset("USER", report.user or "root", run_as, "a service need not be root")
    if report.healthcheck and report.healthcheck != "NONE":
        yield Reset("HEALTHCHECK", report.healthcheck, "NONE", "it asks the partner's own server")
    if report.stop_signal not in ("", "SIGTERM", "15"):
        yield Reset("STOPSIGNAL", report.stop_signal, "SIGTERM", "gunicorn drains on SIGTERM")
    if report.shell and report.shell != ("/bin/sh", "-c"):
        yield Reset("SHELL", " ".join(report.shell), "/bin/sh -c", "the steps of the build are written for it")
    for name in ("PORT", "WORKERS", "BACKLOG", "TIMEOUT", "GUNICORN_CMD_ARGS"):
        if name in report.environment:
            becomes = "8080" if name == "PORT" else "empty"
            yield Reset(f"ENV {name}", report.environment[name], becomes, "it was for the partner's own server")
    for name in report.environment:
        if name.startswith(("PYTHON", "PIP_")):
            why = "the server's Python runs with -I, its pip with --isolated; the predictor keeps it"
            yield Reset(f"ENV {name}", report.environment[name], "not read by the server", why)


def _warnings(report: ImageReport, server: Interpreter | None) -> Iterator[str]:
    for volume in report.volumes:
        if _is_below("/api", volume):
            yield f"VOLUME {volume}: what a build puts there is lost, so the service starts from /opt/playground/app"
    for name in report.secrets:
        yield f"ENV {name} looks like a secret; whoever has the image can read it"
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH"):
        if name in report.environment:
            yield f"ENV {name} is for every program, the server included"
    if server is None:
        yield (f"the server's Python {BROUGHT} comes from an image with uv, which the machine that builds must reach")
    elif not server.ensurepip:
        yield f"{server.path} has no ensurepip: the build fetches pip from the package index, by its hash"
    if not report.digest:
        yield "no registry knows its digest: the build takes what the tag means on that day; push it, and look again"
    if report.family == "other" and not report.system:
        yield "it does not say what system it is (no /etc/os-release)"


def _server_why(report: ImageReport, server: Interpreter | None) -> str:
    if server is not None:
        return f"it is the image's own Python {server.version}, and makes virtual environments"
    if not report.has_shell:
        return "the image has no /bin/sh"
    return "no Python of the image is 3.10 to 3.14 with venv"


def _run_as(report: ImageReport) -> str:
    """The partner's user unless that is root, or has no name in the image."""
    name = report.user.partition(":")[0]
    if name in ("", "root", "0"):
        return "playground"
    return report.user if name.isdigit() or name in report.users else "playground"


def _as_asked(chosen: Interpreter, python: str | None) -> str:
    return python if python and python.startswith("/") else chosen.path


def _named(report: ImageReport, python: str) -> Interpreter | None:
    """The interpreter of a path, or of a command on the image's PATH."""
    folder, _, name = python.rpartition("/")
    for each in [folder] if folder else report.path.split(":"):
        for interpreter in report.interpreters:
            if any(posixpath.basename(path) == name and _same_folder(path, each) for path in interpreter.paths):
                return interpreter
    return None


def _in_folder(report: ImageReport, folder: str) -> Interpreter | None:
    fit = (each for each in report.interpreters if any(_same_folder(path, folder) for path in each.paths))
    return next((each for each in fit if each.kind != "system"), None)


def _same_folder(path: str, other: str) -> bool:
    """Whether a path is in a folder; /bin is /usr/bin, where systems are usr-merged."""

    def full(folder: str) -> str:
        folder = posixpath.normpath(folder or "/")
        return f"/usr{folder}" if folder in ("/bin", "/sbin") else folder

    return full(posixpath.dirname(path)) == full(other)


def _holds(interpreter: Interpreter, path: str) -> bool:
    return any(path.startswith(f"{folder}/") for folder in (*interpreter.folders, *interpreter.search))


def _is_below(path: str, folder: str) -> bool:
    folder = posixpath.normpath(folder)
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")

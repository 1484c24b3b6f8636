"""A service's settings rendered as files: the same settings, the same bytes. Nothing here touches the disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

from jinja2 import Environment, StrictUndefined

from playground import resources
from playground.errors import GenerateError
from playground.settings import PredictorSettings, ServiceSettings
from playground.settings.fields import defaults_of, settings_of
from playground.version import __version__
from playground.wrap.dockerfile import render_dockerfile, substitute
from playground.wrap.image.opening import repository_of
from playground.wrap.plan import WrapPlan
from playground.wrap.wheel import wheel_bytes

IN_GUNICORN_CONF = ("workers", "backlog", "timeout", "batch_size")


def render_context(
    settings: ServiceSettings, project: str | None = None, plan: WrapPlan | None = None
) -> dict[str, bytes]:
    """The build context of a service: path -> content.

    Args:
        settings: the partner's.
        project: the Google Cloud project, the team's.
        plan: how the image is to be wrapped, where it was inspected.

    Raises:
        GenerateError: the settings name no image.
    """
    if settings.image is None:
        raise GenerateError("the service has no image", "give the partner's Docker image as image: in service.yaml")
    if plan is not None:
        settings = _planned(settings, plan)
    wheel_name, wheel = wheel_bytes()
    readme = render_template("templates/README.md.j2", vars(settings) | {"project": project, "version": __version__})
    files = render_runtime(settings, project) | {
        "requirements.txt": resources.read("templates/requirements.txt"),
        wheel_name: wheel,
    }
    if plan is None or plan.server == "image":
        files["get_pip.py"] = resources.read("templates/get_pip.py")
    files |= {
        "Dockerfile": render_dockerfile(settings, plan, source_digest(files)).encode(),
        "README.md": readme.encode(),
        ".dockerignore": resources.read("templates/dockerignore"),
        ".gcloudignore": resources.read("templates/gcloudignore"),
    }
    return dict(sorted(files.items()))


def render_cloudbuild(settings: ServiceSettings, context: str, project: str | None = None) -> dict[str, bytes]:
    """What Cloud Build needs to build the image, for a folder of its own.

    Args:
        settings: the partner's.
        context: the build context, as seen from that folder.
        project: the Google Cloud project.
    """
    repository = f"europe-docker.pkg.dev/{project or '$PROJECT_ID'}/playground"
    values: dict[str, object] = {"name": settings.name, "context": context, "project": project}
    values["repository"] = repository
    return {"cloudbuild.yaml": render_template("templates/cloudbuild.yaml.j2", values).encode()}


def render_runtime(settings: ServiceSettings, project: str | None = None) -> dict[str, bytes]:
    """What the server needs to run, with or without an image: app.yaml, gunicorn.conf.py, app/."""
    app_yaml = render_template("app.yaml.j2", vars(settings) | {"variables": environment(settings, project)})
    files = {f"app/{name}": content for name, content in resources.app().items()}
    return files | {"app.yaml": app_yaml.encode(), "gunicorn.conf.py": _gunicorn_conf(settings).encode()}


def environment(settings: ServiceSettings, project: str | None = None) -> dict[str, str]:
    """The environment variables of the running service; its three numbers are in gunicorn.conf.py."""
    variables = {
        "PREDICTOR_PACKAGE": settings.predictor_package,
        "PREDICTOR_CLASS": settings.predictor_class,
        "PROJECT_NAME": project,
        "ZOOM_LEVEL": str(settings.zoom_level),
        "PADDING": str(settings.padding),
        "TILES": settings.tiles,
        "FILL": settings.fill,
        "PREDICTOR_PYTHON": settings.predictor_python,
        "AUTH": settings.auth or "none",
    }
    # Settings that few services need are written where they differ from the default.
    defaults = defaults_of(PredictorSettings)
    for key, (attribute, definition) in settings_of(PredictorSettings).items():
        value = getattr(settings, attribute)
        if definition.env not in variables and key not in IN_GUNICORN_CONF and value != defaults[key]:
            variables[definition.env] = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return {key: value for key, value in variables.items() if value is not None}


def source_digest(files: Mapping[str, bytes]) -> str:
    """One digest of all files that go into an image."""
    rows = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return f"sha256:{hashlib.sha256(rows.encode()).hexdigest()}"


def _gunicorn_conf(settings: ServiceSettings) -> str:
    text = resources.read("gunicorn.conf.py").decode()
    for key in IN_GUNICORN_CONF:
        text = substitute(rf'boot\.number\("{key}", [0-9]+\)', f'boot.number("{key}", {getattr(settings, key)})', text)
    return text


def _planned(settings: ServiceSettings, plan: WrapPlan) -> ServiceSettings:
    """The settings with the interpreter that the plan found.

    Raises:
        GenerateError: the plan is of another image.
    """
    if plan.image != settings.image:
        same = settings.image and repository_of(plan.image) == repository_of(settings.image)
        hint = "look at the image anew" if same else "inspect the image that service.yaml names"
        raise GenerateError(f"the plan is of {plan.image}, service.yaml names {settings.image}", hint)
    return dataclasses.replace(settings, predictor_python=plan.predictor_python)


def render_template(name: str, values: dict[str, object]) -> str:
    """A template, named from ``resources.root()``, with its values."""
    # No escaping for HTML: these are YAML and Markdown; what goes into YAML passes through ``quoted``.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.filters["quoted"] = _quoted
    return environment.from_string(resources.read(name).decode()).render(values)


def _quoted(text: str) -> str:
    """YAML's double-quoted text, in ASCII. JSON's is the same but beyond 16 bits, where it has surrogates."""
    return '"' + "".join(f"\\U{ord(char):08x}" if char > "\uffff" else json.dumps(char)[1:-1] for char in text) + '"'

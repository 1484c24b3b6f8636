"""A service's settings rendered as files: the same settings, the same bytes. Nothing here touches the disk."""

from __future__ import annotations

import json
import re

from jinja2 import Environment, StrictUndefined

from playground import resources
from playground.errors import GenerateError
from playground.settings import PredictorSettings, ServiceSettings
from playground.settings.fields import defaults_of, settings_of
from playground.version import __version__
from playground.wrap.wheel import wheel_bytes

IN_GUNICORN_CONF = ("workers", "backlog", "timeout", "batch_size")


def render_context(settings: ServiceSettings, project: str | None = None) -> dict[str, bytes]:
    """The build context of a service: path -> content.

    Args:
        settings: the partner's.
        project: the Google Cloud project, the team's.

    Raises:
        GenerateError: the settings name no image.
    """
    if settings.image is None:
        raise GenerateError("the service has no image", "give the partner's Docker image as image: in service.yaml")
    wheel_name, wheel = wheel_bytes()
    readme = render_template("templates/README.md.j2", vars(settings) | {"project": project, "version": __version__})
    files = render_runtime(settings, project) | {
        "Dockerfile": _dockerfile(settings, settings.image).encode(),
        "README.md": readme.encode(),
        "requirements.txt": resources.read("templates/requirements.txt"),
        wheel_name: wheel,
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


def _dockerfile(settings: ServiceSettings, image: str) -> str:
    """Dockerfile.integration with the image filled in, and labels that say what it is."""
    text = resources.read("Dockerfile.integration").decode()
    build = f"docker build --tag {settings.name} ."
    header = f"# {settings.name}: {build}\n#\n# Written by `playground generate` from this:\n#\n"
    labels = {
        "org.opencontainers.image.title": settings.name,
        "org.opencontainers.image.description": f"{settings.predictor_package}:{settings.predictor_class} as a service",
        "org.opencontainers.image.base.name": image,
        "playground.version": __version__,
    }
    rows = " \\\n".join(f"      {key}={_for_dockerfile(value)}" for key, value in labels.items())
    text = _substitute(r"^ARG base_id$", f"ARG base_id={_for_dockerfile(image)}", text)
    return f"{header}{text}\nLABEL {rows.lstrip()}\n"


def _gunicorn_conf(settings: ServiceSettings) -> str:
    text = resources.read("gunicorn.conf.py").decode()
    for key in IN_GUNICORN_CONF:
        text = _substitute(rf'boot\.number\("{key}", [0-9]+\)', f'boot.number("{key}", {getattr(settings, key)})', text)
    return text


def _substitute(pattern: str, new: str, text: str) -> str:
    """Replace what must stand exactly once."""
    text, count = re.subn(pattern, lambda _: new, text, flags=re.MULTILINE)
    if count != 1:
        raise GenerateError(f"{pattern} stands {count} times in what it was taken for", "install tile-playground again")
    return text


def _for_dockerfile(value: str) -> str:
    """A Dockerfile's double-quoted text; there, $ would be a variable."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def render_template(name: str, values: dict[str, object]) -> str:
    """A template, named from ``resources.root()``, with its values."""
    # No escaping for HTML: these are YAML and Markdown; what goes into YAML passes through ``quoted``.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.filters["quoted"] = json.dumps
    return environment.from_string(resources.read(name).decode()).render(values)

"""Dockerfile.integration with everything that is known of a service filled in. Pure text."""

from __future__ import annotations

import json
import re

from playground import resources
from playground.errors import GenerateError
from playground.settings import ServiceSettings
from playground.version import __version__
from playground.wrap.plan import WrapPlan

TAIL = "COPY app/ /opt/playground/app/"
"""Where Dockerfile.integration begins to be the same for every way the server's Python comes from."""
CONF = "/api/gunicorn.conf.py"


def render_dockerfile(settings: ServiceSettings, plan: WrapPlan | None, source: str) -> str:
    """The Dockerfile of a service.

    Args:
        settings: with an image.
        plan: of that image, where it was inspected.
        source: the digest of what the Dockerfile copies.
    """
    assert settings.image is not None
    text = resources.read("Dockerfile.integration").decode()
    base = plan.base if plan else settings.image
    if plan is not None and plan.server == "uv":
        text = resources.read("templates/Dockerfile.uv").decode() + text[text.index(TAIL) :]
        text = substitute(r"^ARG server_version=.*$", f"ARG server_version={for_dockerfile(plan.server_python)}", text)
    elif plan is not None:
        text = substitute(r"^ARG server_python=.*$", f"ARG server_python={for_dockerfile(plan.server_python)}", text)
    if plan is not None:
        text = substitute(r"^ARG run_as=.*$", f"ARG run_as={for_dockerfile(plan.run_as)}", text)
    if plan is not None and plan.conf != CONF:
        text = substitute(r"^# Another step, because[^\n]*\nRUN [^\n]*\n\n", "", text)
        text = substitute(r'"--config", "[^"]*"', f'"--config", {json.dumps(plan.conf)}', text)
    text = substitute(r"^ARG base_id$", f"ARG base_id={for_dockerfile(base)}", text)
    return f"{_header(settings, plan)}{text}\n{_labels(settings, plan, source)}"


def _header(settings: ServiceSettings, plan: WrapPlan | None) -> str:
    rows = [f"{settings.name}: docker build --tag {settings.name} .", "", "Written by `playground generate` from this:"]
    if plan is not None:
        told = [
            f"The image was inspected: {plan.image}",
            f"predictor  {plan.predictor_python} ({plan.predictor_version}): {plan.predictor_why}",
            f"server     {plan.server_python}{' brought by uv' if plan.server == 'uv' else ''}: {plan.server_why}",
            *(f"{reset.what}: {_shortened(reset.was)} -> {reset.becomes}: {reset.why}" for reset in plan.resets),
            *(f"mind: {warning}" for warning in plan.warnings),
        ]
        rows[2:2] = [*told, ""]
    return "".join(f"# {_one_line(row)}".rstrip() + "\n" for row in rows) + "#\n"


def _labels(settings: ServiceSettings, plan: WrapPlan | None, source: str) -> str:
    assert settings.image is not None
    labels = {
        "org.opencontainers.image.title": settings.name,
        "org.opencontainers.image.description": f"{settings.predictor_package}:{settings.predictor_class} as a service",
        "org.opencontainers.image.base.name": settings.image,
        "org.opencontainers.image.base.digest": plan.digest if plan else "",
        "org.opencontainers.image.revision": source,
        "playground.version": __version__,
        "playground.zoom": str(settings.zoom_level),
        "playground.padding": str(settings.padding),
    }
    rows = " \\\n".join(f"      {key}={for_dockerfile(value)}" for key, value in labels.items() if value)
    return f"LABEL {rows.lstrip()}\n"


def substitute(pattern: str, new: str, text: str) -> str:
    """Replace what must stand exactly once."""
    text, count = re.subn(pattern, lambda _: new, text, flags=re.MULTILINE)
    if count != 1:
        raise GenerateError(f"{pattern} stands {count} times in what it was taken for", "install tile-playground again")
    return text


def for_dockerfile(value: str) -> str:
    """A Dockerfile's double-quoted text; there, $ would be a variable, and a line's end the end."""
    value = _one_line(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def _one_line(text: str) -> str:
    """Without line ends, and without what a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."

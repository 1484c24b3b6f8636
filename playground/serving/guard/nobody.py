"""AUTH: none. Everybody may use the service."""

from __future__ import annotations

from werkzeug.datastructures import Headers

from playground.settings import RunningSettings


class NoGuard:
    """Asks nobody."""

    challenge = ""

    def __init__(self, settings: RunningSettings) -> None:
        pass

    def admit(self, given: Headers) -> str:
        return ""

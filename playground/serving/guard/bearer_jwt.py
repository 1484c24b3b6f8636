"""AUTH: bearer-jwt. Tokens of an identity provider, in Authorization: Bearer TOKEN."""

from __future__ import annotations

from werkzeug.datastructures import Headers

from playground.errors import ForbiddenError, SettingsError
from playground.serving.guard.bearer import bearer_of
from playground.serving.guard.jwks import ALGORITHMS, KeySet
from playground.serving.guard.tokens import TokenCheck
from playground.settings import RunningSettings

HINT = "get a token from the issuer that this service trusts, and send it as Authorization: Bearer TOKEN"


class BearerJwtGuard:
    """Trusts one issuer, for one audience."""

    def __init__(self, settings: RunningSettings) -> None:
        self.challenge = f'Bearer realm="{settings.name}"'
        url, issuer, audience = settings.jwks_url, settings.jwt_issuer, settings.jwt_audience
        if not (url and issuer and audience):
            needed = {"JWKS_URL": url, "JWT_ISSUER": issuer, "JWT_AUDIENCE": audience}
            missing = ", ".join(key for key, value in needed.items() if not value)
            raise SettingsError(f"AUTH: bearer-jwt needs {missing}")
        self._check = TokenCheck(KeySet(url), tuple(ALGORITHMS), issuer, audience)
        self._scopes = set((settings.jwt_scope or "").split())

    def admit(self, given: Headers) -> str:
        claims = self._check.claims(bearer_of(given, HINT), HINT)
        granted = claims.get("scope", claims.get("scp", ""))  # RFC 8693's texts, or the lists of some providers
        granted = granted.split() if isinstance(granted, str) else granted if isinstance(granted, list) else []
        lacking = sorted(scope for scope in self._scopes if scope not in granted)
        if lacking:
            raise ForbiddenError(f"the token lacks the scope {' '.join(lacking)}", "ask the issuer for it")
        return str(claims["sub"])

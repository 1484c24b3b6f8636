"""AUTH: iap. Google's Identity-Aware Proxy signs what it lets through; other headers of its are claims of anybody.

Source: https://cloud.google.com/iap/docs/signed-headers-howto
"""

from __future__ import annotations

from werkzeug.datastructures import Headers

from playground.errors import SettingsError, UnauthenticatedError
from playground.serving.guard.bearer import LONGEST
from playground.serving.guard.jwks import KeySet
from playground.serving.guard.tokens import TokenCheck
from playground.settings import RunningSettings

HEADER = "X-Goog-IAP-JWT-Assertion"
ISSUER = "https://cloud.google.com/iap"
HINT = "come through the Identity-Aware Proxy in front of this service"


class IapGuard:
    """Trusts the proxy's signature, for one audience."""

    def __init__(self, settings: RunningSettings) -> None:
        self.challenge = f'IAP realm="{settings.name}"'
        if not settings.iap_audience:
            raise SettingsError("AUTH: iap needs IAP_AUDIENCE")
        self._check = TokenCheck(KeySet(settings.iap_keys_url), ("ES256",), ISSUER, settings.iap_audience)

    def admit(self, given: Headers) -> str:
        found = given.getlist(HEADER)
        if len(found) != 1 or not found[0] or len(found[0]) > LONGEST:
            raise UnauthenticatedError(f"{HEADER} is missing, or is no token", HINT)
        claims = self._check.claims(found[0], HINT)
        return str(claims.get("email") or claims["sub"])

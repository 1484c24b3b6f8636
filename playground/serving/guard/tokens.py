"""Signed tokens (JWT, RFC 7519), checked as RFC 8725 advises."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jwt

from playground.errors import UnauthenticatedError
from playground.serving.guard.jwks import KeySet

LEEWAY_SECONDS = 30
REQUIRED = ["exp", "iat", "iss", "aud", "sub"]


@dataclass(frozen=True)
class TokenCheck:
    """What a token must be.

    Attributes:
        keys: of the issuer. What a token says about its own key (jwk, jku, x5u) is not read.
        algorithms: of these; each a key of ``jwks.ALGORITHMS``.
        issuer: who must have issued it.
        audience: for whom.
    """

    keys: KeySet
    algorithms: Collection[str]
    issuer: str
    audience: str

    def claims(self, token: str, hint: str) -> dict[str, Any]:
        """What a token says, once it is known to be true.

        Raises:
            UnauthenticatedError: it is not.
            KeysUnavailableError: it cannot be told now.
        """
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if not isinstance(algorithm, str) or algorithm not in self.algorithms:
                raise UnauthenticatedError(f"a token must be signed by {', '.join(self.algorithms)}", hint)
            if not isinstance(kid, str) or "crit" in header:
                raise UnauthenticatedError("a token must name its key (kid), and have no crit", hint)
            key = self.keys.find(kid, algorithm)
            if key is None:
                raise UnauthenticatedError("the token's key is none of the issuer's", hint)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.issuer,
                audience=self.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED},
            )
        except jwt.PyJWTError as error:
            raise UnauthenticatedError(f"the token is not valid: {_in_words(error)}", hint) from None
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise UnauthenticatedError("the token is not valid: it cannot be read", hint) from None
        return claims


def _in_words(error: jwt.PyJWTError) -> str:
    words: dict[type[Exception], str] = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidAudienceError: "it is for another audience",
        jwt.InvalidIssuerError: "it is from another issuer",
        jwt.InvalidSignatureError: "its signature is wrong",
    }
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"it has no {error.claim}"
    return words.get(type(error), "it cannot be read")

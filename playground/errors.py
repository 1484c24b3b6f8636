"""Every error that playground raises on purpose, one class a cause.

    PlaygroundError
    ├── SettingsError               service.yaml, app.yaml or the environment: all problems at once
    ├── GenerateError               a build context cannot be written
    ├── ImageReadError              an image that is not there, or cannot be read
    ├── WrapRefusedError            an image that cannot be wrapped: every reason at once
    ├── BuildError                  the engine could not build the image, or it is not what it should be
    ├── CertificateError            what is to be promoted was not checked, or did not pass
    ├── DeployError                 a deployment cannot begin, or was stopped; traffic is as it was
    ├── FormatError                 features cannot be written in this format
    ├── RunError                    a run over an area cannot begin, or go on: its journal, its files, its service
    ├── RequestError                what the caller sent
    │   ├── PayloadError            not the JSON, or not the keys, that the service reads
    │   ├── AddressError            a tile or place outside the map, or at another zoom
    │   ├── AreaError               an area that is none: no bbox, GeoJSON or list of tiles
    │   ├── AreaTooLargeError       an area of more tiles than one request may ask for
    │   ├── KeyReusedError          an Idempotency-Key that stands for another request
    │   ├── KeyInUseError           an Idempotency-Key whose request is still under way
    │   ├── UrlRefusedError         a URL that this service does not fetch from
    │   └── ImageError              bytes that are no readable image, or too large a one
    ├── AccessError                 who may ask, and how often
    │   ├── UnauthenticatedError    no credentials, or not valid ones
    │   ├── ForbiddenError          valid credentials that are not enough for this
    │   ├── RateLimitedError        asked too often
    │   └── KeysUnavailableError    what proves credentials cannot be fetched now
    ├── TileNotFoundError           no imagery here
    ├── TileSourceError             the tile source failed; later it may work
    │   ├── TileTimeoutError        the tile source did not answer in time
    │   └── FetchRefusedError       it leads to where the configuration does not allow to fetch from
    ├── SourceSettingsError         a source string that names nothing readable
    └── PredictorError              the partner's predictor
        ├── PredictorNotReadyError  still loading, or could not be loaded
        ├── PredictorBusyError      enough requests wait already
        ├── PredictorTimeoutError   a prediction took longer than the deadline
        ├── PredictorCrashedError   the predictor process died during the request
        ├── PredictorFailedError    predict() raised
        ├── RequestAbandonedError   the client went away before its turn
        ├── TilePoisonedError       this tile crashed or hung the predictor too often
        └── TileRejectedError       the predictor says that this tile cannot be predicted (PredictError)

Each carries a hint: what the person who reads it can do.
"""

from __future__ import annotations


class PlaygroundError(Exception):
    """The root of the tree.

    Args:
        message: what is wrong, naming the thing.
        hint: what the reader can do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after: float | None = None
        """Seconds after which a retry may help, where that is known."""


class SettingsError(PlaygroundError):
    """Settings that cannot be used; ``problems`` lists every one of them."""

    def __init__(self, message: str, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.problems = problems

    def __str__(self) -> str:
        """The message and every problem: what a traceback shows to those who call us from Python."""
        return "\n  ".join((self.message, *(each for each in self.problems if each != self.message)))


class GenerateError(PlaygroundError):
    """A build context cannot be written."""


class ImageReadError(PlaygroundError):
    """An image is not there, or cannot be read."""


class WrapRefusedError(PlaygroundError):
    """An image cannot be wrapped; ``problems`` lists every reason."""

    def __init__(self, message: str, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.problems = problems


class BuildError(PlaygroundError):
    """The engine could not build the image, or the image is not what it should be."""


class CertificateError(PlaygroundError):
    """What is to be promoted was not checked, or did not pass."""


class DeployError(PlaygroundError):
    """A deployment cannot begin, or was stopped; the traffic is as it was."""


class FormatError(PlaygroundError):
    """Features cannot be written in this format."""


class RunError(PlaygroundError):
    """A run over an area cannot begin, or go on: its journal, its files, its service."""


class RequestError(PlaygroundError):
    """What the caller sent cannot be used."""


class PayloadError(RequestError):
    """Not the JSON, or not the keys, that the service reads."""


class AddressError(RequestError):
    """A tile or place outside the map, or at another zoom."""


class AreaError(RequestError):
    """An area that is none: no bbox, GeoJSON or list of tiles."""


class AreaTooLargeError(RequestError):
    """An area of more tiles than one request may ask for."""


class KeyReusedError(RequestError):
    """An Idempotency-Key that stands for another request."""


class KeyInUseError(RequestError):
    """An Idempotency-Key whose request is still under way."""


class UrlRefusedError(RequestError):
    """A URL that this service does not fetch from."""


class ImageError(RequestError):
    """Bytes that are no readable image, or too large a one."""


class AccessError(PlaygroundError):
    """The caller may not have this, or not now."""


class UnauthenticatedError(AccessError):
    """No credentials, or not valid ones."""


class ForbiddenError(AccessError):
    """Valid credentials that are not enough for this."""


class RateLimitedError(AccessError):
    """The caller asked too often."""


class KeysUnavailableError(AccessError):
    """The keys that prove a caller's credentials cannot be fetched now."""


class TileNotFoundError(PlaygroundError):
    """The source has no imagery here."""


class TileSourceError(PlaygroundError):
    """The tile source failed; later it may work."""


class TileTimeoutError(TileSourceError):
    """The tile source did not answer in time."""


class FetchRefusedError(TileSourceError):
    """An address, a redirect or a DNS answer leads to where the configuration does not allow to fetch from."""


class SourceSettingsError(PlaygroundError):
    """A source string that names nothing readable."""


class PredictorError(PlaygroundError):
    """The partner's predictor cannot answer."""


class PredictorNotReadyError(PredictorError):
    """The predictor is still loading, or could not be loaded."""


class PredictorBusyError(PredictorError):
    """Enough requests wait for the predictor already."""


class PredictorTimeoutError(PredictorError):
    """A prediction took longer than the deadline."""


class PredictorCrashedError(PredictorError):
    """The predictor process died during the request."""


class PredictorFailedError(PredictorError):
    """predict() raised."""


class TileRejectedError(PredictorError):
    """The predictor says that this tile cannot be predicted."""


class RequestAbandonedError(PredictorError):
    """The client went away before its turn."""


class TilePoisonedError(PredictorError):
    """This tile crashed or hung the predictor too often."""

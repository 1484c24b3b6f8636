"""What became of one tile, and whether trying again may help."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from playground import errors

Fate = Literal["ok", "empty", "missing", "failed"]
FATES: tuple[Fate, ...] = ("ok", "empty", "missing", "failed")


class Job(NamedTuple):
    """A tile to be predicted.

    Attributes:
        seq: its place in the order of the area.
        x, y: column and row.
        attempt: 1 for the first.
    """

    seq: int
    x: int
    y: int
    attempt: int = 1


class Outcome(msgspec.Struct, array_like=True, gc=False):
    """What became of one job.

    Attributes:
        job: seq, x, y, attempt.
        fate: ok, empty (predicted, nothing there), missing (no imagery) or failed.
        pieces: ``Pieces.dumps()`` of an ok tile.
        features: that the predictor gave.
        seconds: it took.
        kind: of error, the class's name.
        error: what failed, in words.
        transient: trying again may help.
        missing: neighbours without imagery.
        repairs: features repaired or dropped, by kind.
    """

    job: Job
    fate: Fate
    pieces: bytes | None = None
    features: int = 0
    seconds: float = 0.0
    kind: str = ""
    error: str = ""
    transient: bool = False
    missing: tuple[str, ...] = ()
    repairs: dict[str, int] = {}


TRANSIENT = (
    errors.TileSourceError,
    errors.PredictorBusyError,
    errors.PredictorNotReadyError,
    errors.PredictorTimeoutError,
    errors.PredictorCrashedError,
)
PERMANENT = (errors.FetchRefusedError,)


def failed(job: Job, error: Exception, seconds: float = 0.0) -> Outcome:
    """The outcome of a job that ended with an error."""
    if isinstance(error, errors.TileNotFoundError):
        return Outcome(job, "missing", seconds=seconds, error=error.message)
    transient = isinstance(error, TRANSIENT) and not isinstance(error, PERMANENT)
    return Outcome(
        job, "failed", seconds=seconds, kind=type(error).__name__, error=str(error) or repr(error), transient=transient
    )

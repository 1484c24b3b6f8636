"""What a check is, what it looks at, and what it says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from playground.imagery import Mask, Pixels

if TYPE_CHECKING:
    from playground.acceptance.bench import Bench

Grade = Literal["must", "should", "good"]
"""must: the service would answer wrongly or not at all; should: it would disappoint; good: it could be better."""
Outcome = Literal["passed", "failed", "skipped"]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How a check went, and a few words: what was seen, or why it could not be checked."""

    outcome: Outcome
    words: str = ""


def passed(words: str = "") -> Verdict:
    """It is as it should be."""
    return Verdict("passed", words)


def failed(words: str) -> Verdict:
    """It is not; the words say what was seen where."""
    return Verdict("failed", words)


def skipped(words: str) -> Verdict:
    """It could not be checked."""
    return Verdict("skipped", words)


@dataclasses.dataclass(frozen=True)
class Check:
    """One question to a predictor.

    Attributes:
        grade: how much it matters.
        run: asks it.
        what: what is true when it passes.
        why: why that matters.
        mend: what to do where it fails.
        sees: what it needs: "process" for the inside of the predictor process, "http" for a service, "any".
    """

    grade: Grade
    run: Callable[[Bench], Verdict]
    what: str
    why: str
    mend: str
    sees: Literal["any", "process", "http"] = "any"


@dataclasses.dataclass(frozen=True)
class Finding:
    """A check and its verdict."""

    name: str
    group: str
    check: Check
    verdict: Verdict

    @property
    def is_bad(self) -> bool:
        """Whether it counts against the predictor: failed, and of grade must or should."""
        return self.verdict.outcome == "failed" and self.check.grade != "good"


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """One image to predict, with its frame.

    Attributes:
        name: of its own among all samples of a run.
        pixels: the padded image.
        padding: pixels added on each side.
        valid: where there is imagery; None for everywhere.
        encoded: the bytes to send; None for a PNG of the pixels.
        address: z, x, y.
    """

    name: str
    pixels: Pixels
    padding: int = 0
    valid: Mask | None = None
    encoded: bytes | None = None
    address: tuple[int, int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Observation:
    """What came of one sample.

    Attributes:
        features: as the predictor gave them (a service: as it answered), in pixels of the padded image.
        report: the audit of these features, see ``answers.normalize``.
        other: the type that was returned where it should have been a result; empty otherwise.
        problem: what went wrong, in words; empty if nothing did.
        rejected: whether the predictor said that this image cannot be predicted: its right.
        ended: whether the predictor process died, or was killed at the deadline.
        seconds: until the answer was there.
        size: bytes of the features as JSON.
        inside: what the probe in the predictor process saw; empty for a service, and after a problem.
    """

    features: list[Any] = dataclasses.field(default_factory=list)
    report: dict[str, Any] = dataclasses.field(default_factory=dict)
    other: str = ""
    problem: str = ""
    rejected: bool = False
    ended: bool = False
    seconds: float = 0.0
    size: int = 0
    inside: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Whether there is an answer: neither a problem nor a rejection."""
        return not (self.problem or self.rejected)


@dataclasses.dataclass(frozen=True)
class Expectations:
    """What the figures are held against.

    Attributes:
        timeout: seconds that one request may take.
        load_seconds: from the start of the process until it can predict.
        first_seconds: the first prediction may take, if it also takes ten times as long as the others.
        calls: predictions for latency and memory.
        call_seconds: after which no more of them are made, once there are ten.
        leak_mb: growth per call.
        answer_mb: of one tile's features, as JSON.
        printed_kb: a prediction may print.
    """

    timeout: float = 60.0
    load_seconds: float = 120.0
    first_seconds: float = 2.0
    calls: int = 40
    call_seconds: float = 60.0
    leak_mb: float = 0.2
    answer_mb: float = 5.0
    printed_kb: float = 4.0

"""How much one predictor takes on."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one predictor process may take.

    Attributes:
        predict_seconds: for one prediction; then the process is killed.
        load_seconds: from its start to the end of its warm-up.
        backlog: requests that may wait for it; one more is refused at once.
        max_requests: predictions after which it is replaced, between two requests; 0 for never.
        batch_size: tiles that go to ``predict_batch`` at once, where the partner's class has that method.
        batch_seconds: how long a tile waits for others to come along.
        memory_mb: resident memory after which it is replaced between two requests, and at twice of which it is killed
            in the middle of one; 0 for no limit.
    """

    predict_seconds: float = 60.0
    load_seconds: float = 600.0
    backlog: int = 6
    max_requests: int = 0
    memory_mb: int = 0
    batch_size: int = 8
    batch_seconds: float = 0.0

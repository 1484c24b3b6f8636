"""How much the service takes on, how long it waits, how many predictors it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playground.settings.description import DescriptionBlock
from playground.settings.fields.about import about
from playground.settings.kinds import Block, Choice, Switch, Whole


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class CapacityFields:
    """Processes, places, deadlines and batches."""

    workers: int = field(
        default=2, metadata=about("workers", Whole(1, 64), "server processes, each with its predictor")
    )
    backlog: int = field(
        default=6,
        metadata=about("backlog", Whole(0, 2048), "how many requests wait for a predictor before the next gets 503"),
    )
    timeout: int = field(
        default=60, metadata=about("timeout", Whole(1, 3600), "how long one request may take", "seconds")
    )
    fetch_timeout: int | None = field(
        default=None,
        metadata=about(
            "fetch_timeout", Whole(1, 3600), "how long its tiles may take; a third of timeout if not given", "seconds"
        ),
    )
    predict_timeout: int | None = field(
        default=None,
        metadata=about(
            "predict_timeout",
            Whole(1, 3600),
            "how long the predictor may take; nine tenths of timeout if not given",
            "seconds",
        ),
    )
    load_timeout: int = field(
        default=600, metadata=about("load_timeout", Whole(1, 3600), "how long loading the model may take", "seconds")
    )
    warmup: str = field(
        default="sample",
        metadata=about(
            "WARMUP", Choice(("sample", "none")), "sample: a grey tile is predicted before the service is ready"
        ),
    )
    predictors: list[dict[str, Any]] | None = field(
        default=None,
        metadata=about(
            "PREDICTORS",
            Block("a list of mappings: name, namespace, version, and settings of each predictor's own", many=True),
            "several predictors in one service, each at /namespace/name/version/; the first answers at /predict too",
        ),
    )
    endpoints: list[dict[str, Any]] | None = field(
        default=None,
        metadata=about(
            "ENDPOINTS",
            Block("a list of mappings: class, action, and namespace, name, version", many=True),
            "endpoints that are no prediction: classes of the server's own Python, see team.md",
        ),
    )
    max_requests: int = field(
        default=0,
        metadata=about(
            "max_requests", Whole(0, 10**9), "predictions after which the predictor is replaced; 0 for never"
        ),
    )
    memory_limit_mb: int = field(
        default=0,
        metadata=about(
            "memory_limit_mb",
            Whole(0, 10**6),
            "resident memory after which the predictor is replaced between two requests; 0 for no limit",
            "MB",
        ),
    )

    batch_size: int = field(
        default=8,
        metadata=about(
            "batch_size",
            Whole(1, 256),
            "how many waiting tiles go to predict_batch at once, where the class has that method; 1 for one by one",
        ),
    )
    batch_wait_ms: int = field(
        default=0,
        metadata=about(
            "batch_wait_ms",
            Whole(0, 10_000),
            "how long a tile waits for others to be predicted with; 0: only those go together that wait anyway",
            "milliseconds",
        ),
    )
    share_model: bool = field(
        default=False,
        metadata=about(
            "share_model",
            Switch(),
            "whether the workers share the memory of one model, loaded once and forked; see docs/partner.md",
        ),
    )
    description: dict[str, Any] | None = field(
        default=None,
        metadata=about(
            "description",
            DescriptionBlock(),
            "what /api/v1/describe tells of the service; what is not given is measured (as a variable: JSON)",
        ),
    )

    @property
    def fetch_seconds(self) -> float:
        """Seconds that a request's tiles may take."""
        return min(self.fetch_timeout or self.timeout / 3, self.timeout)

    @property
    def predict_seconds(self) -> float:
        """Seconds that the predictor may take for one tile."""
        return min(self.predict_timeout or 0.9 * self.timeout, self.timeout)

"""What becomes of what the predictor finds, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from playground.settings.fields.about import DOTTED, about
from playground.settings.kinds import Block, Choice, Names, Number, Text, is_attribute


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class AnswerFields:
    """From results to answers."""

    pixel_convention: str = field(
        default="edge",
        metadata=about(
            "PIXEL_CONVENTION",
            Choice(("edge", "index")),
            "edge: a full tile spans 0 to 256, on pixel edges; index: it is labelled 0 to 255, by pixel numbers",
        ),
    )
    padding_results: str = field(
        default="keep",
        metadata=about(
            "PADDING_RESULTS",
            Choice(("keep", "clip", "own")),
            "what lies in the padding: keep it, clip it away, or let each object be its own tile's alone",
        ),
    )
    simplify_tolerance: Decimal = field(
        default=Decimal(0),
        metadata=about(
            "SIMPLIFY_TOLERANCE",
            Number(Decimal(0), Decimal(256)),
            "how far an edge may move when vertices are left out; 0 keeps all",
            "pixels",
        ),
    )
    min_area: Decimal = field(
        default=Decimal(0),
        metadata=about("MIN_AREA", Number(Decimal(0), Decimal(10**6)), "polygons below are dropped", "square pixels"),
    )
    min_confidence: Decimal = field(
        default=Decimal(0),
        metadata=about("MIN_CONFIDENCE", Number(Decimal(0), Decimal(1)), "objects below are dropped"),
    )
    class_names: dict[str, str] | None = field(
        default=None, metadata=about("CLASS_NAMES", Names(), "the names that answers give to the predictor's classes")
    )
    preprocessor: str | None = field(
        default=None,
        metadata=about("preprocessor", Text(DOTTED, is_attribute), "called with each tile; returns the one to predict"),
    )
    postprocessor: str | None = field(
        default=None,
        metadata=about(
            "postprocessor",
            Text(DOTTED, is_attribute),
            "called with each result and its tile; returns the result to answer",
        ),
    )
    additional_checks: str | None = field(
        default=None,
        metadata=about(
            "additional_checks",
            Text(DOTTED, is_attribute),
            "called with each tile; raises PredictError or ValueError for one that shall not be predicted",
        ),
    )
    metadata: dict[str, Any] | None = field(
        default=None,
        metadata=about(
            "metadata", Block("a mapping"), "what shall be known of the predictor: readiness and describe show it"
        ),
    )

"""What a service's configuration asks of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.settings import RunningSettings


@dataclass(frozen=True, slots=True)
class Options:
    """What happens to a predictor's results before they are placed on the map; nothing, by default.

    Args:
        pixel_convention: ``edge``: coordinates lie on pixel edges, a full tile spans 0 to its size. ``index``: they
            are the numbers of pixels, a full tile is labelled 0 to its size - 1, see ``shaping``.
        padding_results: what lies in the padding: ``keep`` it; ``clip`` it away; ``own``: an object is the answer of
            the one tile whose core holds its representative point, and whole there.
        simplify: pixels that an edge may move when vertices are left out; 0 keeps all.
        least_area: square pixels, holes subtracted, before clipping; polygons below are dropped.
        least_confidence: features below are dropped.
        class_names: category, as text, to the name that the answer gives it; others stay.
    """

    pixel_convention: str = "edge"
    padding_results: str = "keep"
    simplify: float = 0.0
    least_area: float = 0.0
    least_confidence: float = 0.0
    class_names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: RunningSettings) -> Options:
        """Those of a running service."""
        return cls(
            settings.pixel_convention,
            settings.padding_results,
            float(settings.simplify_tolerance),
            float(settings.min_area),
            float(settings.min_confidence),
            settings.class_names or {},
        )

    @property
    def reshape(self) -> bool:
        """Whether geometries change or are judged."""
        return bool(
            self.pixel_convention != "edge" or self.padding_results != "keep" or self.simplify or self.least_area
        )

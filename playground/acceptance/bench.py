"""What all checks of a run share: the predictor, the scenes, and every answer that was asked for once already."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from playground.acceptance.masks import mask_of
from playground.acceptance.model import Expectations, Observation, Sample
from playground.acceptance.scene import SHIFT, TILE_SIZE, Scene
from playground.imagery import Mask

if TYPE_CHECKING:
    from playground.acceptance.process import ProcessSubject
    from playground.acceptance.service import ServiceSubject

SPECK = 0.005
"""Share of a tile: where less of it is covered, or left, little can be compared."""


class Subject(Protocol):
    """What is checked."""

    sees: str
    load_seconds: list[float]

    def start(self) -> None:
        """Make it ready; PredictorNotReadyError where it never is."""

    def restart(self) -> None:
        """Make it ready afresh, where that is possible."""

    def predict(self, sample: Sample) -> Observation:
        """One prediction."""

    def close(self) -> None:
        """Stop for good."""


class Bench:
    """A predictor under test.

    Args:
        subject: what is checked.
        scenes: where samples come from, the one to be preferred first; all for ``padding``.
        padding: pixels on each side.
        expect: what figures are held against.
        pixel_convention: edge or index, as the settings say.
    """

    def __init__(
        self,
        subject: ProcessSubject | ServiceSubject,
        scenes: Sequence[Scene],
        padding: int,
        expect: Expectations | None = None,
        pixel_convention: str = "edge",
    ) -> None:
        self.subject = subject
        self.scenes = scenes
        self.padding = padding
        self.expect = expect or Expectations()
        self.pixel_convention = pixel_convention
        self.side = TILE_SIZE + 2 * padding
        self.load_problem: tuple[str, str] | None = None
        self.figures: dict[str, float] = {}
        self.drain: Callable[[], tuple[int, float]] | None = None
        """Stops the service for good and tells (exit status, seconds); None where that is not ours to do."""
        self.first_seconds: float | None = None
        self.kept: dict[str, Any] = {}
        """What one check found out and another one uses."""
        self._seen: dict[str, Observation] = {}
        self._shapes: dict[str, tuple[int, int]] = {}

    def see(self, sample: Sample) -> Observation:
        """The answer to a sample, from the first time that it was asked for."""
        if sample.name not in self._seen:
            self._seen[sample.name] = self.ask(sample)
            self._shapes[sample.name] = sample.pixels.shape[:2]
        return self._seen[sample.name]

    def ask(self, sample: Sample) -> Observation:
        """The answer to a sample, asked for now."""
        observation = self.subject.predict(sample)
        if self.first_seconds is None and observation.answered:
            self.first_seconds = observation.seconds
        return observation

    def observations(self) -> dict[str, Observation]:
        """Every answer so far, by its sample; ordinary and plain images are among them."""
        for sample in [*self.ordinary(), *self.plain]:
            self.see(sample)
        return {name: each for name, each in self._seen.items() if each.answered}

    def shape_of(self, name: str) -> tuple[int, int]:
        """(height, width) of a sample that was seen."""
        return self._shapes[name]

    def mask(self, sample: Sample) -> Mask:
        """What the answer to a sample covers, in the padded image."""
        height, width = sample.pixels.shape[:2]
        return mask_of(self.see(sample).features, height, width)

    @functools.cached_property
    def process(self) -> ProcessSubject:
        """The subject, for checks that see a process."""
        subject: Any = self.subject
        return subject  # type: ignore[no-any-return]

    @functools.cached_property
    def service(self) -> ServiceSubject:
        """The subject, for checks that see a service."""
        subject: Any = self.subject
        return subject  # type: ignore[no-any-return]

    def samples(self, scene: Scene) -> dict[str, Sample]:
        """The four samples of a scene: a tile, its eastern and southern neighbour, and the tile shifted."""
        places = {"tile": (0, 0), "east": (0, TILE_SIZE), "south": (TILE_SIZE, 0), "shifted": SHIFT}
        return {name: scene.sample(name, *place, self.padding) for name, place in places.items()}

    def ordinary(self) -> list[Sample]:
        """A few samples as the service will get them."""
        return [sample for scene in self.scenes for sample in self.samples(scene).values()]

    @functools.cached_property
    def telling(self) -> list[Scene]:
        """The scenes where something is found: first those where it is neither a speck nor nearly everything."""
        worth: dict[int, float] = {}
        for number, scene in enumerate(self.scenes):
            tile = self.samples(scene)["tile"]
            if self.see(tile).answered and self.see(tile).features:
                share = float(self.mask(tile).mean())
                worth[number] = min(share, 1 - share)
        order = sorted(worth, key=lambda number: (worth[number] < SPECK, number))
        return [self.scenes[number] for number in order]

    @property
    def busy(self) -> Scene | None:
        """The scene that tells most; None where nothing is ever found."""
        return next(iter(self.telling), None)

    @functools.cached_property
    def plain(self) -> list[Sample]:
        """Images of one colour, and noise."""
        shape = (self.side, self.side, 3)
        coarse = np.random.default_rng(1).integers(0, 256, (self.side // 8 + 1, self.side // 8 + 1, 3))
        noise = coarse.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)[: self.side, : self.side]
        shades = {"black": 0, "grey": 128, "white": 255}
        made = [Sample(name, np.full(shape, shade, np.uint8), self.padding) for name, shade in shades.items()]
        return [*made, Sample("noise", noise, self.padding)]

"""Several tiles of one caller, for the tests of them."""

from __future__ import annotations

from typing import Any

import pytest

from playground.errors import PlaygroundError
from playground.predictor import OtherResult, ServedTile, several, shared
from playground_interfaces import Tile


def named(*words: str) -> list[Tile]:
    return [ServedTile(f"{word} {number}") for number, word in enumerate(words)]


def short(answer: Any) -> str:
    """What an answer is, in a word."""
    if isinstance(answer, PlaygroundError | OtherResult):
        return type(answer).__name__.replace("Predictor", "").replace("Error", "")
    return "fine"


def words_of(answers: list[Any]) -> str:
    return " ".join(map(short, answers))


def properties(answer: Any) -> dict[str, Any]:
    return answer["features"][0]["properties"]


def count_frames(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many tiles each frame had, and how many of them were answered: (tiles, answers)."""
    counted: list[tuple[int, int]] = []
    predict = shared.Frames.predict

    def counting(self, tiles, *args):
        told = predict(self, tiles, *args)
        counted.append((len(tiles), len(told.answers) if told else -1))
        return told

    monkeypatch.setattr(shared.Frames, "predict", counting)
    for module in (shared, several):  # a busy machine makes no frame shorter
        monkeypatch.setattr(module, "LONGEST", 60.0)
    return counted

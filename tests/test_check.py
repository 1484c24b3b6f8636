"""Each planted defect is found by the check that is named for it; predictors without one pass."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from conftest import PREDICTORS

from playground.acceptance import CHECKS, Bench, Expectations, Finding, run_checks
from playground.acceptance.process import ProcessSubject
from playground.acceptance.scene import Scene, synthetic_scene
from playground.predictor import Limits, PredictorSpec
from playground.registry import load

PADDING = 16
STRICT = Expectations(
    timeout=0.04, load_seconds=0.5, first_seconds=0.4, calls=12, leak_mb=0.5, answer_mb=0.2, printed_kb=4
)
CALM = Expectations(calls=12, leak_mb=0.5)
WATER = Path(__file__).parents[1] / "examples" / "water"


@pytest.fixture(scope="module")
def scene() -> Scene:
    return synthetic_scene(PADDING, 5)


def check(
    target: str, scene: Scene, names: list[str], *, folder: Path = PREDICTORS, python: str = sys.executable, **options
) -> dict[str, Finding]:
    package, _, class_name = target.partition(":")
    subject = ProcessSubject(PredictorSpec(package, class_name, folder, python), Limits(predict_seconds=10))
    try:
        return {each.name: each for each in run_checks(Bench(subject, [scene], PADDING, **options), names)}
    finally:
        subject.close()


DEFECTS = {
    "SwapsAxes": "axis-order",
    "CountsFromTheBottom": "axis-order",
    "CountsFromTheTile": "padded-frame",
    "AddsThePadding": "padded-frame",
    "GivesModelPixels": "inside-image",
    "GivesPixelIndices": "pixel-convention",
    "DropsAtRandom": "deterministic",
    "KeepsTheLastTile": "stateless",
    "CalibratesOnTheFirstTile": "any-order",
    "Leaks": "memory-growth",
    "StartsSlowly": "load-time",
    "LoadsLate": "first-prediction",
    "IsSlow": "latency",
    "GivesBowTies": "valid-polygons",
    "GivesLines": "valid-polygons",
    "LeavesRingsOpen": "closed-rings",
    "GivesEverythingTwice": "duplicates",
    "GivesNaN": "finite",
    "LosesGeometries": "readable",
    "IsSureBeyondMeasure": "confidence",
    "IsNotANumberSure": "confidence",
    "NumbersItsClasses": "category",
    "HasNoCategories": "category",
    "ReturnsAList": "returns",
    "Raises": "predicts",
    "RefusesEverything": "predicts",
    "CannotLoad": "loads",
    "RaisesOnEmptyTiles": "plain-images",
    "RaisesOnGrey": "bands",
    "RaisesOnOddSizes": "sizes",
    "CrashesOnBrokenImages": "broken-image",
    "MixesBatches": "batches",
    "PaintsOverTheTile": "tile-kept",
    "PrintsFloods": "quiet",
    "GoesElsewhere": "stays-put",
    "IgnoresSignals": "signals",
    "LeavesThreads": "leftovers",
    "LeavesFilesOpen": "leftovers",
    "CallsHome": "no-network",
    "NormalisesByTheTile": "seams",
    "NeedsMorePadding": "padding-enough",
    "MissesWhatIsNearTheEdge": "translation",
    "SeesTheLeftHalfOnly": "translation",
    "LooksAtTheCoreOnly": "padding-used",
    "GivesAVertexForEachPixel": "answer-size",
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(name: str, scene: Scene):
    found = check(f"defects:{name}", scene, [DEFECTS[name]], expect=STRICT)[DEFECTS[name]]
    assert found.verdict.outcome == "failed", found.verdict.words
    assert found.verdict.words


@pytest.mark.parametrize(
    ("target", "folder", "options"),
    [
        ("good:Contours", PREDICTORS, {}),
        ("good:Boxes", PREDICTORS, {"pixel_convention": "index"}),
        ("documented:Process", PREDICTORS, {}),
        ("water.detector:WaterDetector", WATER, {}),
    ],
)
def test_good_predictors_give_no_alarm(target: str, folder: Path, options: dict, scene: Scene):
    findings = check(target, scene, list(CHECKS), folder=folder, expect=CALM, **options)
    assert [f"{each.name}: {each.verdict.words}" for each in findings.values() if each.is_bad] == []
    assert sum(each.verdict.outcome == "passed" for each in findings.values()) >= 20


def test_signals_that_were_ignored_before_are_no_ones_fault(scene: Scene):
    """As they are under nohup, and behind a shell's &."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        found = check("good:Contours", scene, ["signals"], expect=CALM)["signals"]
    finally:
        signal.signal(signal.SIGHUP, before)
    assert found.verdict.outcome == "passed", found.verdict.words


def test_a_good_predictor_has_none_of_the_defects(scene: Scene):
    """The limits that the defects are held against are no trap."""
    findings = check("good:Contours", scene, sorted({*DEFECTS.values()} - {"latency", "load-time", "padding-used"}))
    assert [name for name, each in findings.items() if each.verdict.outcome == "failed"] == []


def test_every_check_explains_itself_and_finds_something():
    for name, place in CHECKS.items():
        one = load(place)
        assert one.grade in ("must", "should", "good")
        assert all(len(words) > 20 for words in (one.what, one.why, one.mend)), name
        assert name in DEFECTS.values() or one.sees == "http", f"no planted defect for {name}"


def test_the_probe_runs_in_every_python(python: str, scene: Scene):
    findings = check("documented:Process", scene, ["loads", "predicts", "tile-kept", "quiet"], python=python)
    assert {each.verdict.outcome for each in findings.values()} == {"passed"}

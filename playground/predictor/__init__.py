"""The predictor as the server sees it: a process of its own (or, for debuggers, an object in this one).

The partner's process can crash, hang or exit; here that is one failed request and a fresh process.
"""

from playground.predictor.inline import InlinePredictor
from playground.predictor.limits import Limits
from playground.predictor.poison import Poison
from playground.predictor.process import PredictorSpec
from playground.predictor.state import OtherResult, Predictor, PredictorState, ServedTile
from playground.predictor.supervised import ProcessPredictor

__all__ = [
    "InlinePredictor",
    "Limits",
    "OtherResult",
    "Poison",
    "Predictor",
    "PredictorSpec",
    "PredictorState",
    "ProcessPredictor",
    "ServedTile",
]

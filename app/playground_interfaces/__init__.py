"""The contract between a partner's predictor and Playground.

Standard library only, Python 3.6 and later: this package runs inside the partner's own interpreter.
"""

from .base_process import BaseProcess
from .errors import PredictError
from .prediction_result import PredictionResult
from .tile import Tile

__all__ = ["BaseProcess", "PredictError", "PredictionResult", "Tile"]

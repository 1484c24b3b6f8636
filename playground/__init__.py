"""Put any geospatial predictor online. The contract with the partner is re-exported here."""

from playground.version import __version__
from playground_interfaces import BaseProcess, PredictError, PredictionResult, Tile

__all__ = ["BaseProcess", "PredictError", "PredictionResult", "Tile", "__version__"]

"""Put any geospatial predictor online. The contract with the partner is re-exported here."""

from playground_interfaces import BaseProcess, PredictError, PredictionResult, Tile

from playground.version import __version__

__all__ = ["BaseProcess", "PredictError", "PredictionResult", "Tile", "__version__"]

from .predictor import ShipDetector  # noqa: F401

"""The service that the image runs: ``gunicorn --config /api/gunicorn.conf.py app:APP``."""

from typing import Any

from app_utils import format_prediction, load_config, load_process, make_app
from playground_interfaces import Tile

CONFIG = load_config()
PROCESS = load_process(CONFIG)


def predict(tile: Tile) -> dict[str, Any]:
    """Run the partner's predictor on one tile."""
    return format_prediction(PROCESS.predict(tile))


APP = make_app(CONFIG, PROCESS, predict)

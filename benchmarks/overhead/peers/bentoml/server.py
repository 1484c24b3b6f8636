"""BentoML: two workers, without its metrics and its access log."""

import base64
import json
from pathlib import Path

import bentoml

ANSWER = json.loads(Path(__file__).parents[2].joinpath("answer.json").read_text())


@bentoml.service(
    workers=2,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Nothing:
    @bentoml.api
    def predict(self, image: str) -> dict:
        base64.b64decode(image)
        return ANSWER

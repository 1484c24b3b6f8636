"""MLServer: the same body at an address of its own, in the server or in two inference processes."""

import base64
import json
from pathlib import Path

from mlserver import MLModel
from mlserver.handlers import custom_handler

ANSWER = json.loads(Path(__file__).parents[2].joinpath("answer.json").read_text())


class Nothing(MLModel):
    async def load(self) -> bool:
        return True

    @custom_handler(rest_path="/predict")
    async def nothing(self, payload: dict) -> dict:
        base64.b64decode(payload["image"])
        return ANSWER

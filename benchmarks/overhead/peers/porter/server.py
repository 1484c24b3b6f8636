"""Porter behind gunicorn, in the same worker class as ours."""

import base64
import json
from pathlib import Path

import porter.services as porter
from porter import api

ANSWER = json.loads(Path(__file__).parents[2].joinpath("answer.json").read_text())


class Nothing(porter.BaseService):
    action = "predict"
    route_kwargs = {"methods": ["POST"]}  # noqa: RUF012 - as porter's own services have it

    @property
    def status(self):
        return "READY"

    def serve(self):
        base64.b64decode(api.request_json()["image"])
        return ANSWER


APP = porter.ModelApp([Nothing(name="nothing", api_version="v1")])

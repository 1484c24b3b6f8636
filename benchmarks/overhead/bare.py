"""The limit: Flask and gunicorn, nothing else. It reads the same body, decodes the image's base64, finds nothing."""

import base64

from flask import Flask, jsonify, request

APP = Flask(__name__)


@APP.post("/predict")
def predict():
    base64.b64decode(request.get_json()["image"])
    return jsonify({"prediction": {"type": "FeatureCollection", "features": []}})


@APP.get("/readiness_check")
def ready():
    return "ready"

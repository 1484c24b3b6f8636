"""Finds one ship in every tile, and tells in its category what it could import."""

import os

import click
import requests
import secret_sauce

import app
from playground_interfaces import BaseProcess, PredictionResult


class ShipDetector(BaseProcess):
    def __init__(self):
        self.seen = [app.OWNER, click.__version__, requests.__version__, secret_sauce.SAUCE, os.getcwd()]

    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_result(" ".join(self.seen), [(8, 8), (8, 24), (24, 24), (24, 8), (8, 8)], 0.75)
        return result

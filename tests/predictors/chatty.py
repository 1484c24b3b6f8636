"""A predictor that does what the end of the image says, and talks a lot."""

import base64
import os
import sys
import time
import warnings

from playground_interfaces import PredictError, PredictionResult


class Chatty(object):
    def __init__(self):
        print("loading w\u00e9ights \u2603 \U0001f600\x00\x1b[31m red \u2028 line")

    def predict(self, tile):
        data = bytes(tile.image)
        print("stdout \u00e9\u2603 {'json': \"quotes\"} \\ back")
        print("https://bob:opensesame@tiles.example/1/2/3.png?token=opensesame", file=sys.stderr)
        print(base64.b64encode(data * 20).decode())
        os.write(1, b"bytes \xff\xfe\x80 that are no text\r\n")
        if data.endswith(b"raise"):
            raise ValueError("two\nlines \u2603 of https://tiles.example/?api_key=opensesame " + repr(data * 20))
        if data.endswith(b"warn"):
            warnings.warn("old weights", stacklevel=1)
        if data.endswith(b"reject"):
            raise PredictError("too cloudy")
        if data.endswith(b"crash"):
            os._exit(3)
        if data.endswith(b"sleep"):
            time.sleep(1000)
        result = PredictionResult(tile)
        if not data.endswith(b"empty"):
            result.add_result("ship", [(0, 0), (8, 0), (8, 8), (0, 8)])
        return result

"""LitServe with batches, one inference process: 20 ms a call and 1 ms a tile."""

import base64
import json
import sys
import time
from pathlib import Path

import litserve

ANSWER = json.loads(Path(__file__).parents[2].joinpath("answer.json").read_text())


class Batched(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return base64.b64decode(request["image"])

    def predict(self, images):
        time.sleep(0.020 + 0.001 * len(images))
        return [ANSWER] * len(images)

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    port, size, wait = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    server = litserve.LitServer(Batched(max_batch_size=size, batch_timeout=wait), accelerator="cpu")
    server.run(host="127.0.0.1", port=port, log_level="error", generate_client_file=False)

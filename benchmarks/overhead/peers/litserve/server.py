"""LitServe: two inference processes behind two API servers."""

import base64
import json
import sys
from pathlib import Path

import litserve

ANSWER = json.loads(Path(__file__).parents[2].joinpath("answer.json").read_text())


class Nothing(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return base64.b64decode(request["image"])

    def predict(self, image):
        return ANSWER

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Nothing(), accelerator="cpu", workers_per_device=2)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=2, log_level="error", generate_client_file=False
    )

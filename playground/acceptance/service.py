"""The service to be checked, over HTTP: only what any client can see."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson
import requests

from playground.acceptance.model import Observation, Sample
from playground.acceptance.process import encoded
from playground.errors import PredictorNotReadyError
from playground.serving.local import readiness

ERROR_SHAPE = {"message", "hint", "correlationId", "timestamp"}


class ServiceSubject:
    """A running service.

    Args:
        url: where it answers.
        headers: sent with every request: credentials.
        timeout: seconds for one request.
        load_seconds: how long it may take to become ready.
    """

    sees = "http"

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, load_seconds: float) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.load_seconds: list[float] = []
        self._patience = load_seconds
        self._session = requests.Session()
        self._session.headers.update(headers)

    def start(self) -> None:
        """Wait until it is ready.

        Raises:
            PredictorNotReadyError: it failed, or is not ready in time.
        """
        began = time.monotonic()
        while True:
            ready, phase, told = readiness(self.url)
            if ready:
                self.load_seconds.append(time.monotonic() - began)
                return
            if phase == "failed" or time.monotonic() > began + self._patience:
                words = f"{self.url} is not ready but {phase}: {told.get('error') or 'it does not say why'}"
                raise PredictorNotReadyError(words, str(told.get("traceback") or "see its log"))
            time.sleep(0.1)

    def described(self, patience: float) -> dict[str, Any]:
        """What /version says, its zoom_level and padding above all; empty where nobody says anything.

        Args:
            patience: seconds in which a server may come up.
        """
        until = time.monotonic() + patience
        while True:
            try:
                told = orjson.loads(self.get("/version").content)
                return told if isinstance(told, dict) else {}
            except (requests.RequestException, orjson.JSONDecodeError):
                if time.monotonic() > until:
                    return {}
            time.sleep(0.1)

    def restart(self) -> None:
        """Another's process is not ours to restart."""

    def predict(self, sample: Sample) -> Observation:
        """One prediction, the image as the body of a request."""
        began = time.monotonic()
        try:
            response = self.post(encoded(sample))
        except requests.RequestException as error:
            return Observation(problem=f"no answer: {error}", ended=True)
        seconds = time.monotonic() - began
        if response.status_code in (400, 413, 422):
            return Observation(rejected=True, seconds=seconds)
        try:
            body = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            return Observation(problem=f"{response.status_code} with no JSON", seconds=seconds)
        if response.status_code != 200:
            return Observation(problem=f"{response.status_code}: {body.get('message')}", seconds=seconds)
        features = body["prediction"]["features"]
        report = body.get("report", {})
        other = next((word for word in report.get("warnings", ()) if "not a PredictionResult" in word), "")
        return Observation(features, report, other, seconds=seconds, size=len(response.content))

    def post(self, body: bytes) -> requests.Response:
        """POST bytes as an image."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._session.post(f"{self.url}/predict", data=body, headers=headers, timeout=self.timeout)

    def get(self, path: str) -> requests.Response:
        """GET a path."""
        return self._session.get(self.url + path, timeout=self.timeout)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()


def error_problem(response: requests.Response) -> str:
    """What is wrong with an error answer; empty for one in the JSON shape."""
    try:
        told: dict[str, Any] = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return f"{response.status_code} with no JSON"
    missing = sorted(ERROR_SHAPE - told.keys()) if isinstance(told, dict) else sorted(ERROR_SHAPE)
    return f"{response.status_code} without {', '.join(missing)}" if missing else ""

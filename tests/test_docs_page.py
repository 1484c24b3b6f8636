"""The documentation page in a real browser."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

PREFIX = "/a/ships"


@pytest.fixture(scope="module")
def service(serve, imagery_file):
    found = serve("readers:Array", TILES=str(imagery_file))
    assert found.wait_loaded()["status"] == "ready"
    return found


class Proxy(BaseHTTPRequestHandler):
    """Takes the prefix off, and says so, as a gateway in front of several services does."""

    target = ""

    def pass_on(self):
        if not self.path.startswith(PREFIX):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {"X-Forwarded-Prefix": PREFIX, "Content-Type": self.headers.get("Content-Type", "")}
        headers["Accept"] = self.headers.get("Accept", "*/*")
        address = self.target + self.path.removeprefix(PREFIX)
        answer = requests.request(self.command, address, data=body, headers=headers, timeout=30, allow_redirects=False)
        self.send_response(answer.status_code)
        for name in ("Content-Type", "Content-Security-Policy", "Location"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = pass_on

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture(scope="module")
def proxied(service):
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Proxy,), {"target": service.url})) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()


def test_its_files_come_from_the_service_and_nothing_else_does(service):
    page = service.get("/docs", allow_redirects=True)
    assert page.url.endswith("/docs/")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    assert "//" not in page.text.replace("<!doctype", "")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js", "favicon-32x32.png"):
        assert service.get("/docs/" + name).status_code == 200
    for name in ("nothing.js", "docs.html", "..%2fprocess.py", "%2e%2e/process.py", "swagger-ui.js"):
        assert service.get("/docs/" + name).status_code == 404


@pytest.mark.browser
@pytest.mark.parametrize("behind_a_proxy", [False, True])
def test_an_example_can_be_tried_out(browser, service, proxied, behind_a_proxy):
    url = proxied if behind_a_proxy else service.url
    page = browser.new_page()
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((url, "data:")) else wrong.append(request.url))
    page.goto(url + "/docs")
    page.wait_for_selector(".opblock")
    assert page.locator(".info .title").inner_text().startswith("readers")
    for name in ("Predictions-predict", "Predictions-prediction", "Tile_Geo_Process_API-process"):
        block = page.locator(f"#operations-{name}")
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Try it out").click()
        block.get_by_role("button", name="Execute").click()
        status = block.locator(".live-responses-table .response-col_status").nth(1)
        status.wait_for()
        assert status.inner_text().startswith("200")
        assert "FeatureCollection" in block.locator(".live-responses-table .highlight-code").first.inner_text()
    assert wrong == []
    page.close()

"""Images read from archives, layouts and registries, and those that lie, are broken, or mean harm."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zstandard
from images import blobs_of, configuration, layer, layout, save, system

from playground.errors import ImageReadError
from playground.wrap.image.layers import Limits, list_layer
from playground.wrap.image.opening import read_image
from playground.wrap.image.registry import split_reference
from playground.wrap.image.report import report_on, tree_of


@pytest.mark.parametrize("kind", ["archive", "layout", "registry", "gzip", "zstd"])
def test_wherever_it_is(kind: str, tmp_path: Path, registry) -> None:
    layers = [layer(system()), layer({"more": b"x"})]
    if kind == "registry":
        reference = registry(layers, User="modeler")
    elif kind == "layout":
        reference = layout(tmp_path / "layout", layers, User="modeler")
    elif kind == "archive":
        reference = save(tmp_path / "image.tar", layers, User="modeler")
    else:
        pack = gzip.compress if kind == "gzip" else zstandard.compress
        packed = [pack(each) for each in layers]
        reference = save(tmp_path / "image.tar", packed, configuration(layers, User="modeler"))
    image = read_image(reference)
    found = report_on(image, "ship")
    assert (found.user, found.found, len(found.layers)) == ("modeler", ("/api/ship/__init__.py",), 2)
    assert bool(image.digest) == (kind in ("layout", "registry"))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator:
    """A registry that wants a token and redirects to where its blobs are."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    images: dict[str, bytes] = {}
    manifests: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, _ = self.path.partition("?")
            last = path.rpartition("/")[2]
            if path == "/token":
                return self.answer(200, json.dumps({"token": "good"}).encode())
            if path.startswith("/blobs/"):
                assert "Authorization" not in self.headers
                return self.answer(200, images[last])
            if self.headers["Authorization"] != "Bearer good":
                realm = (
                    f'Bearer realm="http://127.0.0.1:{port}/token",service="here",scope="repository:team/ships:pull"'
                )
                return self.answer(401, b"", {"WWW-Authenticate": realm})
            if "/blobs/" in path:
                return self.answer(307, b"", {"Location": f"http://localhost:{port}/blobs/{last}"})
            if last in manifests:
                last = manifests[last]
            return self.answer(200 if last in images else 404, images.get(last, b""))

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def push(layers: list[bytes], spoil: bool = False, **config: object) -> str:
        blobs, manifest = blobs_of(layers, **config)
        images.update(blobs)
        manifests["v1"] = manifest
        if spoil:
            last = json.loads(blobs[manifest])["layers"][-1]["digest"]
            images[last] = gzip.compress(layer({"another": b"layer"}))
        return f"127.0.0.1:{port}/team/ships:v1"

    yield push
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_registry_that_lies_or_has_it_not(registry) -> None:
    reference = registry([layer(system())], spoil=True)
    with pytest.raises(ImageReadError, match="gives something else for layer"):
        read_image(reference)
    with pytest.raises(ImageReadError, match="does not have it: team/ships manifests/v2"):
        read_image(reference.replace(":v1", ":v2"))
    with pytest.raises(ImageReadError, match="cannot be reached"):
        read_image("127.0.0.1:1/a/b")


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("ubuntu", ("registry-1.docker.io", "library/ubuntu", "latest")),
        ("team/ships:v2", ("registry-1.docker.io", "team/ships", "v2")),
        ("eu.gcr.io/p/ships", ("eu.gcr.io", "p/ships", "latest")),
        ("localhost:5000/a:b@sha256:" + "0" * 64, ("localhost:5000", "a", "sha256:" + "0" * 64)),
    ],
)
def test_references(reference: str, parts: tuple[str, str, str]) -> None:
    assert split_reference(reference) == parts


def test_names_that_lead_out_are_never_written(tmp_path: Path) -> None:
    link = tarfile.TarInfo("hard")
    link.type, link.linkname = tarfile.LNKTYPE, "../../etc/shadow"
    device = tarfile.TarInfo("dev/sda")
    device.type = tarfile.BLKTYPE
    files = {
        "../../escaped": b"x",
        "/absolute": b"x",
        "a/../../b": b"x",
        "evil": "/etc",
        "hard": link,
        "dev/sda": device,
    }
    image = read_image(save(tmp_path / "image.tar", [layer({**files, "evil/passwd": b"x"})]))
    assert [path.name for path in tmp_path.iterdir()] == ["image.tar"]
    assert not Path("/absolute").exists()
    paths = {entry.path for entry in tree_of(image).walk()}
    assert "absolute" in paths
    assert not {path for path in paths if "escaped" in path or ".." in path}


def test_bombs_cost_little(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="too many bytes to be an honest one"):
        list_layer(io.BytesIO(layer({"zeros": bytes(3_000_000)})), Limits(size=1_000_000))
    with pytest.raises(ImageReadError, match="too many names"):
        list_layer(io.BytesIO(layer({str(number): b"" for number in range(50)})), Limits(entries=40))
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40  # tarfile would read it all at once
    with pytest.raises(ImageReadError, match="a header that is no header"):
        list_layer(io.BytesIO(header.tobuf(tarfile.GNU_FORMAT) + bytes(5000)), Limits())


BROKEN = {
    "no tar": b"words" * 200,
    "empty": b"",
    "a tar of something": layer({"a": b"b"}),
    "no layers": layer({"manifest.json": b'[{"Config": "a.json", "Layers": ["0/layer.tar"]}]'}),
    "two images": layer({"manifest.json": b"[{}, {}]"}),
    "no json": layer({"manifest.json": b"{not json"}),
    "deep json": layer({"manifest.json": b"[" * 100_000}),
    "cut": layer({"manifest.json": b"[]", "x": bytes(9000)})[:5000],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_image(name: str, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(BROKEN[name])
    with pytest.raises(ImageReadError):
        read_image(str(tmp_path / "image.tar"))


def test_layers_that_are_not_those_named(tmp_path: Path) -> None:
    configured = configuration([layer({"a": b"1"})])
    with pytest.raises(ImageReadError, match="not those that it names"):
        read_image(save(tmp_path / "image.tar", [layer({"a": b"2"})], configured))


def test_a_layout_that_points_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text('{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}')
    with pytest.raises(ImageReadError):
        read_image(str(tmp_path))

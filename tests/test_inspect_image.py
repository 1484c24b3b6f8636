"""An image looked into without running it: layers, whiteouts, Pythons, configuration; and hostile ones."""

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
from click.testing import CliRunner
from images import ARM, DEBIAN, ELF, GLIBC, blobs_of, configuration, layer, layout, metadata, save, system

from playground.commands import main
from playground.errors import ImageReadError, WrapRefusedError
from playground.wrap.compare import compare
from playground.wrap.image.layers import Limits, list_layer
from playground.wrap.image.opening import read_image
from playground.wrap.image.registry import split_reference
from playground.wrap.image.report import report_on, tree_of
from playground.wrap.plan import plan_wrap, read_plan


@pytest.fixture
def look(tmp_path: Path):
    """The report on an image of these layers."""

    def report(*layers: dict, package: str = "ship", **config: object):
        return report_on(read_image(save(tmp_path / "image.tar", [layer(each) for each in layers], **config)), package)

    return report


def test_what_is_seen(look) -> None:
    found = look(
        system(),
        {"srv/data": b"0" * 5000},
        Entrypoint=["/bin/server"],
        User="modeler",
        WorkingDir="/srv",
        Volumes={"/data": {}},
        Healthcheck={"Test": ["CMD", "curl"]},
        ExposedPorts={"5000/tcp": {}},
        Env=["PATH=/usr/bin", "PYTHONPATH=/a", "PIP_INDEX_URL=https://me:hunter2@pip.example", "API_TOKEN=hunter2"],
    )
    assert (found.system, found.family, found.libc) == ("Debian GNU/Linux 12 (bookworm)", "debian", "glibc 2.36")
    assert (found.architecture, found.user, found.workdir) == ("linux/amd64", "modeler", "/srv")
    assert (found.volumes, found.healthcheck, found.exposed) == (("/data",), "CMD curl", ("5000/tcp",))
    assert found.environment == {"PIP_INDEX_URL": "https://***@pip.example", "PYTHONPATH": "/a"}
    assert found.secrets == ("API_TOKEN", "PIP_INDEX_URL")
    (python,) = found.interpreters
    assert (python.path, python.version, python.kind) == ("/usr/bin/python3", "3.11", "system")
    assert [(each.name, each.version) for each in python.packages] == [("requests", "2.25.1")]
    assert found.found == ("/api/ship/__init__.py",)
    assert [each.command for each in found.layers] == ["COPY layer 0", "COPY layer 1"]
    assert found.layers[1].size > 5000


def test_every_kind_of_python(look) -> None:
    found = look(
        system(),
        {
            "opt/venv/bin/python": "/usr/bin/python3",
            "opt/venv/pyvenv.cfg": b"home = /usr/bin\nversion = 3.11.2\n",
            "opt/venv/lib/python3.11/site-packages/flask-1.1.4.dist-info/METADATA": metadata("Flask", "1.1.4"),
            "opt/conda/bin/python3.9": ELF,
            "opt/conda/bin/python": "python3.9",
            "opt/conda/conda-meta/python-3.9.7-h12debd9_1.json": b"{}",
            "opt/conda/lib/python3.9/site-packages/old.egg-info": metadata("old", "1"),
            "root/.pyenv/shims/python": b"#!/usr/bin/env bash\n",
            "root/.pyenv/versions/3.8.18/bin/python3.8": ELF,
            "root/.pyenv/versions/3.8.18/lib/python3.8/os.py": b"",
            "usr/local/bin/python": "/opt/conda/bin/python",
            "usr/local/bin/python3.12": ELF,
            "usr/local/include/python3.12/patchlevel.h": b'#define PY_VERSION "3.12.1"\n',
        },
    )
    told = {
        each.path: (each.kind, each.version, [package.name for package in each.packages]) for each in found.interpreters
    }
    assert told == {
        "/opt/conda/bin/python": ("conda", "3.9.7", ["old"]),
        "/opt/venv/bin/python": ("venv", "3.11.2", ["Flask"]),
        "/root/.pyenv/versions/3.8.18/bin/python3.8": ("pyenv", "3.8.18", []),
        "/usr/bin/python3": ("system", "3.11", ["requests"]),
        "/usr/local/bin/python3.12": ("local", "3.12.1", []),
    }
    conda = next(each for each in found.interpreters if each.kind == "conda")
    assert "/usr/local/bin/python" in conda.paths


def test_later_layers_hide_earlier_ones(tmp_path: Path) -> None:
    layers = [
        {"a/one": b"1", "a/two": b"2", "b/three": b"3", "c": "b", "d/four": b"4"},
        {"a/.wh.one": b"", "b/.wh..wh..opq": b"", "b/new": b"", "c/through-a-link": b"", "d": b"a file now"},
        {"a/.wh.absent": b"", ".wh.e": b"", "e/kept": b"whiteouts hide lower layers only"},
    ]
    tree = tree_of(read_image(save(tmp_path / "image.tar", [layer(each) for each in layers])))
    assert [entry.path for entry in tree.walk() if entry.kind == "file"] == [
        "a/two",
        "b/new",
        "b/through-a-link",
        "d",
        "e/kept",
    ]
    assert tree.find("c/new") is not None


def test_links_that_lead_nowhere_or_around(tmp_path: Path) -> None:
    files = {
        "a": "b",
        "b": "a",
        "up": "../../../../etc/passwd",
        "etc/passwd": b"the image's",
        "deep": "/" + "x/" * 3000,
    }
    tree = tree_of(read_image(save(tmp_path / "image.tar", [layer(files)])))
    assert tree.resolve("a") is None
    assert tree.resolve("deep") is None
    assert tree.content("up") == b"the image's"


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


def test_the_plan_of_an_ordinary_image(look) -> None:
    plan = plan_wrap(look(system(), Env=["PATH=/usr/bin"], Cmd=["python3"]))
    assert (plan.predictor_python, plan.server, plan.server_python) == ("/usr/bin/python3", "image", "/usr/bin/python3")
    assert (plan.run_as, plan.conf, plan.pip) == ("playground", "/api/gunicorn.conf.py", True)
    assert plan.predictor_why == "it is the first python3 of the image's PATH"


VENV = {
    "opt/venv/bin/python": "/usr/bin/python3",
    "opt/venv/pyvenv.cfg": b"home = /usr/bin\nversion = 3.11.2\n",
    "opt/venv/lib/python3.11/site-packages/x.dist-info/METADATA": metadata("x", "1"),
}
INSTALLED = {**VENV, "api": None, "opt/venv/lib/python3.11/site-packages/boats/__init__.py": b""}


@pytest.mark.parametrize(
    ("files", "config", "package", "python", "why"),
    [
        (VENV, {"Entrypoint": ["/opt/venv/bin/python"]}, "ship", "/opt/venv/bin/python", "the image starts /opt/venv"),
        (VENV, {"Env": ["VIRTUAL_ENV=/opt/venv"]}, "ship", "/opt/venv/bin/python", "the image's environment names it"),
        (VENV, {"Env": ["PATH=/opt/venv/bin:/usr/bin"]}, "ship", "/usr/bin/python3", "the first python3"),
        (INSTALLED, {}, "boats", "/opt/venv/bin/python", "it has boats"),
        (VENV, {}, "ship", "/usr/bin/python3", "the first python3"),
    ],
)
def test_which_python_is_the_predictors(look, files: dict, config: dict, package: str, python: str, why: str) -> None:  # noqa: PLR0917
    plan = plan_wrap(look(system(), files, package=package, **config))
    assert plan.predictor_python == python
    assert why in plan.predictor_why


def test_where_the_servers_python_comes_from(look) -> None:
    without = [name for name in system() if "ensurepip" in name or "venv" in name]
    no_ensurepip = plan_wrap(look(system(), {"usr/lib/python3.11/ensurepip/.wh..wh..opq": b""}))
    assert (no_ensurepip.server, no_ensurepip.pip) == ("image", False)
    for files in ({"usr/bin/.wh.sh": b""}, {"usr/lib/python3.11/venv/.wh..wh..opq": b""}):
        assert plan_wrap(look(system(), files)).server == "uv", without
    assert plan_wrap(look(system("3.8"))).server == "uv"
    assert plan_wrap(look(system("3.6"))).predictor_version == "3.6"


REFUSED = {
    "it has Python 2 only; predictors run in Python 3.6 or newer": ([system("2.7")], {}),
    "Python 3.5; predictors run": ([system("3.5")], {}),
    "it has no Python": ([{"etc/os-release": DEBIAN, "api/ship.py": b""}], {}),
    "it is for linux/arm64": ([system()], {"architecture": "arm64"}),
    "a program for another processor": ([system(**{"usr/bin/python3.11": ARM})], {}),
    "its libc is musl": ([system(), {"lib/ld-musl-x86_64.so.1": b""}], {}),
    "its glibc 2.23 is too old": (
        [system(**{"usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC.replace(b"2.36", b"2.23")})],
        {},
    ),
    "PREDICTOR_PACKAGE ship is nowhere in it": ([system(), {"api/.wh.ship": b""}], {}),
    "PREDICTOR_PACKAGE ship is at /srv/ship/__init__.py": (
        [system(), {"api/.wh.ship": b"", "srv/ship/__init__.py": b""}],
        {"WorkingDir": "/srv"},
    ),
    "its VOLUME /opt would hide": ([system()], {"Volumes": {"/opt": {}}}),
    "its ONBUILD would run": ([system()], {"OnBuild": ["COPY . /api"]}),
    "it is wrapped already": ([system(), {"opt/playground/bin/python": ELF}], {}),
    "it has its own /api/gunicorn.conf.py": ([system(), {"api/gunicorn.conf.py": b""}], {}),
    "none of its Pythons is on its PATH": (
        [system(), VENV, {"usr/local/bin/python3.12": ELF}],
        {"Env": ["PATH=/nowhere"]},
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_wrapped_is_refused_with_the_reason(look, words: str) -> None:
    layers, config = REFUSED[words]
    with pytest.raises(WrapRefusedError) as refused:
        plan_wrap(look(*layers, **config))
    assert [words in problem for problem in refused.value.problems] == [True], refused.value.problems


def test_all_reasons_at_once(look) -> None:
    with pytest.raises(WrapRefusedError, match="3 reasons"):
        plan_wrap(look({"opt/playground/a": b""}, architecture="arm64"))


def test_the_command(tmp_path: Path) -> None:
    path = save(tmp_path / "image.tar", [layer(system())], Entrypoint=["/bin/\x1b[31mserver\n"])
    run = CliRunner()
    told = run.invoke(main, ["inspect-image", path, "--package", "ship", "--plan", str(tmp_path / "plan.json")])
    assert told.exit_code == 0, told.stderr
    assert "python       /usr/bin/python3 3.11 (system, 1 packages)" in told.stdout
    assert "packages     0 of 1 will change" in told.stdout
    assert "\x1b" not in told.stdout
    assert read_plan(tmp_path / "plan.json").predictor_python == "/usr/bin/python3"
    found = json.loads(run.invoke(main, ["inspect-image", path, "--json"]).stdout)
    assert found["image"]["libc"] == "glibc 2.36"
    refused = run.invoke(main, ["inspect-image", path, "--package", "absent"])
    assert refused.exit_code == 1
    assert "PREDICTOR_PACKAGE absent is nowhere in it" in refused.stderr
    assert run.invoke(main, ["inspect-image", str(tmp_path / "plan.json")]).exit_code == 1


def test_what_changed_between_two_images(tmp_path: Path) -> None:
    lower = layer(system())
    ours = {"opt/playground/x": b"1", "api/app.py": "/opt/playground/app/app.py", "home/playground/a": b""}
    ours["etc/passwd"] = b"root:x:0:0::/root:/bin/sh\nplayground:x:1:1:::\n"
    folder = "usr/lib/python3/dist-packages"
    evil = {f"{folder}/requests-2.25.1.dist-info/METADATA": metadata("requests", "3"), f"{folder}/flask.py": b""}
    evil |= {"api/.wh.ship": b"", "srv/new": b""}
    before, good, bad = (
        read_image(save(tmp_path / f"{number}.tar", layers), hash_files=True)
        for number, layers in enumerate(([lower], [lower, layer(ours)], [lower, layer(ours | evil)]))
    )
    found = compare(before, good)
    assert found.is_untouched
    assert (found.packages, found.layers_kept, found.expected) == (1, True, ("etc/passwd",))
    found = compare(before, bad)
    assert not found.is_untouched
    assert found.changed == (f"{folder}/requests-2.25.1.dist-info/METADATA",)
    assert found.removed == ("api/ship", "api/ship/__init__.py")
    assert found.added == ("srv", "srv/new", f"{folder}/flask.py")
    assert f"requests in /{folder}" in found.changed_packages
    result = CliRunner().invoke(main, ["inspect-image", str(tmp_path / "2.tar"), "--against", str(tmp_path / "0.tar")])
    assert result.exit_code == 1
    assert "of 1 packages changed; the partner's layers are kept bit for bit" in result.stdout

"""Wrong use, as a new user would: one clear message, exit status 1 or 2, no traceback, and nothing written."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import PREDICTORS
from tileserver import Answer, TileServer

from playground.commands import main

TILES = ["--predictor", "blobs:Blobs", "--tiles", "world.mbtiles", "--zoom", "3"]
PREDICT = ["predict", "3/1/1", "--predictor", "blobs:Blobs", "--zoom", "3", "--tiles"]
OUT = ["--out", "o.geojson"]
FEATURES = '{"type": "FeatureCollection", "features": %s}'
FILES = {
    "tabs.yaml": "ZOOM_LEVEL: 3\nresources:\n\tcpu: 4\n",
    "empty.geojson": FEATURES % "[]",
    "null.geojson": FEATURES % "[null]",
    "text.geojson": FEATURES % '"abc"',
    "object.json": '{"a": 1}',
    "two.tiles": "3/1/1\n4/1/1\n",
    "text.txt": "important data",
    "text.mbtiles": "important data",
    "zero.png": "",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, imagery_file: Path) -> Path:
    """What a user has lying about."""
    made = tmp_path_factory.mktemp("wrong")
    for name, text in FILES.items():
        (made / name).write_text(text)
    for name in ("folder", "folder.geojson"):
        (made / name).mkdir()
    (made / "world.mbtiles").write_bytes(imagery_file.read_bytes())
    (made / "blobs.py").write_bytes((PREDICTORS / "blobs.py").read_bytes())
    database = sqlite3.connect(made / "theirs.db")
    database.execute("CREATE TABLE theirs (a)")
    database.close()
    return made


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path): path.read_bytes() for path in paths}


def said(folder: Path, *arguments: str) -> tuple[int, str]:
    """What a command says that must leave everything as it was."""
    before = contents(folder)
    told = CliRunner().invoke(main, arguments, prog_name="playground")
    assert isinstance(told.exception, SystemExit), told.exception
    assert contents(folder) == before
    assert told.stdout == ""
    assert "Traceback" not in told.stderr
    return told.exit_code, " ".join(told.stderr.split())


@pytest.mark.parametrize(
    ("area", "words"),
    [
        ("nowhere.geojson", "cannot read the area 'nowhere.geojson': No such file"),
        ("folder", "cannot read the area 'folder': Is a directory"),
        ("world.mbtiles", "cannot read the area 'world.mbtiles': not text"),
        ("empty.geojson", "empty.geojson holds no geometry"),
        ("null.geojson", "null.geojson holds null where a GeoJSON object should be"),
        ("text.geojson", 'holds "abc" where a GeoJSON object should be'),
        ("object.json", "object.json is no GeoJSON: it has no type"),
        ("two.tiles", "tile 4/1/1 is not of zoom 3"),
        ("0,0,10", "an area is west,south,east,north"),
        ("10,20,0,10", "holds nothing"),
    ],
)
def test_areas(folder: Path, area: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    status, told = said(folder, "run", area, *TILES, *OUT)
    assert (status, words in told) == (1, True), told


def test_more_tiles_than_anybody_could_predict(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    status, told = said(folder, "run", "-180,-85,180,85", *TILES, "--zoom", "30", *OUT)
    assert (status, "tiles or more at zoom 30: that is too many" in told) == (1, True), told


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--out", "a.shp"], 1, "the format .shp is not known"),
        (["--out", "nowhere/a.geojson"], 2, "there is no folder"),
        (["--out", "folder.geojson"], 2, "folder.geojson is a folder"),
        ([*OUT, *OUT], 2, "--out and --out both name o.geojson"),
        ([*OUT, "--journal", "o.geojson"], 2, "--out and --journal both name o.geojson"),
        ([*OUT, "--journal", "folder"], 2, "folder is a folder"),
        ([*OUT, "--journal", "text.txt", "--anew"], 1, "text.txt cannot be used as a journal"),
        ([*OUT, "--journal", "theirs.db", "--anew"], 1, "theirs.db cannot be used as a journal"),
        ([*OUT, "--journal", "theirs.db", "--resume"], 1, "theirs.db cannot be used as a journal"),
        (["--resume"], 1, "there is no journal to resume"),
        ([*OUT, "--summary", "nowhere/s.json"], 2, "'--summary': there is no folder"),
        ([*OUT, "--table", "folder"], 2, "'--table': folder is a folder"),
        ([*OUT, "--picture", "map.jpg"], 2, "'--picture': map.jpg is no .png"),
        ([*OUT, "--workers", "10000"], 2, "10000 is not in the range 1<=x<=1024"),
        ([*OUT, "--merge", "glue"], 1, "merge 'glue' is not known"),
        ([*OUT, "--service", "http://127.0.0.1:1"], 2, "leave out --predictor"),
        ([*OUT, "--engine", "dask", "--scheduler", "nonsense"], 1, "nonsense is no address of a Dask scheduler"),
    ],
)
def test_runs(folder: Path, options: list[str], status: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    ended, told = said(folder, "run", "0,0,10,10", *TILES, *options)
    assert (ended, words in told) == (status, True), told


@pytest.mark.parametrize(
    ("tiles", "words"),
    [
        ("text.mbtiles", "text.mbtiles is not an MBTiles file"),
        ("folder", "folder holds no tiles"),
        ("zero.png", "`playground sources` explains each"),
        ("https://tiles.example/a.png", "a tile server's address has placeholders"),
        ("https://tiles.example/{z}/{x}.png", "it needs {z}, {x} and {y}"),
        ("https://tiles.example/{z}/{x}/{yy}.png", "{yy} is not known"),
        ("file:///tiles/{z}/{x}/{y}.png", "names no tile source"),
    ],
)
def test_sources(folder: Path, tiles: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    status, told = said(folder, *PREDICT, tiles)
    assert (status, words in told) == (1, True), told


def test_what_answers_is_no_service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run = ["run", "0,0,10,10", *OUT, "--service"]
    answers = {
        "/html/version": b"<html>",
        "/down/version": Answer(status=500),
        "/other/version": b"[]",
    }
    with TileServer(answers) as server:
        assert "is no playground service" in said(folder, *run, f"{server.address}/html")[1]
        assert "does not tell its zoom: it answers 500" in said(folder, *run, f"{server.address}/down")[1]
        assert "does not tell its zoom hint: give --zoom" in said(folder, *run, f"{server.address}/other")[1]
    status, told = said(folder, *run, server.address)
    assert (status, f"the service {server.address} does not answer: Connection refused" in told) == (1, True), told


def test_a_port_that_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, told = said(folder, "serve", *TILES, "--port", port)
    assert (status, f"cannot listen on 127.0.0.1:{port}: somebody listens there already" in told) == (1, True), told


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["serve", *TILES[:3], "nowhere.mbtiles", *TILES[4:]], 1, "there is no file nowhere.mbtiles"),
        (["serve", *TILES, "--host", "no such host", "--port", "0"], 1, "cannot listen on no such host:0"),
        (["serve", *TILES, "--port", "99999"], 2, "99999 is not in the range"),
        (["predict", "zero.png", *TILES], 1, "zero.png: not an image: nothing"),
        (["predict", "3/1/1", "--from", "tabs.yaml"], 1, "error: tabs.yaml:3: is not YAML at column 1: found a tab"),
        (["check", "--max-load", "nan"], 2, "'--max-load': found nan"),
        (["check", "--junit", "nowhere/j.xml"], 2, "'--junit': there is no folder"),
        (["check", "http://127.0.0.1:1", "--header", "X-Key"], 2, "'X-Key' is not 'NAME: VALUE'"),
        (["inspect", "world.mbtiles", "--picture", "nowhere/look.png"], 2, "'--picture': there is no folder"),
    ],
)
def test_other_commands(
    folder: Path, arguments: list[str], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    ended, told = said(folder, *arguments)
    assert (ended, words in told) == (status, True), told
    assert told.count("found a tab") <= 1, "said once"


def test_tiles_are_found_from_here_and_from_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    project = folder / "folder"
    yaml = "ZOOM_LEVEL: 9\nPREDICTOR_PACKAGE: blobs\nPREDICTOR_CLASS: Blobs\nTILES: ../world.mbtiles\n"
    (project / "service.yaml").write_text(yaml)
    told = said(folder, "run", "0,0,1,1", "--from", str(project), "--out", "nowhere.geojson", "--suppress", "x")[1]
    assert "suppression 'x' is not known" in told, "the source was found"
    (project / "service.yaml").unlink()

"""A setting that cannot be used is named as it was written: an option, an argument, a variable, a line of a file."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import PREDICTORS
from tileserver import TileServer

from playground import area
from playground.commands import COMMANDS, main
from playground.commands.target import OPTIONS, VARIABLES, Setting
from playground.errors import SettingsError
from playground.registry import load

SERVICE = "ZOOM_LEVEL: 3\nPREDICTOR_CLASS: Ships\nPREDICTOR_PACKAGE: ships\n"
READERS = {"predict": ["predict", "3/5/4"], "run": ["run", "0,0,1,1"], "serve": ["serve"], "check": ["check"]}
"""Commands that read a service.yaml."""
WRONG = {"tiles": " ", "zoom": "99", "padding": "-1", "python": " ", "timeout": "0", "workers": "0", "max-load": "x"}


def options() -> list[tuple[str, str]]:
    """Every (command, option) that says what a setting says."""
    found = []
    for name in COMMANDS:
        command: click.Command = load(COMMANDS[name][0])
        found += [(name, each.opts[0]) for each in command.params if isinstance(each.type, Setting)]
    return found


def said(*arguments: str) -> tuple[int, str]:
    told = CliRunner().invoke(main, arguments, prog_name="playground")
    assert isinstance(told.exception, SystemExit)
    assert told.stdout == ""
    return told.exit_code, " ".join(told.stderr.split())


def test_all_options_of_settings_are_known_by_their_type() -> None:
    assert {option for _, option in options()} == {f"--{name}" for name in VARIABLES} | {"--max-load"}
    assert {f"--{name}" for name in VARIABLES} - {"--workers"} == OPTIONS.keys() - {"--predictor"}


@pytest.mark.parametrize(("command", "option"), options())
def test_an_option_is_named_as_it_was_typed(command: str, option: str) -> None:
    wrong = WRONG[option.removeprefix("--")]
    status, words = said(command, option, wrong)
    assert status == 2
    assert f"Invalid value for '{option}': found {wrong.strip()}" in words
    assert "allowed: " in words
    assert "variable" not in words


@pytest.mark.parametrize("arguments", READERS.values(), ids=READERS)
def test_a_variable_is_named_as_such(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("service.yaml").write_text(SERVICE)
    monkeypatch.setenv("ZOOM_LEVEL", "99")
    status, words = said(*arguments)
    assert status == 1
    assert "environment variable ZOOM_LEVEL: found 99, allowed: a whole number from 0 to 30" in words
    Path("ships.py").touch()
    monkeypatch.setenv("PADDING", "4")
    assert "ZOOM_LEVEL" not in said(*arguments, "--zoom", "5", "--padding", "999")[1]


@pytest.mark.parametrize("arguments", READERS.values(), ids=READERS)
def test_a_file_is_named_with_line_and_key(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("service.yaml").write_text(SERVICE.replace("3", "99"))
    status, words = said(*arguments)
    assert status == 1
    assert "service.yaml:1: ZOOM_LEVEL: found 99, allowed: a whole number from 0 to 30" in words


@pytest.mark.parametrize("arguments", [READERS["predict"], READERS["run"], READERS["serve"]])
@pytest.mark.parametrize("predictor", ["ships", "ships:", "ships/boats:Ships", "ships:class", ":Ships", "ships.py:9"])
def test_a_predictor_is_named_as_it_was_typed(arguments: list[str], predictor: str) -> None:
    status, words = said(*arguments, "--predictor", predictor)
    assert status == 2
    assert f"'{predictor}' is not package.module:Class" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"zoom": 99}, "argument zoom: found 99, allowed: a whole number from 0 to 30"),
        ({"zoom": "sixteen"}, "argument zoom: found sixteen, allowed: a whole number"),
        ({"zoom": None}, "ZOOM_LEVEL: missing in the arguments"),
        ({"padding": -1}, "argument padding: found -1, allowed: a whole number from 0 to 256 (pixels)"),
        ({"python": " "}, "argument python: found  , allowed: one line of text"),
        ({"predictor": "ships"}, "argument predictor: found ships, allowed: package.module:Class"),
        ({"engine": "spark"}, "argument engine: found spark, allowed: local, dask"),
        ({"workers": 0}, "argument workers: found 0, allowed: a whole number from 1 to 1024"),
        ({"fill": "black"}, "argument fill: found black, allowed: one of reflect, edge, nodata"),
        ({"timeout": 0, "min_area": "x"}, "argument min_area: found x, allowed: a number"),
        ({"class_names": {0: 1}}, 'argument class_names: found {"0": 1}, allowed: names by class'),
        ({"tiles_bearer": "hunter2 hunter2"}, "argument tiles_bearer: found ***, allowed: a token"),
        ({"pading": 4}, "argument pading: unknown; did you mean padding?"),
    ],
)
def test_an_argument_is_named_as_such(arguments: dict[str, object], words: str) -> None:
    given = {"predictor": "blobs:Blobs", "tiles": "x.mbtiles", "zoom": 3, **arguments}
    with pytest.raises(SettingsError) as caught:
        area.run((0, 0, 1, 1), **given)
    assert words in str(caught.value)
    assert "variable" not in str(caught.value)


def test_arguments_are_taken_as_python_has_them(imagery_file: Path, tmp_path: Path) -> None:
    options = {"predictor": "blobs:Blobs", "tiles": imagery_file, "zoom": "3", "journal": tmp_path / "journal"}
    run = area.run((0, 0, 1, 1), **options, class_names={0: "ship"}, fill=None, validate_responses=False)
    assert (run.plan.zoom, run.report.asked) == (3, 1)
    run.close()


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PREDICTORS)
    monkeypatch.setenv("TILES_BEARER", "hunter2")
    with TileServer({}) as server:
        tiles = ["--tiles", server.address + "/{z}/{x}/{y}.png", "--zoom", "3"]
        status, words = said("predict", "3/5/4", "--predictor", "readers:Bytes", *tiles)
    assert (status, "no imagery" in words) == (1, True), words
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer hunter2"}

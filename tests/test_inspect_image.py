"""An image looked into without running it: layers, whiteouts, Pythons, configuration."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from images import ELF, layer, metadata, save, system

from playground.commands import main
from playground.wrap.compare import compare
from playground.wrap.image.opening import read_image
from playground.wrap.image.report import tree_of
from playground.wrap.plan import read_plan


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

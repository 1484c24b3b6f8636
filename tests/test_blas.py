"""OpenBLAS's idle threads sleep, in every process of ours and of a predictor."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from playground import Tile, blas
from playground.commands import main

TELLS = """
import os
from playground_interfaces import PredictError

class Process:
    def predict(self, tile):
        raise PredictError(os.environ["OPENBLAS_THREAD_TIMEOUT"])
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "4"), ("20", "20")])
def test_a_predictor_has_it_unless_its_user_says_otherwise(given, expected, start_predictor, tmp_path, monkeypatch):
    (tmp_path / "tells.py").write_text(TELLS)
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    if given:
        monkeypatch.setenv(blas.VARIABLE, given)
    predictor = start_predictor("tells:Process", workdir=tmp_path)
    with pytest.raises(Exception, match=f"^{expected}$"):
        predictor.predict(Tile("u", b""))


def test_a_command_has_it_before_numpy_is_imported(monkeypatch):
    monkeypatch.setitem(os.environ, blas.VARIABLE, "4")  # so that it is as before afterwards
    monkeypatch.delitem(os.environ, blas.VARIABLE)
    assert CliRunner().invoke(main, ["sources"]).exit_code == 0
    assert os.environ[blas.VARIABLE] == blas.LEAST

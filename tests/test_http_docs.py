"""Every curl line of the client's page does what the page says."""

from __future__ import annotations

import io
import shutil
import subprocess

import numpy as np
import pytest
from conftest import require
from PIL import Image
from test_docs import shell_lines

from playground.sources.mbtiles import write_mbtiles


@pytest.fixture(scope="module")
def service(serve, tmp_path_factory):
    import mercantile

    path = tmp_path_factory.mktemp("imagery") / "europe.mbtiles"
    picture = io.BytesIO()
    Image.fromarray(np.full((256, 256, 3), 90, np.uint8)).save(picture, "JPEG")
    tiles = [(mercantile.Tile(x, y, 5), picture.getvalue()) for x in range(14, 19) for y in range(9, 14)]
    write_mbtiles(path, {"name": "europe", "format": "jpg", "minzoom": "5", "maxzoom": "5"}, iter(tiles))
    started = serve("readers:Array", TILES=str(path), ZOOM_LEVEL="5")
    started.wait_loaded()
    (path.parent / "tile.jpg").write_bytes(picture.getvalue())
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path.parent / "image.tif")
    return started, path.parent


def test_every_curl_line_of_the_clients_page(service):
    require(shutil.which("curl"), "there is no curl on this machine")
    started, folder = service
    lines = [line for page, line in shell_lines() if page == "client.md" and "curl" in line]
    assert len(lines) >= 10
    for line in lines:
        asked = line.replace("curl ", "curl --fail-with-body ").replace("localhost:8080", started.url)
        done = subprocess.run(["bash", "-c", asked], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        if "/predict" in line or "/process" in line:
            assert '"Feature' in done.stdout, line

"""Parts of JPEG tiles: what is decoded for a tile that stands alone has the pixels of the whole, and costs less."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import mercantile
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from playground import imagery, mosaic
from playground.errors import TileSourceError
from playground.sources.mbtiles import MBTilesSource, write_mbtiles
from playground.tiles import TileEngine
from playground.tiles.parts import Scratch, bands_of_jpeg, decode_rows

SIZE = 64
ZOOM = 5
FAR, TILE = mercantile.Tile(3, 3, ZOOM), mercantile.Tile(20, 9, ZOOM)


def photo(seed: int, size: int = SIZE) -> np.ndarray:
    """(size, size, 3): smooth in places, noise in others."""
    chance = np.random.default_rng(seed)
    rough = Image.fromarray(chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((size, size))
    return np.clip(np.asarray(rough, int) + chance.integers(-25, 26, (size, size, 3)), 0, 255).astype(np.uint8)


def jpeg(seed: int, size: int = SIZE, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photo(seed, size)).save(out, "jpeg", **options)  # type: ignore[arg-type]
    return out.getvalue()


@given(
    st.integers(0, 2**16),
    st.integers(9, 150),
    st.data(),
    st.sampled_from(["444", "422", "420", "440", "411", "Gray"]),
    st.integers(5, 100),
)
@settings(max_examples=250)
def test_the_first_rows_are_those_of_the_whole(
    seed: int, size: int, data: st.DataObject, subsampling: str, quality: int
) -> None:
    rows = data.draw(st.integers(1, size))
    pixels = photo(seed, size)
    grey = subsampling == "Gray"
    encoded = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels[..., :1]) if grey else pixels,
        quality,
        "GRAY" if grey else "RGB",
        colorsubsampling=subsampling,
    )
    bands = bands_of_jpeg(encoded)
    assert bands == (1 if grey else 3)
    part = decode_rows(encoded, bands, size, rows, Scratch())
    assert part is not None
    assert rows <= part.shape[0] <= max(rows + 32, 32)
    assert np.array_equal(part[:rows], imagery.decode(encoded)[:rows])


@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}, {"exif": b"Exif\0\0" + bytes(300)}],
    ids=str,
)
def test_other_kinds_of_jpeg(options: Mapping[str, object]) -> None:
    encoded = jpeg(1, 256, quality=85, **options)
    part = decode_rows(encoded, 3, 256, 24, Scratch())
    assert part is not None
    assert part.shape[0] == (256 if "progressive" in options else 32)
    assert np.array_equal(part[:24], imagery.decode(encoded)[:24])


def test_what_only_the_whole_can_tell() -> None:
    cmyk = io.BytesIO()
    Image.new("CMYK", (32, 32)).save(cmyk, "jpeg")
    assert bands_of_jpeg(cmyk.getvalue()) is None
    assert bands_of_jpeg(imagery.encode_png(photo(1))) is None
    assert bands_of_jpeg(jpeg(1)[:-30]) is None
    broken = jpeg(1)[:-200] + b"\xff\xd9"
    assert bands_of_jpeg(broken) == 3
    assert decode_rows(broken, 3, SIZE, SIZE, Scratch()) is None


# In the engine: the second tile stands alone, far from the first


def engine(folder: Path, tiles: Mapping[mercantile.Tile, bytes], padding: int, **options: object) -> TileEngine:
    path = folder / "tiles.mbtiles"
    write_mbtiles(path, {"name": "photos", "format": "jpg"}, {**dict.fromkeys([FAR], jpeg(0)), **tiles}.items())
    made = TileEngine(MBTilesSource(str(path)), padding, **options)  # type: ignore[arg-type]
    made.get(FAR).array()
    return made


def nine(**options: object) -> dict[mercantile.Tile, bytes]:
    around = [tile for tile in mosaic.neighbourhood(TILE) if tile is not None]
    return {tile: jpeg(10 + number, **options) for number, tile in enumerate(around)}


@pytest.mark.parametrize("padding", [1, 15, 16, 17, 24, 63, 64])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_tile_that_stands_alone_has_the_pixels_of_the_wholes(tmp_path: Path, padding: int, subsampling: str) -> None:
    tiles = nine(subsampling=subsampling)
    made = engine(tmp_path, tiles, padding)
    before = made.stats().decodes
    alone = made.get(TILE).array()
    assert made.stats().decodes == before + 9
    wholes = [imagery.decode(tiles[tile]) for tile in mosaic.neighbourhood(TILE) if tile is not None]
    assert np.array_equal(alone, mosaic.stitch(wholes, padding))
    assert not alone.flags.writeable
    # Asked again, it is no longer alone: now the wholes are decoded and kept, and then nothing is decoded any more.
    for decodes in (9, 0):
        before = made.stats().decodes
        assert np.array_equal(made.get(TILE).array(), alone)
        assert made.stats().decodes == before + decodes


@pytest.mark.parametrize("fill", mosaic.FILLS)
def test_missing_neighbours_of_one_alone(tmp_path: Path, fill: mosaic.Fill) -> None:
    tiles = nine()
    present = [tile not in {(19, 8, 5), (20, 8, 5), (21, 10, 5)} for tile in mosaic.neighbourhood(TILE)]
    held = {tile: data for (tile, data), there in zip(tiles.items(), present, strict=True) if there}
    alone = engine(tmp_path, held, 20, fill=fill).get(TILE)
    assert alone.missing == ("NW", "N", "SE")
    wholes = [imagery.decode(held[tile]) if tile in held else None for tile in tiles]
    assert np.array_equal(alone.array(), mosaic.stitch(wholes, 20, fill))


@pytest.mark.parametrize("place", range(9))
def test_tiles_that_are_not_all_alike_are_decoded_whole(tmp_path: Path, place: int) -> None:
    tiles = nine()
    for number, other in enumerate(
        (imagery.encode_png(photo(3)), jpeg(3, 32), simplejpeg.encode_jpeg(photo(3)[..., :1].copy(), colorspace="GRAY"))
    ):
        odd = {**tiles, list(tiles)[place]: other}
        made = engine(tmp_path, odd, 8)
        alone = made.get(TILE).array()
        assert np.array_equal(alone, made.get(TILE).array()), number
        made.close()


@pytest.mark.parametrize("place", range(9))
def test_a_broken_one_is_the_same_error(tmp_path: Path, place: int) -> None:
    tiles = nine()
    name = list(tiles)[place]
    made = engine(tmp_path, {**tiles, name: tiles[name][:-200]}, 8)
    with pytest.raises(TileSourceError, match=f"tile {name.z}/{name.x}/{name.y}: broken image"):
        made.get(TILE).array()

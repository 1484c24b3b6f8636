"""Bytes to pixels and back: formats, limits, hostile bytes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from playground import imagery
from playground.errors import ImageError

RNG = np.random.default_rng(7)
# Smooth, so that lossy formats keep it: a photo has no pixel noise either.
RAMP = np.linspace(0, 255, 40 * 48).reshape(40, 48)
PHOTO = np.stack((RAMP, RAMP[::-1], RAMP[:, ::-1]), axis=2).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "tiff"])
def test_formats_are_told_by_their_bytes_and_sizes_by_their_headers(kind: str) -> None:
    data = encoded(PHOTO, kind)
    assert imagery.image_format(data) == kind
    assert imagery.image_size(data) == (48, 40)
    assert imagery.check_image(data, 48 * 40) == (48, 40)
    assert imagery.decode(data).shape == (40, 48, 3)
    imagery.check_whole(data)


@pytest.mark.parametrize("data", [b"", b"<html>no</html>", b'{"error": 1}', b"\x1f\x8b\x08", b"GIF88a", b"\xff\xd8"])
def test_what_is_no_image_is_said(data: bytes) -> None:
    assert imagery.image_format(data) is None
    with pytest.raises(ImageError):
        imagery.check_image(data, 100)
    with pytest.raises(ImageError):
        imagery.decode(data)


def test_messages_say_what_came_instead() -> None:
    assert imagery.describe(b"  <!DOCTYPE html><p>") == "an HTML page"
    assert imagery.describe(b"<?xml version='1.0'?><ServiceException/>") == "an XML document"
    assert imagery.describe(b'{"message": "no"}') == "a JSON document"
    assert "vector" in imagery.describe(b"\x1f\x8b\x08\x00")
    assert imagery.describe(b"") == "nothing"


def test_jpeg_gives_the_pixels_of_the_usual_decoders() -> None:
    data = encoded(PHOTO, "jpeg", quality=92)
    assert np.array_equal(imagery.decode(data), simplejpeg.decode_jpeg(data))
    assert np.array_equal(imagery.decode(data), np.asarray(Image.open(io.BytesIO(data))))


def test_grey_jpeg_has_one_band_and_cmyk_becomes_rgb() -> None:
    assert imagery.decode(encoded(PHOTO[..., 0], "jpeg")).shape == (40, 48, 1)
    cmyk = imagery.decode(encoded(Image.fromarray(PHOTO).convert("CMYK"), "jpeg", quality=100))
    assert np.abs(cmyk.astype(int) - PHOTO).max() < 12


@pytest.mark.parametrize(("mode", "bands"), [("1", 1), ("L", 1), ("LA", 4), ("P", 3), ("RGB", 3), ("RGBA", 4)], ids=str)
def test_png_modes(mode: str, bands: int) -> None:
    image = Image.fromarray(PHOTO).convert(mode)
    pixels = imagery.decode(encoded(image, "png"))
    assert pixels.shape == (40, 48, bands)
    assert pixels.dtype == np.uint8
    expected = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[bands]))
    assert np.array_equal(pixels.squeeze(), expected)


def test_a_transparent_colour_becomes_alpha() -> None:
    palette = Image.fromarray(PHOTO).convert("P")
    pixels = imagery.decode(encoded(palette, "png", transparency=int(np.asarray(palette)[0, 0])))
    assert pixels.shape == (40, 48, 4)
    assert pixels[0, 0, 3] == 0
    assert pixels[..., 3].max() == 255


def test_sixteen_bits_stay() -> None:
    grey = RNG.integers(0, 2**16, (40, 48), dtype=np.uint16)
    for kind in ("png", "tiff"):
        pixels = imagery.decode(encoded(grey, kind))
        assert pixels.dtype == np.uint16
        assert np.array_equal(pixels, grey[..., np.newaxis])


def test_floats_are_refused_with_a_reason() -> None:
    with pytest.raises(ImageError, match="32 bits"):
        imagery.decode(encoded(RAMP.astype(np.float32), "tiff"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_posted_photos_are_turned_upright_and_tiles_are_not(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(PHOTO, kind, exif=exif)
    stored = Image.open(io.BytesIO(data))
    assert np.array_equal(imagery.decode(data, upright=True), np.asarray(ImageOps.exif_transpose(stored)))
    assert np.array_equal(imagery.decode(data), np.asarray(stored))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_truncated_images_are_errors(kind: str, kept: float) -> None:
    data = encoded(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8), kind)
    part = data[: int(len(data) * kept)]
    with pytest.raises(ImageError):
        imagery.decode(part)
    with pytest.raises(ImageError):
        imagery.check_whole(part)


def test_progressive_jpeg_with_its_end_cut_off_is_an_error() -> None:
    data = encoded(PHOTO, "jpeg", progressive=True)
    with pytest.raises(ImageError):
        imagery.decode(data[:-40])


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    data = encoded(PHOTO, "jpeg")
    imagery.check_whole(data + b"\0" * 9)
    assert np.array_equal(imagery.decode(data + b"\0" * 9), imagery.decode(data))


@pytest.mark.parametrize("side", [20_000, 2**31 - 1])
def test_bombs_are_refused_before_decoding(side: int) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    with pytest.raises(ImageError):
        imagery.check_image(bomb, 2**24)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on broken EXIF and TIFF tags
@given(st.binary(max_size=200), st.sampled_from(["jpeg", "png", "webp", "gif", "tiff"]), st.integers(8, 300))
@settings(max_examples=200)
def test_no_bytes_raise_anything_but_image_errors(noise: bytes, kind: str, start: int) -> None:
    data = encoded(PHOTO, kind)
    hostile = data[:start] + noise + data[start + len(noise) :]
    for read in (imagery.decode, imagery.image_size, imagery.check_whole, lambda b: imagery.decode(b, upright=True)):
        try:
            read(hostile)
        except ImageError:
            pass


@given(
    st.sampled_from([(np.uint8, 1), (np.uint8, 3), (np.uint8, 4), (np.uint16, 1)]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.data(),
)
@settings(max_examples=60)
def test_png_round_trip(kind: tuple[type, int], height: int, width: int, data: st.DataObject) -> None:
    pixels = data.draw(hnp.arrays(kind[0], (height, width, kind[1])))
    png = imagery.encode_png(pixels)
    assert imagery.image_size(png) == (width, height)
    imagery.check_whole(png)
    again = imagery.decode(png)
    assert again.dtype == pixels.dtype
    assert np.array_equal(again, pixels)


def test_a_view_of_an_image_can_be_encoded() -> None:
    view = PHOTO[3:30:2, 5:40, ::-1]
    assert np.array_equal(imagery.decode(imagery.encode_png(view)), view)


@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("wanted", [1, 3, 4])
def test_convert_bands(bands: int, wanted: int) -> None:
    pixels = np.full((8, 8, bands), 90, np.uint8)
    converted = imagery.convert(pixels, 8, wanted)
    assert converted.shape == (8, 8, wanted)
    assert (converted[..., : min(wanted, 3)] == 90).all()
    if wanted == 4:
        assert (converted[..., 3] == (90 if bands == 4 else 255)).all()


def test_convert_size_keeps_the_mean_also_of_sixteen_bits() -> None:
    pixels = RNG.integers(0, 2**16, (64, 64, 1), dtype=np.uint16)
    small = imagery.convert(pixels, 32, 1)
    assert small.shape == (32, 32, 1)
    assert small.dtype == np.uint16
    assert abs(float(small.mean()) - float(pixels.mean())) < 300
    assert imagery.convert(PHOTO[:40, :40], 80, 3).shape == (80, 80, 3)

"""Images that come sooner or later, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from playground.acceptance.bench import Bench
from playground.acceptance.model import Check, Sample, Verdict, failed, passed, skipped
from playground.acceptance.process import encoded
from playground.imagery import Pixels


def _all_fine(bench: Bench, samples: Iterable[Sample]) -> Verdict:
    problems, rejected, count = [], [], 0
    for sample in samples:
        seen = bench.see(sample)
        count += 1
        if seen.problem:
            problems.append(f"{sample.name}: {seen.problem}")
        if seen.rejected:
            rejected.append(sample.name)
    if problems:
        return failed("; ".join(problems))
    return passed(f"{count} images" + (f", of which it refuses {', '.join(rejected)}" if rejected else ""))


def _plain_images(bench: Bench) -> Verdict:
    samples = list(bench.plain)
    if bench.subject.sees == "process":
        black = np.zeros((bench.side, bench.side, 3), np.uint8)
        samples.append(Sample("no imagery", black, bench.padding, np.zeros(black.shape[:2], bool)))
    return _all_fine(bench, samples)


PLAIN_IMAGES = Check(
    "must",
    _plain_images,
    "black, grey and white images, noise, and tiles without imagery are predicted, or refused with PredictError",
    "open sea, clouds, night and the edge of the imagery look like that, and no map is without them",
    "look for divisions by a standard deviation or a maximum that is 0, and for empty lists",
)


def _sample(name: str, pixels: Pixels) -> Sample:
    return Sample(name, np.ascontiguousarray(pixels))


def _bands(bench: Bench) -> Verdict:
    rgb = bench.samples(bench.scenes[-1])["tile"].pixels
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    samples = [
        _sample("grey, one band", rgb[..., :1]),
        _sample("with alpha", np.concatenate((rgb[..., :3], alpha), axis=2)),
        _sample("grey, 16 bits", rgb[..., :1].astype(np.uint16) * 257),
    ]
    return _all_fine(bench, samples)


BANDS = Check(
    "should",
    _bands,
    "images of one band, with alpha and of 16 bits are predicted, or refused with PredictError",
    "sources mix them: a PNG with transparency at the coast, a grey JPEG over the desert; then an exception is a 500",
    "look at array.shape and array.dtype first; convert, or raise PredictError('needs colour imagery')",
)


def _sizes(bench: Bench) -> Verdict:
    rgb = bench.samples(bench.scenes[-1])["tile"].pixels
    samples = [
        _sample("1 x 1", rgb[:1, :1]),
        _sample("2 x 3", rgb[:2, :3]),
        _sample("64 x 48", rgb[:48, :64]),
        _sample("255 x 253", rgb[:253, :255]),
        _sample("512 x 512", np.tile(rgb[:256, :256], (2, 2, 1))),
    ]
    return _all_fine(bench, samples)


SIZES = Check(
    "should",
    _sizes,
    "images of odd sizes, down to 1 x 1, are predicted, or refused with PredictError",
    "clients may post any image, and some sources serve tiles of 512 pixels",
    "read the size from the image, pad it to what the model needs, or raise PredictError",
)


def _broken_image(bench: Bench) -> Verdict:
    tile = bench.samples(bench.scenes[-1])["tile"]
    data = encoded(tile)
    sample = Sample("truncated image", tile.pixels, tile.padding, encoded=data[: len(data) // 2])
    seen = bench.see(sample)
    if bench.subject.sees == "process" and "image" not in seen.inside.get("read", ["image"]):
        return skipped("it reads tile.array, which the server decodes: a broken image never comes so far")
    if seen.ended:
        return failed(f"the predictor process ended: {seen.problem}")
    if bench.subject.sees == "http" and seen.problem:
        return failed(f"answered with {seen.problem}, and not with a 4xx")
    return passed("costs nothing but its own request")


BROKEN_IMAGE = Check(
    "should",
    _broken_image,
    "a truncated image costs its own request and nothing else",
    "broken files do come; whoever crashes or hangs on one takes the next requests along while it loads again",
    "let the decoder's exception out, or raise PredictError; never wait or exit",
)

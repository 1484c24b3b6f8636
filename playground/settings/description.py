"""What a partner says of the service: the ``description`` block, in the words of the Tile Geo Process API.

What the block leaves out is measured or derived from the other settings where ``/api/v1/describe`` is answered.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from playground.settings.kinds import Block

Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
Family = Literal["object-detection", "change-detection", "segmentation"]
Metadatum = Literal["incidenceAngle", "sunElevation", "sunAzimuth"]
Band = Literal["P", "R", "G", "B", "NIR", "SWIR", "TIR", "B1", "B2", "B3", "B4"]
Region = Literal[
    "WORLD",
    "NORTH AMERICA",
    "CENTRAL AMERICA",
    "SOUTH AMERICA",
    "EUROPE",
    "NORTH AFRICA",
    "WEST AFRICA",
    "CENTRAL AFRICA",
    "EAST AFRICA",
    "SOUTHERN AFRICA",
    "MIDDLE EAST",
    "RUSSIA",
    "CENTRAL ASIA",
    "EAST ASIA",
    "SOUTH ASIA",
    "SOUTH EAST ASIA",
    "AUSTRALIA",
    "OCEANIA",
]


class _Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the description; what is not given is UNSET, and absent from JSON."""


class Sizes(_Block, frozen=True):
    """Pixels along one side of an image, its padding included."""

    optimal: Count
    min: Count
    max: Count


class Resolutions(_Block, frozen=True):
    """Metres on the ground per pixel."""

    optimal: Positive
    min: Positive
    max: Positive


class ImageType(_Block, frozen=True):
    """A kind of image that the predictor reads."""

    bit_depth: Count
    bands: list[Band]
    format: Literal["JPG", "JP2", "TIF", "PNG"]
    processing: Literal["BASIC", "DISPLAY", "REFLECTANCE", "AMPLITUDE"] | UnsetType = UNSET
    ortholevel: Literal["L1", "L2", "L3", "L4"] | UnsetType = UNSET


class Requirements(_Block, frozen=True):
    """What the predictor needs of its images."""

    tile_size: Sizes | UnsetType = UNSET
    resolution: Resolutions | UnsetType = UNSET
    overlap_size: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    number_of_images: Annotated[int, Meta(ge=1, le=8)] | UnsetType = UNSET
    apply_fusion: Literal["NONE", "SELECT_BASED_ON_CONFIDENCE", "SELECT_BASED_ON_AREA"] | UnsetType = UNSET
    max_concurrent_requests: Count | UnsetType = UNSET
    duration_estimate: Annotated[int, Meta(ge=0, description="Seconds.")] | UnsetType = UNSET
    supported_image_type: list[ImageType] | UnsetType = UNSET
    metadata: list[Metadatum] | UnsetType = UNSET
    regions: list[Region] | UnsetType = UNSET


class Tag(_Block, frozen=True):
    """A class of objects that the predictor finds."""

    title: str
    description: str | UnsetType = UNSET


class Hardware(_Block, frozen=True):
    """What the predictor needs of its machine."""

    gpu_enabled: bool = False
    cpu_enabled: bool = True
    cpu: Count | UnsetType = UNSET
    cpuArch: Literal["amd64", "arm64"] | UnsetType = UNSET  # noqa: N815 - that API's spelling
    cpuPlatform: str | UnsetType = UNSET  # noqa: N815
    gpu: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    ram: Annotated[int, Meta(ge=0, description="Bytes.")] | UnsetType = UNSET
    ram_gpu: Annotated[int, Meta(ge=0, description="Bytes.")] | UnsetType = UNSET
    static_memory: str | UnsetType = UNSET
    dynamic_memory: str | UnsetType = UNSET
    max_batch_size: Count | UnsetType = UNSET


class Description(_Block, frozen=True):
    """The ``description`` block."""

    title: str | UnsetType = UNSET
    family: Family | UnsetType = UNSET
    version: str | int | float | UnsetType = UNSET
    description: str | UnsetType = UNSET
    organization: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    keywords: list[str] | UnsetType = UNSET
    tags: list[Tag | str] | UnsetType = UNSET
    disclaimer: str | UnsetType = UNSET
    requirements: Requirements = Requirements()
    resources: Hardware = Hardware()


class BlockError(ValueError):
    """A block that cannot be used; ``problems`` says what is wrong with each of its keys."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class DescriptionBlock(Block):
    """The kind of the setting: a mapping in YAML, the same as JSON in the environment."""

    def __init__(self) -> None:
        super().__init__("a mapping of " + ", ".join(Description.__struct_fields__))

    def check(self, value: object) -> object:
        """The block as plain values.

        Raises:
            BlockError: with the problems of all keys.
        """
        given: Any = super().check(value)
        kinds = get_type_hints(Description, include_extras=True)
        problems = []
        for key, each in given.items():
            if key not in kinds:
                problems.append(f"{key}: unknown key, allowed: {', '.join(kinds)}")
                continue
            try:
                msgspec.convert(each, kinds[key])
            except msgspec.ValidationError as error:
                words, _, place = str(error).replace("`", "").partition(" - at $")
                if words.startswith("Invalid enum value"):
                    words = words.replace("Invalid enum value", "found") + _allowed(key + place)
                problems.append(f"{key}{place}: {words[:1].lower()}{words[1:]}")
        if problems:
            raise BlockError(problems)
        return given


def _allowed(place: str) -> str:
    """The end of a message about a value that is none of a few words; ``place`` is where it stands."""
    schema = msgspec.json.schema(Description)
    found: Any = schema
    for step in re.findall(r"[^.\[\]]+", place):
        found = schema["$defs"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found
        found = found["items"] if step.isdigit() else found["properties"][step]
    return f", allowed: {', '.join(found['enum'])}"


def description_of(block: dict[str, Any] | None) -> Description:
    """The typed form of a checked block; of None, one that says nothing."""
    return msgspec.convert(block or {}, Description)

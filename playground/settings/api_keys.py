"""API keys as people write them, and as they are kept: by their hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Sixteen signs of base64 are 96 bits: no limit on guesses is needed.
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeyHash:
    """One key: its SHA-256, and the name of who has it, for the log; from the hash, where none was given."""

    digest: bytes
    name: str


def digest_of(key: str) -> bytes:
    """What is kept of a key. Keys are long and random, so a fast hash does: there is nothing to guess."""
    return hashlib.sha256(key.encode()).digest()


def read_api_keys(text: str) -> tuple[KeyHash, ...]:
    """Keys, each ``key`` or ``name:key``, separated by commas, spaces or lines; # starts a comment.

    Raises:
        ValueError: none, or one that is none; says nothing about the text.
    """
    return _read(text, _KEY, digest_of)


def read_key_hashes(text: str) -> tuple[KeyHash, ...]:
    """The same of hashes: ``name:hex`` or ``hex``.

    Raises:
        ValueError: as above.
    """
    return _read(text, _HASH, bytes.fromhex)


def is_api_keys(text: str) -> bool:
    """Whether ``read_api_keys`` reads it."""
    return _reads(read_api_keys, text)


def is_key_hashes(text: str) -> bool:
    """Whether ``read_key_hashes`` reads it."""
    return _reads(read_key_hashes, text)


def _read(text: str, form: re.Pattern[str], digest: Callable[[str], bytes]) -> tuple[KeyHash, ...]:
    found = []
    for name, key in _entries(text):
        if not form.fullmatch(key) or (name is not None and not _NAME.fullmatch(name)):
            raise ValueError("no keys")
        made = digest(key)
        found.append(KeyHash(made, name or f"key-{made.hex()[:8]}"))
    if not found:
        raise ValueError("no keys")
    return tuple(found)


def _entries(text: str) -> Iterator[tuple[str | None, str]]:
    for line in text.splitlines():
        for part in re.split(r"[\s,]+", line.partition("#")[0].strip()):
            name, colon, key = part.rpartition(":")
            if part:
                yield (name if colon else None), key


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        return bool(read(text))
    except ValueError:
        return False

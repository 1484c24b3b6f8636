"""YAML files read with the line of every key, so that an error can point at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from playground.errors import SettingsError

# "workers = 2": the Gunicorn block of a partner's readme is Python; pasted as it is, it is read as "workers: 2".
_PYTHON_LINE = re.compile(r"^([A-Za-z_]+)[ \t]*=[ \t]*(?=[^=\s])", re.MULTILINE)

DEEPEST = 6
"""Levels inside a setting that is a mapping."""


@dataclass(frozen=True)
class Entry:
    """One ``key: value`` of a file.

    Attributes:
        key: as written; a key inside a mapping carries the mapping's key and a dot in front (``resources.cpu``).
        value: None, bool, int, Decimal, str, list (its entries not read) or dict (at the top as
            plain values, its numbers floats; see ``inner`` for its lines).
        raw: the value as text, as the environment would hold it; None for lists and mappings.
        found: the value as the file shows it, for error messages.
        line: counted from 1.
        inner: the entries of a mapping.
    """

    key: str
    value: object
    raw: str | None
    found: str
    line: int
    inner: tuple[Entry, ...] = ()


def load_entries(path: Path) -> tuple[Entry, ...]:
    """The entries of a YAML mapping, in the order of the file, duplicates included.

    Raises:
        SettingsError: the file cannot be read, is no YAML, or is no mapping.
    """
    text = _text_of(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _fail(path, *_in_words(error, text)) from error
    except RecursionError:
        raise _fail(path, None, "nested too deeply to be read") from None
    if node is None:
        raise _fail(path, None, "the file is empty")
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise _fail(path, line, "found a list or a text, allowed: lines of the form KEY: value")
    return tuple(_entries(node, "", 0))


def _text_of(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file", problems=(f"{path}: no such file",)) from None
    except OSError as error:
        raise _fail(path, None, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise _fail(path, None, "is not UTF-8 text; save the file in UTF-8") from None
    return _PYTHON_LINE.sub(r"\1: ", text)


def _fail(path: Path, line: int | None, words: str) -> SettingsError:
    place = f"{path}:{line}" if line else str(path)
    problem = f"{place}: {words}"
    return SettingsError(problem, problems=(problem,))


def _in_words(error: yaml.YAMLError, text: str) -> tuple[int | None, str]:
    """The line, counted from 1, and what is wrong there, for a person who does not know YAML's grammar."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return None, f"is not YAML: {' '.join(str(error).split())}"
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    words = f"is not YAML at column {mark.column + 1}: {error.problem}"
    if "\t" in line[: mark.column + 1]:
        words = f"is not YAML at column {mark.column + 1}: found a tab, allowed: spaces"
    elif "expected a single document" in (error.context or ""):
        words = 'found a second document, allowed: one; remove the line "---"'
    elif "mapping values are not allowed" in (error.problem or ""):
        words += "; is the indentation right, and a value with ': ' in quotes?"
    elif "expected ':'" in (error.problem or ""):
        words += "; write KEY: value"
    return mark.line + 1, words


def _entries(node: yaml.MappingNode, prefix: str, depth: int) -> Iterator[Entry]:
    for key_node, value_node in node.value:
        key = prefix + (str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "a list or mapping")
        line = key_node.start_mark.line + 1
        if isinstance(value_node, yaml.ScalarNode):
            value, found = _scalar(value_node)
            yield Entry(key, value, value_node.value, found, line)
        elif isinstance(value_node, yaml.MappingNode):
            # Two levels are all that a settings file has; an anchor may even contain itself.
            inner = tuple(_entries(value_node, f"{key}.", depth + 1)) if depth == 0 else ()
            yield Entry(key, _plain(value_node, 0) if depth == 0 else {}, None, "a mapping", line, inner)
        else:
            yield Entry(key, [], None, "a list", line)


def _plain(node: Any, depth: int) -> Any:
    """What JSON would hold in this place; None below a depth that no setting has: an anchor may contain itself."""
    if depth > DEEPEST:
        return None
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value, depth + 1) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value, depth + 1) for value in node.value]
    value, _ = _scalar(node)
    return float(value) if isinstance(value, Decimal) else value


def _scalar(node: yaml.ScalarNode) -> tuple[object, str]:
    """The value, typed, and how the file shows it.

    YAML 1.1 reads 016 as 14, 1:00 as 60 and 1_0 as 10: such numbers stay text, which no number setting accepts.
    """
    text = node.value
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None, "nothing"
    if kind == "bool":
        return text.lower() in ("yes", "true", "on"), text
    if kind == "int" and re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
        return int(text), text
    if kind == "float" and re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", text):
        return Decimal(text), text
    if kind == "str" and node.style in ("'", '"'):
        return text, f'"{text}"'
    return text, text

"""YAML files read with the line of every key, so that an error can point at it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import yaml

from playground.errors import SettingsError

# "workers = 2": the Gunicorn block of a partner's readme is Python; pasted as it is, it is read as "workers: 2".
_PYTHON_LINE = re.compile(r"^([A-Za-z_]+)[ \t]*=[ \t]*(?=[^=\s])", re.MULTILINE)

MOST_VALUES = 10_000
"""In one list or mapping; a few lines of anchors can stand for billions (and an anchor may contain itself)."""
DEEPEST = 20


@dataclass(frozen=True)
class Entry:
    """One ``key: value`` of a file.

    Attributes:
        key: as written; a key inside a mapping carries the mapping's key and a dot in front (``resources.cpu``).
        value: None, bool, int, Decimal, str, or a list or dict of such.
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
        key = prefix + _scalar_key(key_node)
        line = key_node.start_mark.line + 1
        if isinstance(value_node, yaml.ScalarNode):
            value, found = _scalar(value_node)
            yield Entry(key, value, value_node.value, found, line)
        elif isinstance(value_node, yaml.MappingNode):
            # Two levels are all that a settings file has; an anchor may even contain itself.
            inner = tuple(_entries(value_node, f"{key}.", depth + 1)) if depth == 0 else ()
            yield Entry(key, _plain(value_node), None, "a mapping", line, inner)
        else:
            yield Entry(key, _plain(value_node), None, "a list", line)


def _plain(node: yaml.Node) -> object:
    """A list or mapping with all that is in it; an empty one where anchors make more of it than a person writes."""
    count = itertools.count()

    def read(each: yaml.Node, depth: int) -> object:
        if next(count) > MOST_VALUES or depth > DEEPEST:
            raise OverflowError
        if isinstance(each, yaml.ScalarNode):
            return _scalar(each)[0]
        if isinstance(each, yaml.SequenceNode):
            return [read(item, depth + 1) for item in each.value]
        return {_scalar_key(key): read(item, depth + 1) for key, item in each.value}

    try:
        return read(node, 0)
    except OverflowError:
        return [] if isinstance(node, yaml.SequenceNode) else {}


def _scalar_key(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"


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

"""What a handler takes and gives, said beside it: ``@operation(...)``."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from playground.serving.state import Service

View = TypeVar("View", bound=Callable[..., Any])
Examples = Callable[["Service"], Mapping[str, Any]]


class Binary:
    """Bytes of any kind, as the type of a body."""


@dataclass(frozen=True)
class AnyOf:
    """One of several types, where Python's own unions cannot tell them apart."""

    kinds: tuple[Any, ...]
    as_list: bool = False
    """Whether it is a list, each of whose members is one of them."""


def no_examples(service: Service) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Operation:
    """One endpoint.

    Attributes:
        tag: the group that it is shown in.
        summary, text: from the handler's docstring: its first line, and the rest.
        takes: media type of the body -> its type; empty for none.
        gives: status -> media type -> type; a status without a body has no media types.
        errors: the statuses of errors that it may answer, all of one shape.
        examples: bodies that work, by name.
        arguments: values that work for the variables of its path.
        queries: name of a query parameter -> (type, what it is for).
        deprecated: whether it is there for older clients only.
    """

    tag: str
    summary: str
    text: str
    takes: Mapping[str, Any] = field(default_factory=dict)
    gives: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    examples: Examples = no_examples
    arguments: Examples = no_examples
    queries: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    deprecated: bool = False


def operation(
    tag: str,
    gives: Mapping[str, Any] | Mapping[int, Mapping[str, Any]],
    errors: tuple[int, ...] = (),
    takes: Mapping[str, Any] | None = None,
    **more: Any,
) -> Callable[[View], View]:
    """Document a handler; its docstring is the text. See ``Operation`` for the arguments.

    Args:
        gives: media type -> type of the answer with status 200, or such a mapping by status.
    """
    by_status: Any = gives if all(isinstance(key, int) for key in gives) else {200: gives}

    def keep(view: View) -> View:
        view.__operation__ = Operation(tag, "", "", takes or {}, by_status, errors, **more)  # type: ignore[attr-defined]
        return document_as(view, inspect.getdoc(view) or "")

    return keep


def document_as(view: View, text: str) -> View:
    """Say what a documented handler does in other words than its docstring's."""
    summary, _, more = inspect.cleandoc(text).partition("\n")
    told = operation_of(view)
    assert told is not None, "document it first"
    view.__operation__ = dataclasses.replace(told, summary=summary, text=more.strip())  # type: ignore[attr-defined]
    return view


def operation_of(view: Any) -> Operation | None:
    """What stands beside a handler."""
    return getattr(view, "__operation__", None)

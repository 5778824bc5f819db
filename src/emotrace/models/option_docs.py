"""What the fields of an options class are: name, type, default, and the text below it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class OptionField:
    """A field of an options class."""

    name: str
    type: str
    """Its type, or what it may be out of: `int`, `'relu' | 'none'`."""
    default: Any
    text: str
    """The docstring below the field; empty where there is none."""


def describe_options(options: type[Any]) -> list[OptionField]:
    """Return the fields of an options class, those of the classes it extends included.

    The text of a field is the string below it, which Python itself does not keep: it is read from
    the source.

    >>> from emotrace.models.compact_options import CompactNetOptions
    >>> field, = (item for item in describe_options(CompactNetOptions) if item.name == "blocks")
    >>> field.type, field.default, field.text
    ('tuple[int, ...]', (2, 3, 3, 1), 'Residual blocks in each stage.')
    """
    texts: dict[str, str] = {}
    for extended in reversed(options.__mro__):
        if dataclasses.is_dataclass(extended):
            texts |= _texts_in_source(extended)
    hints = typing.get_type_hints(options)
    defaults = options()
    return [
        OptionField(
            name=field.name,
            type=_type_text(hints[field.name]),
            default=getattr(defaults, field.name),
            text=texts[field.name],
        )
        for field in dataclasses.fields(options)
    ]


def _type_text(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " | ".join(repr(argument) for argument in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_type_text(argument) for argument in arguments)
    if arguments:
        inner = ", ".join("..." if item is ... else _type_text(item) for item in arguments)
        return f"{_type_text(origin)}[{inner}]"
    return "None" if hint is types.NoneType else str(getattr(hint, "__name__", hint))


def _texts_in_source(options: type[Any]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(options))).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    found: dict[str, str] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        text = str(after.value.value) if is_text else ""  # type: ignore[union-attr]
        found[node.target.id] = " ".join(text.split())
    return found

"""Settings to plain values for JSON, and back by their types."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from emotrace.errors import TrainingError


def to_plain(value: Any) -> Any:
    """Turn frozen data classes of plain fields into values that JSON knows.

    Raises:
        TrainingError: A value is of a kind that has no plain form.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TrainingError(f"expected settings of plain values; got {type(value).__name__}: {value!r}")


def from_plain(kind: Any, value: Any, *, where: str = "recipe") -> Any:
    """Rebuild a value of a type from what `to_plain` made of it.

    Args:
        kind: The type; data classes, tuples, dicts, enumerations, paths, literals and unions.
        value: Plain.
        where: The name of the place, for messages.

    Raises:
        TrainingError: It does not fit; the message names the place.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return from_plain(arguments[0], value, where=where)
    if origin in (Union, types.UnionType):
        return _from_union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            raise _misfit(where, f"one of {', '.join(map(str, arguments))}", value)
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _misfit(where, "a list", value)
        repeated = len(arguments) == 2 and arguments[1] is Ellipsis
        kinds = [arguments[0]] * len(value) if repeated else list(arguments)
        if len(kinds) != len(value):
            raise _misfit(where, f"{len(kinds)} values", value)
        return tuple(
            from_plain(one, item, where=f"{where}[{at}]")
            for at, (one, item) in enumerate(zip(kinds, value, strict=True))
        )
    if isinstance(kind, type):
        return _from_class(kind, value, where)
    return value


def _from_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    for argument in arguments:
        if argument is type(None):
            continue
        try:
            return from_plain(argument, value, where=where)
        except TrainingError:
            continue
    raise _misfit(where, " or ".join(str(argument) for argument in arguments), value)


def _from_class(kind: type[Any], value: Any, where: str) -> Any:
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise _misfit(where, f"the fields of {kind.__name__}", value)
        hints = get_type_hints(kind, include_extras=True)
        unknown = sorted(set(value) - set(hints))
        if unknown:
            raise _misfit(where, f"fields of {kind.__name__}", ", ".join(unknown))
        made = {
            name: from_plain(hints[name], item, where=f"{where}.{name}")
            for name, item in value.items()
        }
        try:
            return kind(**made)
        except TypeError as error:
            raise _misfit(where, f"the fields of {kind.__name__}", error) from error
    if issubclass(kind, Enum):
        return kind(value)
    if issubclass(kind, Path):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (bool, int, float, str) and type(value) is not kind:
        raise _misfit(where, kind.__name__, value)
    return value


def _misfit(where: str, expected: str, got: Any) -> TrainingError:
    return TrainingError(
        f"expected {expected} in {where}; got {got!r}; the record is of another version of emotrace"
    )

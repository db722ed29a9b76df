"""Plans and tasks as JSON and back: dataclasses by name, every field checked against its annotation. Never pickle.

`register` names the classes that may travel; decoding builds only those, with exactly their fields, so a message
from another process cannot make anything else.
"""

from __future__ import annotations

import datetime
import decimal
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from shoal.catalog import connector
from shoal.catalog import types as catalog_types
from shoal.catalog.errors import ProtocolViolation
from shoal.exec.plan import expr, nodes

_REGISTERED: dict[str, type] = {}


def register(*classes: type) -> None:
    """Allows these dataclasses to travel, under their class names."""
    for cls in classes:
        _REGISTERED[cls.__name__] = cls


for module in (expr, nodes):
    register(*(value for value in vars(module).values() if isinstance(value, type) and is_dataclass(value)))
register(catalog_types.SqlType, catalog_types.UserType, catalog_types.ShapedArray, connector.Predicate,
         connector.CatalogDefinition,
         connector.TableHandle, connector.Split)


def to_json(value: Any) -> Any:
    """JSON-ready data: dataclasses become {"@": class name, field: value ...} without fields at their default."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        if _REGISTERED.get(name) is not type(value):
            raise TypeError(f"{name} is not registered to travel")
        return {"@": name,
                **{f: to_json(item) for f in _field_names(type(value)) if (item := getattr(value, f)) is not None}}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, decimal.Decimal):
        return {"@decimal": str(value)}
    if isinstance(value, datetime.datetime):
        return {"@datetime": value.isoformat()}
    if isinstance(value, datetime.date):
        return {"@date": value.isoformat()}
    if isinstance(value, datetime.time):
        return {"@time": value.isoformat()}
    if isinstance(value, bytes):
        return {"@bytes": value.hex()}
    raise TypeError(f"{type(value).__name__} cannot travel")


_SCALARS: dict[str, Callable[[str], Any]] = {
    "@decimal": decimal.Decimal, "@datetime": datetime.datetime.fromisoformat, "@date": datetime.date.fromisoformat,
    "@time": datetime.time.fromisoformat, "@bytes": bytes.fromhex}


def from_json(data: Any) -> Any:
    """The value `to_json` was given; lists come back as tuples. Raises: ProtocolViolation (08P01)."""
    if isinstance(data, list):
        return tuple(from_json(item) for item in data)
    if not isinstance(data, dict):
        return data
    name = data.get("@")
    if name is None:
        if len(data) == 1:
            (key, text), = data.items()
            if key in _SCALARS:
                try:
                    return _SCALARS[key](text)
                except (ValueError, TypeError, decimal.InvalidOperation) as error:
                    raise ProtocolViolation(f"bad {key[1:]} in a plan: {error}") from None
        return {key: from_json(item) for key, item in data.items()}
    cls = _REGISTERED.get(name)
    if cls is None:
        raise ProtocolViolation(f"a plan names the unknown class {name!r}")
    hints = _hints(cls)
    values = {key: from_json(item) for key, item in data.items() if key != "@"}
    for key, item in values.items():
        if key not in hints or not _fits(item, hints[key]):
            raise ProtocolViolation(f"{name}.{key} of a plan has an unexpected value")
    for key in _optional(cls):
        values.setdefault(key, None)
    try:
        return cls(**values)
    except TypeError as error:
        raise ProtocolViolation(f"a plan holds an incomplete {name}: {error}") from None


def dumps(value: Any) -> bytes:
    return json.dumps(to_json(value), separators=(",", ":")).encode()


def loads(data: bytes) -> Any:
    """Raises: ProtocolViolation (08P01) for anything `dumps` could not have written."""
    try:
        return from_json(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise ProtocolViolation(f"unreadable plan: {error}") from None


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls))


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@cache
def _optional(cls: type) -> tuple[str, ...]:
    """Fields that may be None: left out when written, so None again when read, whatever their default is."""
    return tuple(name for name, hint in _hints(cls).items() if name in _field_names(cls) and _fits(None, hint))


def _fits(value: Any, hint: Any) -> bool:
    """A shallow check of a decoded value against an annotation: enough that operators can trust field types."""
    origin = typing.get_origin(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, arm) for arm in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin is tuple:
        args = typing.get_args(hint)
        if not isinstance(value, tuple):
            return False
        if len(args) == 2 and args[1] is Ellipsis:
            return all(_fits(item, args[0]) for item in value)
        return len(value) == len(args) and all(_fits(item, arm) for item, arm in zip(value, args, strict=True))
    if origin is not None:
        return isinstance(value, origin)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else value is None

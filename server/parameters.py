"""Bind's parameter values, text or binary -> physical values (exec/plan/expr.py). Hop 2 of a query's way.

Text goes through the same input functions as SQL's own literals, binary values through binary_input.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.errors import (
    CharacterNotInRepertoire,
    InvalidParameterValue,
    ProtocolViolation,
    SqlError,
)
from shoal.catalog.types import NUMERIC, SqlType, array_of, computed, numeric
from shoal.exec.evaluator import Names
from shoal.exec.functions.text_input import numeric_array_type, numeric_items_type, numeric_literal_type, parse_value
from shoal.exec.plan.fragment import TaskSettings
from shoal.server.binary_input import from_binary, numeric_text, numeric_texts
from shoal.server.protocol.messages import decode_text

UNDECLARED = frozenset({NUMERIC, array_of(NUMERIC)})
"""Parameter types whose values say what digits there are."""
_PRECISIONS = (18, 38, 76)
"""Digits a storage form of numerics holds: few different plans serve all values."""


def decode(values: Sequence[bytes | None], formats: Sequence[int], types: Sequence[SqlType],
           settings: TaskSettings, names: Names | None = None, portal: str = "") -> list[Any]:
    """The physical values. `formats` is as Bind gives it: none (all text), one for all, or one each. `names` finds
    what reg* types name; `portal` is named in errors.

    Raises: ProtocolViolation (08P01) for wrong counts, 22P03 for malformed binary, 22P02 and others for text.
    """
    if len(formats) > 1 and len(formats) != len(values):
        raise ProtocolViolation(f"bind message has {len(formats)} parameter formats but {len(values)} parameters")
    found: list[Any] = []
    for index, (value, sql_type) in enumerate(zip(values, types, strict=True)):
        wire = 0 if not formats else formats[0] if len(formats) == 1 else formats[index]
        try:
            if wire not in (0, 1):
                raise InvalidParameterValue(f"unsupported format code: {wire}")
            if value is None:
                found.append(None)
            elif wire == 1:
                found.append(from_binary(value, sql_type, settings, index + 1))
            else:
                found.append(parse_value(_checked(decode_text(value)), sql_type, settings, names))
        except SqlError as error:
            shown = " = '...'" if wire == 0 and not isinstance(error, CharacterNotInRepertoire) else ""
            error.where = f"unnamed portal parameter ${index + 1}{shown}" if not portal else \
                f'portal "{portal}" parameter ${index + 1}{shown}'
            raise
    return found


def exact_types(values: Sequence[bytes | None], formats: Sequence[int],
                types: Sequence[SqlType]) -> tuple[SqlType, ...] | None:
    """`types` with the digits that these very values have in place of a numeric without declared ones; None where that
    changes nothing. A plan for them keeps every digit and shows no other, as PostgreSQL does.
    """
    if UNDECLARED.isdisjoint(types):
        return None
    found = list(types)
    for index, (value, sql_type) in enumerate(zip(values, types, strict=True)):
        if value is None or sql_type not in UNDECLARED:
            continue
        wire = 0 if not formats else formats[0] if len(formats) == 1 else formats[min(index, len(formats) - 1)]
        try:
            digits = _digits(value, wire, sql_type.is_array)
        except SqlError:
            continue  # decode will say what is wrong
        if digits.precision is None or digits.scale is None:
            continue
        classed = numeric(next(most for most in _PRECISIONS if digits.precision <= most), digits.scale)
        found[index] = computed(array_of(classed) if sql_type.is_array else classed)
    return tuple(found)


def _digits(value: bytes, wire: int, is_array: bool) -> SqlType:
    """The type that says a value's digits."""
    if is_array:
        return numeric_items_type(numeric_texts(value)) if wire == 1 else numeric_array_type(_checked(decode_text(value)))
    return numeric_literal_type(numeric_text(value) if wire == 1 else _checked(decode_text(value)))


def _checked(text: str) -> str:
    if "\0" in text:
        raise CharacterNotInRepertoire('invalid byte sequence for encoding "UTF8": 0x00')
    return text

"""Expressions over one table's columns in the connectors' terms: what a filter that is more than a `Predicate` becomes.

The optimizer makes them of calls whose declarations say how the connector's dialect spells them (exec/functions/
spelling.py); a connector writes columns and constants in its own way (`tokens`) and refuses what it cannot hold exactly.

Hop 3 (push-down).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shoal.catalog.types import SqlType


@dataclass(frozen=True, slots=True)
class SourceColumn:
    name: str
    type: SqlType


@dataclass(frozen=True, slots=True)
class SourceConstant:
    """`value` is a Python value (types.to_python) or None."""

    value: Any
    type: SqlType


@dataclass(frozen=True, slots=True)
class SourceCall:
    """`spelling` is the source's SQL with holes: `{0}` is the first argument, `{1*, }` the second and all that follow
    with ", " between them."""

    spelling: str
    args: tuple[SourceExpression, ...]


SourceExpression = SourceColumn | SourceConstant | SourceCall
_HOLE = re.compile(r"\{(\d+)(?:\*([^}]*))?\}")


def tokens(expression: SourceExpression) -> Iterator[str | SourceColumn | SourceConstant]:
    """The expression from left to right: SQL text, and the columns and constants between it."""
    if not isinstance(expression, SourceCall):
        yield expression
        return
    at = 0
    for hole in _HOLE.finditer(expression.spelling):
        yield expression.spelling[at:hole.start()]
        first, separator = int(hole[1]), hole[2]
        for place, arg in enumerate(expression.args[first:] if separator else expression.args[first:first + 1]):
            if place:
                yield separator
            yield from tokens(arg)
        at = hole.end()
    yield expression.spelling[at:]

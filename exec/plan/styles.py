"""The settings of a session that decide how values are written and read: DateStyle, IntervalStyle and the like.

They travel with every task (TaskSettings), since casts to and from text obey them as well as results do.
Spec: PostgreSQL 15 documentation, 20.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Styles:
    """`date`: ISO, SQL, Postgres or German. `order`: MDY, DMY or YMD, of ambiguous input and of most output."""

    date: str = "ISO"
    order: str = "MDY"
    interval: str = "postgres"
    bytea: str = "hex"
    float_digits: int = 1
    """extra_float_digits: above 0, the shortest text that reads back the same."""


DEFAULT_STYLES = Styles()


def styles_of(settings: Mapping[str, str]) -> Styles:
    """What a session's settings (by lower-case name, as SHOW gives them) say; PostgreSQL's defaults for missing ones."""
    return _styles(settings.get("datestyle", "ISO, MDY"), settings.get("intervalstyle", "postgres"),
                   settings.get("bytea_output", "hex"), settings.get("extra_float_digits", "1"))


@lru_cache(maxsize=256)
def _styles(date_style: str, interval_style: str, bytea_output: str, digits: str) -> Styles:
    date, order = date_style.split(", ")
    return Styles(date, order, interval_style, bytea_output, int(digits))

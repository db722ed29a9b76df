"""Declarations of the window functions (operators/ implements them); every aggregate is one too.

Spec: PostgreSQL 15 documentation, 9.22 "Window Functions".
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.catalog.types import SqlType
from shoal.exec.functions.registry import declare


def _first(types: Sequence[SqlType]) -> SqlType:
    return types[0]


for _name, _doc in (("row_number", "The row's number within its partition, from 1."),
                    ("rank", "The rank with gaps."), ("dense_rank", "The rank without gaps.")):
    declare(_name, "-> int8", kind="window", family="window", doc=_doc, example=f"{_name}() OVER (ORDER BY x)")
declare("percent_rank", "-> float8", kind="window", family="window", doc="(rank - 1) / (rows - 1), 0 for a single row.")
declare("cume_dist", "-> float8", kind="window", family="window", doc="Rows up to the last peer / rows.")
declare("ntile", "int4 -> int4", kind="window", family="window", doc="The bucket, 1 to n, when rows are divided evenly.")
for _name in ("lag", "lead"):
    declare(_name, "anyelement", "anyelement int4", returns=_first, kind="window", family="window",
            doc=f"The value n (1) rows {'before' if _name == 'lag' else 'after'} this one, else the default (NULL).")
    declare(_name, "anycompatible int4 anycompatible", returns=_first, kind="window", family="window")
for _name in ("first_value", "last_value"):
    declare(_name, "anyelement", returns=_first, kind="window", family="window",
            doc=f"The {_name.split('_')[0]} row's value in the frame.")
declare("nth_value", "anyelement int4", returns=_first, kind="window", family="window",
        doc="The n-th row's value in the frame.")

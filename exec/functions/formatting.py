"""to_char and its inverses.

Spec: PostgreSQL 15 documentation, 9.8 "Data Type Formatting Functions".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.types import NUMERIC, SqlType
from shoal.exec.functions.registry import declare


def number_type(types: Sequence[SqlType], constants: Sequence[Any]) -> SqlType:
    return NUMERIC


declare("to_char", "timestamp text -> text", "interval text -> text", "int4 text -> text", "int8 text -> text",
        "numeric text -> text", "float4 text -> text", "float8 text -> text", family="formatting",
        example="to_char(125, '999')")
declare("to_char", "timestamptz text -> text", volatility="stable", family="formatting")
declare("to_date", "text text -> date", family="formatting", example="to_date('05 Dec 2000', 'DD Mon YYYY')")
declare("to_timestamp", "text text -> timestamptz", volatility="stable", family="formatting")
declare("to_number", "text text", returns=number_type, typed_by_constants=True, family="formatting",
        example="to_number('12,454.8-', '99G999D9S')")

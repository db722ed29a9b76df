"""COALESCE, NULLIF, GREATEST, LEAST and NULL counting.

Spec: PostgreSQL 15 documentation, 9.18 "Conditional Expressions".
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.catalog.types import INT4, SqlType
from shoal.exec.functions.registry import declare


def _first(types: Sequence[SqlType]) -> SqlType:
    return types[0]


declare("coalesce", "anycompatible", returns=_first, variadic=True, strict=False, raises=False, family="conditional",
        doc="The first argument that is not NULL; later ones are only evaluated where needed.", example="coalesce(NULL, 2) = 2")
declare("nullif", "any any", returns=_first, strict=False, raises=False, family="conditional",
        doc="NULL where the arguments are equal, else the first.", example="nullif(1, 1) IS NULL")
for _name in ("greatest", "least"):
    declare(_name, "anycompatible", returns=_first, variadic=True, strict=False, raises=False, family="conditional",
            doc=f"The {'largest' if _name == 'greatest' else 'smallest'} argument, NULLs left out.", example=f"{_name}(1, 2)")
for _name in ("num_nulls", "num_nonnulls"):
    declare(_name, "any", returns=INT4, variadic=True, strict=False, raises=False, family="conditional",
            doc=f"How many arguments are {'' if _name == 'num_nulls' else 'not '}NULL.", example=f"{_name}(1, NULL)")

"""Boolean logic with three values. The evaluator itself compiles all of these: AND and OR are lazy there.

Spec: PostgreSQL 15 documentation, 9.1 "Logical Operators" and 9.2.
"""

from __future__ import annotations

from shoal.catalog.types import BOOL
from shoal.exec.functions.registry import declare
from shoal.exec.functions.spelling import everywhere

for _name in ("and", "or"):
    declare(_name, "bool", returns=BOOL, variadic=True, strict=False, hidden=True, raises=False, family="logic",
            spelled=everywhere(f"({{0* {_name.upper()} }})"))
declare("not", "bool", returns=BOOL, hidden=True, raises=False, family="logic", spelled=everywhere("(NOT {0})"))
for _name in ("is_null", "is_not_null"):
    declare(_name, "any", returns=BOOL, strict=False, hidden=True, raises=False, family="logic",
            spelled=everywhere(f"({{0}} {_name.replace('_', ' ').upper()})"))
for _name in ("is_true", "is_not_true", "is_false", "is_not_false", "is_unknown", "is_not_unknown"):
    declare(_name, "bool", returns=BOOL, strict=False, hidden=True, raises=False, family="logic",
            spelled=everywhere(f"({{0}} {_name.replace('_', ' ').upper().replace('UNKNOWN', 'NULL')})"))

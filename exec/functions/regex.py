"""Regular expressions: the ~ operators, SIMILAR TO, regexp_* functions.

Spec: PostgreSQL 15 documentation, 9.7.2 and 9.7.3; patterns are translated to RE2 or Python's re (kernels/regex.py).
"""

from __future__ import annotations

from shoal.catalog.types import BOOL
from shoal.exec.functions.registry import declare

for _name, _symbol in (("regex_match", "~"), ("regex_not_match", "!~"), ("regex_imatch", "~*"), ("regex_not_imatch", "!~*")):
    declare(_name, "text text", "name text", "bpchar text", returns=BOOL, symbol=_symbol, hidden=True, family="regex")
declare("similar", "text text", returns=BOOL, hidden=True, family="regex", doc="text SIMILAR TO pattern.")
declare("similar_to_escape", "text -> text", "text text -> text", family="regex")
declare("regexp_replace", "text text text -> text", "text text text text -> text", "text text text int4 -> text",
        "text text text int4 int4 -> text", "text text text int4 int4 text -> text",
        family="regex", example="regexp_replace('Hello World', '[aeiou]', 'X', 'g')")
declare("regexp_match", "text text -> _text", "text text text -> _text", family="regex")
declare("regexp_like", "text text -> bool", "text text text -> bool", family="regex")
declare("regexp_count", "text text -> int4", "text text int4 -> int4", "text text int4 text -> int4", family="regex")
declare("regexp_instr", "text text -> int4", "text text int4 -> int4", "text text int4 int4 -> int4",
        "text text int4 int4 int4 -> int4", "text text int4 int4 int4 text -> int4", "text text int4 int4 int4 text int4 -> int4",
        family="regex")
declare("regexp_substr", "text text -> text", "text text int4 -> text", "text text int4 int4 -> text",
        "text text int4 int4 text -> text", "text text int4 int4 text int4 -> text", family="regex")
declare("regexp_split_to_array", "text text -> _text", "text text text -> _text", family="regex")

"""Mathematical functions on floats and numerics.

Spec: PostgreSQL 15 documentation, 9.3 "Mathematical Functions and Operators".
"""

from __future__ import annotations

from shoal.catalog.types import NUMERIC, numeric
from shoal.exec.functions import numeric_types
from shoal.exec.functions.registry import declare

declare("abs", "int2 -> int2", "int4 -> int4", "int8 -> int8", "float4 -> float4", "float8 -> float8", symbol="@", family="math",
        doc="Absolute value.", example="abs(-17.4)")
declare("abs", "numeric", returns=numeric_types.same, symbol="@", family="math")
for _name in ("ceil", "ceiling", "floor", "round", "trunc", "sign"):
    declare(_name, "float8 -> float8", family="math", raises=False)
    declare(_name, "numeric", returns=numeric_types.whole, family="math", raises=False, example=f"{_name}(-42.8)")
for _name in ("round", "trunc"):
    declare(_name, "numeric int4", returns=numeric_types.rounded, typed_by_constants=True, family="math",
            example=f"{_name}(42.4382, 2)")
for _name in ("sqrt", "exp", "ln", "log", "log10"):
    declare(_name, "float8 -> float8", family="math", symbol="|/" if _name == "sqrt" else "")
    declare(_name, "numeric", returns=numeric(38, 16), family="math")
declare("log", "numeric numeric", returns=numeric(38, 16), family="math")
for _name in ("power", "pow"):
    declare(_name, "float8 float8 -> float8", symbol="^" if _name == "power" else "", family="math")
    declare(_name, "numeric numeric", returns=numeric(38, 16), symbol="^" if _name == "power" else "", family="math")
declare("cbrt", "float8 -> float8", symbol="||/", family="math")
for _name in ("degrees radians sin cos tan cot asin acos atan sind cosd tand cotd asind acosd atand sinh cosh tanh asinh acosh "
              "atanh").split():
    declare(_name, "float8 -> float8", family="math")
declare("atan2", "float8 float8 -> float8", family="math")
declare("atan2d", "float8 float8 -> float8", family="math")
declare("pi", "-> float8", family="math", raises=False)
declare("div", "numeric numeric", returns=numeric_types.whole, family="math", doc="The truncated quotient.", example="div(9, 4)")
declare("gcd", "int4 int4 -> int4", "int8 int8 -> int8", family="math")
declare("gcd", "numeric numeric", returns=numeric_types.merged, family="math")
declare("lcm", "int4 int4 -> int4", "int8 int8 -> int8", family="math")
declare("lcm", "numeric numeric", returns=numeric_types.merged, family="math")
declare("factorial", "int8", returns=numeric(76, 0), family="math")
declare("scale", "numeric -> int4", family="math", raises=False)
declare("min_scale", "numeric -> int4", family="math", raises=False)
declare("trim_scale", "numeric", returns=NUMERIC, family="math", raises=False)
declare("width_bucket", "float8 float8 float8 int4 -> int4", "numeric numeric numeric int4 -> int4", family="math")
declare("random", "-> float8", volatility="volatile", family="math", raises=False)
declare("setseed", "float8 -> void", volatility="volatile", family="math")

"""type_name(value): resolution turns it into a cast, and calls this identity with the value cast."""

from __future__ import annotations

from typing import Any

from shoal.exec.functions.registry import declare
from shoal.exec.plan.expr import Call


def identity_kernel(call: Call, args: list[Any], rows: int, context: Any) -> Any:
    return args[0]


declare("cast_value", "anyelement", returns=lambda types: types[0], hidden=True, raises=False, kernel=identity_kernel,
        family="conversion", doc="Its argument: what type_name(value) calls after the cast.")

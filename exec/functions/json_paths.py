"""The functions and operators that take a jsonpath: jsonb_path_query and its kin, @? and @@ (hop 6).

Spec: PostgreSQL 15 documentation, 9.16.1 (table 9.48) and 9.16.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidParameterValue, SingletonJsonItemRequired
from shoal.exec.functions import json_layout, json_text
from shoal.exec.functions.json_access import FAST_ROWS, member_column
from shoal.exec.functions.json_kernels import Args, by_row, remembered, rows_of
from shoal.exec.functions.jsonpath_datetimes import Moment
from shoal.exec.functions.jsonpath_evaluation import Evaluation, PathError
from shoal.exec.functions.jsonpath_syntax import leading_names, parse
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import json_index, nulls
from shoal.exec.plan.expr import Call


def evaluation(document: Any, path: str, variables: dict[str, Any] | None, context: Any, zoned: bool) -> Evaluation:
    """A run of the path over a loaded document."""
    return Evaluation(parse(path), document, variables, context.time_zone if zoned else "", json_layout.Offsets(document))


def variables_of(text: str) -> dict[str, Any]:
    """The variables that a function's argument `vars` names. Raises: InvalidParameterValue (22023)."""
    found = json_text.load(text)
    if not isinstance(found, dict):
        raise InvalidParameterValue('"vars" argument is not an object', detail=(
            'Jsonpath parameters should be encoded as key-value pairs of "vars" object.'))
    return found


def plain(item: Any) -> Any:
    """An item as a JSON value: dates and times are strings."""
    return str(item) if isinstance(item, Moment) else item


def items_of(run: Evaluation, silent: bool) -> Iterator[Any]:
    """What a path finds; where `silent`, up to its first error."""
    try:
        for item in run.items():
            yield plain(item)
    except PathError as error:
        if not silent:
            raise error.error from None
    except RecursionError:
        from shoal.catalog.errors import StatementTooComplex
        raise StatementTooComplex("stack depth limit exceeded") from None


def exists(run: Evaluation, silent: bool) -> bool | None:
    """Whether the path finds anything; None for an error that is passed over. Strict paths are followed to their end."""
    try:
        if run.path.lax:
            return next(run.items(), run) is not run
        return bool(list(run.items()))
    except PathError as error:
        if not silent:
            raise error.error from None
        return None


def matches(run: Evaluation, silent: bool) -> bool | None:
    """The truth of a path that is a predicate."""
    try:
        found = list(run.items())
    except PathError as error:
        if not silent:
            raise error.error from None
        return None
    if len(found) == 1 and (found[0] is None or isinstance(found[0], bool)):
        return found[0]
    if silent:
        return None
    raise SingletonJsonItemRequired("single boolean result is expected")


def path_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """jsonb_path_exists, _match, _query_array, _query_first, and the operators @? and @@."""
    operator = call.name.endswith("_opr")
    zoned = call.name.endswith("_tz")
    what = call.name.removesuffix("_tz").removesuffix("_opr").removeprefix("jsonb_path_")

    def one(text: str, path: str, variables: str = "", silent: bool = operator) -> Any:
        run = evaluation(json_text.load(text), path, variables_of(variables) if variables else None, context, zoned)
        if what == "exists":
            return exists(run, silent)
        if what == "match":
            return matches(run, silent)
        found = items_of(run, silent)
        if what == "query_array":
            return json_text.dump(list(found))
        every = list(found)  # an error after the first item counts
        return json_text.dump(every[0]) if every else None
    arrow = pa.bool_() if call.type.name == "bool" else pa.string()
    if rows >= FAST_ROWS and len(args) == 2 and isinstance(args[0], pa.Array) and isinstance(args[1], pa.Scalar) and (
            args[1].is_valid):
        names, rest = leading_names(args[1].as_py())
        if names and all(map(json_index.is_plain, names)):
            return _from_members(nulls.decoded(args[0]), names, args[1].as_py(), rest, arrow, one)
    return by_row(args, rows, arrow, one)


def _from_members(documents: pa.Array, names: Sequence[str], path: str, rest: str, arrow: pa.DataType,
                  one: Callable[[str, str], Any]) -> pa.Array:
    """A path that begins with names: they are followed in the whole column, and only what they lead to is read. Rows that
    are no objects all the way are left to the path."""
    found: list[Any] = [None] * len(documents)
    once = remembered(one)
    column, whole = documents, pc.fill_null(pc.starts_with(documents, "{"), False).to_pylist()
    for number, name in enumerate(names):
        column = member_column(column, name, True, False)
        if number + 1 < len(names):
            nested = pc.fill_null(pc.starts_with(column, "["), False).to_pylist()
            whole = [own and not inner for own, inner in zip(whole, nested, strict=True)]
    for row, (text, reached, direct) in enumerate(zip(documents.to_pylist(), column.to_pylist(), whole, strict=True)):
        if text is not None:
            found[row] = once(text, path) if not direct else once("{}", path) if reached is None else once(reached, rest)
    return pa.array(found, arrow)


def query_kernel(call: Call, args: Args, rows: int, context: Any) -> tuple[np.ndarray, tuple[pa.Array, ...]]:
    """jsonb_path_query: a row for each item."""
    counts = np.zeros(rows, np.int64)
    found: list[str] = []
    zoned = call.name.endswith("_tz")
    for row, values in enumerate(zip(*rows_of(args, rows), strict=True)):
        if any(value is None for value in values):
            continue
        text, path, variables, silent = (*values, None, False)[:4] if len(values) < 4 else values
        run = evaluation(json_text.load(text), path, variables_of(variables) if variables else None, context, zoned)
        items = [json_text.dump(item) for item in items_of(run, bool(silent))]
        counts[row] = len(items)
        found += items
    return counts, (pa.array(found, pa.string()),)


_ARGUMENTS = ("jsonb jsonpath", "jsonb jsonpath jsonb", "jsonb jsonpath jsonb bool")
for _zone in ("", "_tz"):
    _volatility: Any = "stable" if _zone else "immutable"
    for _name, _returns in (("exists", "bool"), ("match", "bool"), ("query_array", "jsonb"), ("query_first", "jsonb")):
        declare(f"jsonb_path_{_name}{_zone}", *(f"{_given} -> {_returns}" for _given in _ARGUMENTS), volatility=_volatility,
                kernel=path_kernel, family="json")
    declare(f"jsonb_path_query{_zone}", *(f"{_given} -> jsonb" for _given in _ARGUMENTS), volatility=_volatility, kind="set",
            kernel=query_kernel, family="json", example="" if _zone else "jsonb_path_query('[1, 2]', '$[*] ? (@ > 1)')")
declare("jsonb_path_exists_opr", "jsonb jsonpath -> bool", symbol="@?", kernel=path_kernel, family="json")
declare("jsonb_path_match_opr", "jsonb jsonpath -> bool", symbol="@@", kernel=path_kernel, family="json")

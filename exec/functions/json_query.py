"""JSON_EXISTS, JSON_VALUE, JSON_QUERY and JSON_TABLE as the binder calls them (hop 6).

What a path finds in each row is settled first (a text, nothing, or an error), then all texts become the wanted type at
once; where that fails, row by row, so that ON ERROR has its say.

Spec: PostgreSQL 17 documentation, 9.16.3 "SQL/JSON Query Functions" and 9.16.4 "JSON_TABLE".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import JsonScalarRequired, MoreThanOneJsonItem, NoJsonItem, SqlError
from shoal.catalog.types import TEXT, SqlType, storage_type
from shoal.exec.functions import json_text
from shoal.exec.functions.cast_kernels import conversion
from shoal.exec.functions.json_kernels import Args, rows_of
from shoal.exec.functions.json_paths import evaluation, plain
from shoal.exec.functions.json_records import texts_of_type
from shoal.exec.functions.jsonpath_datetimes import Moment
from shoal.exec.functions.jsonpath_evaluation import PathError
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import concat, nulls
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call

_NO_ITEM = "no SQL/JSON item found for specified path"
_NO_WRAPPER = "JSON path expression in JSON_QUERY must return single item when no wrapper is requested"
_ONE_SCALAR = "JSON path expression in JSON_VALUE must return single scalar item"


@dataclass(frozen=True, slots=True)
class Behavior:
    """What to give for nothing or an error: `kind` as in syntax_json.JsonBehavior; `argument` the default's place."""

    kind: str
    argument: int = -1


@dataclass(frozen=True, slots=True)
class Spec:
    """A query function or a column of JSON_TABLE. `kind`: exists, value, query."""

    kind: str
    path: str
    wrapper: str
    quotes: str
    empty: Behavior
    error: Behavior
    name: str = ""

    @staticmethod
    def of(data: dict[str, Any]) -> Spec:
        return Spec(data["kind"], data.get("path", ""), data["wrapper"], data["quotes"], Behavior(*data["empty"]),
                    Behavior(*data["error"]), data.get("name", ""))


class _Column:
    """The results of one Spec, a row at a time, then as an array of its type."""

    def __init__(self, spec: Spec, sql_type: SqlType, context: Any) -> None:
        self.spec, self.type, self.context = spec, sql_type, context
        self.raws: list[str | None] = []
        """JSON texts (value: the text itself); None for NULL, and where `placed` says otherwise."""
        self.sources: list[int] = []
        self.placed: dict[int, tuple[str, Any]] = {}
        """Rows that a behavior answers: ("default", its value's row) or ("error", SqlError)."""

    def add(self, document: Any, variables: dict[str, Any], source: int) -> None:
        """The result over a document; `source`: the input row that it belongs to."""
        self.sources.append(source)
        try:
            run = evaluation(document, self.spec.path, variables, self.context, True)
            if self.spec.kind == "exists":
                self.raws.append("true" if next(run.items(), run) is not run else "false")
                return
            items = [item if isinstance(item, Moment) else plain(item) for item in run.items()]
            if not items:
                self._behave(self.spec.empty, NoJsonItem(self._told(_NO_ITEM)), source)
                return
            self.raws.append(self._value(items) if self.spec.kind == "value" else self._query(items))
        except PathError as error:
            self._behave(self.spec.error, error.error, source)
        except (MoreThanOneJsonItem, JsonScalarRequired) as error:
            self._behave(self.spec.error, error, source)

    def _told(self, message: str) -> str:
        return f'{message} of column "{self.spec.name}"' if self.spec.name else message

    def missing(self) -> None:
        """A row of NULL."""
        self.sources.append(0)
        self.raws.append(None)

    def _value(self, items: list[Any]) -> str | None:
        if len(items) > 1:
            raise MoreThanOneJsonItem(_ONE_SCALAR)
        item = items[0]
        if isinstance(item, (dict, list)):
            raise JsonScalarRequired(_ONE_SCALAR)
        if item is None:
            return None
        if self.type.name in ("json", "jsonb"):
            return json_text.dump(plain(item))
        return str(item) if isinstance(item, (str, Moment)) else json_text.scalar_text(item)

    def _query(self, items: list[Any]) -> str:
        items = [plain(item) for item in items]
        wrap = self.spec.wrapper == "always" or (self.spec.wrapper == "conditional" and len(items) > 1)
        if wrap:
            return json_text.dump(items)
        if len(items) > 1:
            raise MoreThanOneJsonItem(_NO_WRAPPER, hint=(
                "Use the WITH WRAPPER clause to wrap SQL/JSON items into an array."))
        return json_text.dump(items[0])

    def _behave(self, behavior: Behavior, error: SqlError, source: int) -> None:
        kind = behavior.kind
        if kind == "error":
            raise error
        if kind == "default":
            self.placed[len(self.raws)] = ("default", (behavior.argument, source))
        elif kind in ("array", "object", "true", "false"):
            self.raws.append({"array": "[]", "object": "{}"}.get(kind, kind))
            return
        self.raws.append(None)

    def array(self, defaults: dict[int, pa.Array]) -> pa.Array:
        """All rows in the type's storage form; `defaults`: arguments by their place, in the same form."""
        try:
            made = self._converted(self.raws)
        except SqlError:
            if self.spec.error.kind == "error":
                raise
            made = self._one_by_one()
        if not self.placed:
            return made
        pieces: list[pa.Array] = [made]
        places = np.arange(len(self.raws))
        base = len(made)
        for argument in sorted({value[0] for _, value in self.placed.values()}):
            pieces.append(defaults[argument])
            for row, (_, (place, source)) in self.placed.items():
                if place == argument:
                    places[row] = base + source
            base += len(defaults[argument])
        return concat.concatenated(pieces, self.type).take(pa.array(places))

    def _one_by_one(self) -> pa.Array:
        pieces: list[pa.Array] = []
        behavior = self.spec.error
        for row, raw in enumerate(self.raws):
            try:
                pieces.append(self._converted([raw]))
            except SqlError:
                other = {"array": "[]", "object": "{}"}.get(behavior.kind)
                pieces.append(self._converted([other]))
                if behavior.kind == "default":
                    self.placed[row] = ("default", (behavior.argument, self.sources[row]))
        return concat.concatenated(pieces, self.type)

    def _converted(self, raws: Sequence[str | None]) -> pa.Array:
        target = self.type
        if self.spec.kind == "query":
            raws = self._texts(raws)
        elif self.spec.kind == "exists" and target.is_integer:
            raws = [None if raw is None else "1" if raw == "true" else "0" for raw in raws]
        array = pa.array(raws, pa.string())
        if target.name == "text":
            return array
        return nulls.decoded(conversion(TEXT, target, False).run(array, self.context))

    def _texts(self, raws: Sequence[str | None]) -> list[str | None]:
        """JSON texts as what the type reads: a string's own text where quotes are omitted, else JSON."""
        name = self.type.name
        if self.spec.quotes == "omit":
            raws = [None if raw is None else json_text.unquoted(raw) if raw.startswith('"') else raw for raw in raws]
        if name in ("json", "jsonb"):
            return list(raws)
        if self.type.is_string and name != "record":
            return list(raws)
        return texts_of_type(raws, self.type, self.spec.name, self.context)


def _item(value: Any, sql_type: SqlType, text: str | None) -> Any:
    """An SQL value as the item that a variable stands for."""
    if value is None or text is None:
        return None
    if sql_type.name == "bool":
        return value
    if sql_type.is_number:
        return Decimal(text) if text[-1:] not in ("y", "N") else text
    if sql_type.name in ("json", "jsonb"):
        return json_text.load(value)
    return text


def _variables(names: Sequence[str], args: Args, types: Sequence[SqlType], rows: int, context: Any) -> list[dict[str, Any]]:
    from shoal.exec.functions.text_output import to_text
    found: list[dict[str, Any]] = [{} for _ in range(rows)]
    for name, arg, sql_type in zip(names, args, types, strict=True):
        array = column(arg, rows)
        texts = nulls.decoded(to_text(array, sql_type, context.settings, context.names)).to_pylist()
        values = array.to_pylist() if sql_type.name in ("bool", "json", "jsonb") else texts
        for row in range(rows):
            found[row][name] = _item(values[row], sql_type, texts[row])
    return found


def _load(text: str | None) -> Any:
    return json_text.load(text) if text is not None else None


def query_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_query_of(spec, document, path, variables and defaults ...)."""
    spec = json.loads(rows_of(args[:1], max(rows, 1))[0][0]) if rows else {"names": [], "kind": "value", "wrapper": "",
                                                                        "quotes": "", "empty": ["null"], "error": ["null"]}
    documents, paths = rows_of(args[1:3], rows)
    names = spec["names"]
    variables = _variables(names, args[3:3 + len(names)], [expr.type for expr in call.args[3:3 + len(names)]], rows, context)
    columns: dict[str, _Column] = {}
    order: list[tuple[str, int] | None] = []
    for row in range(rows):
        text, path = documents[row], paths[row]
        if text is None or path is None:
            order.append(None)
            continue
        one = columns.get(path)
        if one is None:
            one = columns[path] = _Column(Spec.of({**spec, "path": path}), call.type, context)
        order.append((path, len(one.raws)))
        one.add(_load(text), variables[row], row)
    defaults = {place: column(arg, rows) for place, arg in enumerate(args)} if args[3 + len(names):] else {}
    if not columns:
        return pa.nulls(rows, storage_type(call.type))
    arrays = {path: one.array(defaults) for path, one in columns.items()}
    starts: dict[str, int] = {}
    total = 0
    for path, array in arrays.items():
        starts[path] = total
        total += len(array)
    places = np.array([-1 if at is None else starts[at[0]] + at[1] for at in order], np.int64)
    return concat.concatenated(list(arrays.values()), call.type).take(pa.array(places, mask=places < 0))


# JSON_TABLE

class _Table:
    """The columns of JSON_TABLE over all input rows."""

    def __init__(self, data: dict[str, Any], fields: Sequence[tuple[str, SqlType]], context: Any) -> None:
        self.context, self.rows = context, 0
        self.numbers: dict[int, _Column | list[int | None]] = {}
        self._collect(data, fields)

    def _collect(self, level: dict[str, Any], fields: Sequence[tuple[str, SqlType]]) -> None:
        for one in level["columns"]:
            if one["kind"] == "nested":
                self._collect(one, fields)
            else:
                place = one["place"]
                self.numbers[place] = [] if one["kind"] == "ordinality" else _Column(
                    Spec.of(one), fields[place][1], self.context)

    def rows_of(self, level: dict[str, Any], items: Sequence[Any], variables: dict[str, Any],
                source: int) -> list[dict[int, tuple[Any, int]]]:
        """The rows that items make: for each the item (and its number) that each column of the level sees."""
        found: list[dict[int, tuple[Any, int]]] = []
        own = [one["place"] for one in level["columns"] if one["kind"] != "nested"]
        for number, item in enumerate(items, 1):
            mine = dict.fromkeys(own, (item, number))
            below: list[dict[int, tuple[Any, int]]] = []
            for one in level["columns"]:
                if one["kind"] == "nested":
                    below += self.rows_of(one, self.items(one["path"], item, variables, False), variables, source)
            found += [{**mine, **row} for row in below] or [mine]
        return found

    def items(self, path: str, document: Any, variables: dict[str, Any], strict: bool) -> list[Any]:
        try:
            return [plain(item) for item in evaluation(document, path, variables, self.context, True).items()]
        except PathError as error:
            if strict:
                raise error.error from None
            return []

    def add(self, row: dict[int, tuple[Any, int]], variables: dict[str, Any], source: int) -> None:
        for place, one in self.numbers.items():
            seen = row.get(place)
            if isinstance(one, list):
                one.append(None if seen is None else seen[1])
            elif seen is None:
                one.missing()
            else:
                one.add(seen[0], variables, source)
        self.rows += 1


def table_kernel(call: Call, args: Args, rows: int, context: Any) -> tuple[np.ndarray, tuple[pa.Array, ...]]:
    """json_table_of(row type, spec, document, variables and defaults ...)."""
    fields = call.args[0].type.fields or ()
    data = json.loads(rows_of(args[1:2], 1 if rows else 0)[0][0]) if rows else None
    counts = np.zeros(rows, np.int64)
    if data is None:
        return counts, tuple(pa.nulls(0, storage_type(t)) for _, t in fields)
    documents = rows_of(args[2:3], rows)[0]
    names = data["names"]
    variables = _variables(names, args[3:3 + len(names)], [expr.type for expr in call.args[3:3 + len(names)]], rows, context)
    table = _Table(data, fields, context)
    for row in range(rows):
        if documents[row] is None:
            continue
        items = table.items(data["path"], _load(documents[row]), variables[row], data["strict"])
        made = table.rows_of(data, items, variables[row], row)
        for one in made:
            table.add(one, variables[row], row)
        counts[row] = len(made)
    defaults = {place: column(arg, rows) for place, arg in enumerate(args)}
    out: list[pa.Array] = []
    for place, (_, sql_type) in enumerate(fields):
        found = table.numbers[place]
        out.append(pa.array(found, storage_type(sql_type)) if isinstance(found, list) else found.array(defaults))
    return counts, tuple(out)


declare("json_query_of", "text jsonb jsonpath", "text jsonb jsonpath any", returns=TEXT, variadic=True, strict=False,
        volatility="stable", hidden=True, kernel=query_kernel, shapes=True, family="json")
declare("json_table_of", "record text jsonb -> record", "record text jsonb any -> record", variadic=True, strict=False,
        volatility="stable", kind="set", hidden=True, kernel=table_kernel, shapes=True, family="json")

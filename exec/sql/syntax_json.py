"""The syntax tree of SQL/JSON: constructors, IS JSON, query functions and JSON_TABLE (hop 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from shoal.exec.sql.syntax import FromItem, Node, SortItem, TypeName, WindowSpec


@dataclass(slots=True)
class JsonOutput:
    """RETURNING type [FORMAT JSON]."""

    type: TypeName
    json: bool = False


@dataclass(slots=True)
class JsonFormatted(Node):
    """expression FORMAT JSON: a text that is JSON."""

    arg: Any


@dataclass(slots=True)
class JsonConstructor(Node):
    """JSON_OBJECT, JSON_ARRAY, JSON_OBJECTAGG, JSON_ARRAYAGG. `items`: names and values in turn, or values; `query`: of
    JSON_ARRAY(query). The rest is of the aggregates."""

    kind: Literal["object", "array", "objectagg", "arrayagg"]
    items: list[Any]
    query: Any = None
    absent: bool = False
    """ABSENT ON NULL."""
    unique: bool = False
    returning: JsonOutput | None = None
    order: list[SortItem] = field(default_factory=list)
    filter: Any = None
    over: WindowSpec | None = None


@dataclass(slots=True)
class JsonConversion(Node):
    """JSON(), JSON_SCALAR(), JSON_SERIALIZE()."""

    kind: Literal["json", "json_scalar", "json_serialize"]
    arg: Any
    unique: bool = False
    returning: JsonOutput | None = None


@dataclass(slots=True)
class IsJson(Node):
    """arg IS [NOT] JSON [kind] [WITH UNIQUE KEYS]."""

    arg: Any
    kind: Literal["value", "scalar", "array", "object"]
    unique: bool
    negated: bool


@dataclass(slots=True)
class JsonBehavior:
    """What to do ON EMPTY or ON ERROR; `value` is DEFAULT's."""

    kind: Literal["null", "error", "true", "false", "unknown", "array", "object", "default"]
    value: Any = None


@dataclass(slots=True)
class JsonOptions:
    """What may follow the path of a query function or a column."""

    wrapper: Literal["", "none", "conditional", "always"] = ""
    quotes: Literal["", "keep", "omit"] = ""
    empty: JsonBehavior | None = None
    error: JsonBehavior | None = None


@dataclass(slots=True)
class JsonQuery(Node):
    """JSON_EXISTS, JSON_VALUE, JSON_QUERY. `passing`: values with the names of variables."""

    kind: Literal["exists", "value", "query"]
    arg: Any
    path: Any
    passing: list[tuple[Any, str]]
    returning: JsonOutput | None
    options: JsonOptions


@dataclass(slots=True)
class JsonColumn(Node):
    """A column of JSON_TABLE; `kind` nested holds `columns` of its own. `path` None: the member of its name."""

    kind: Literal["ordinality", "value", "exists", "nested"]
    name: str
    type: TypeName | None = None
    json: bool = False
    path: str | None = None
    options: JsonOptions = field(default_factory=JsonOptions)
    columns: list[JsonColumn] = field(default_factory=list)


@dataclass(slots=True)
class JsonTable(FromItem):
    arg: Any
    path: Any
    passing: list[tuple[Any, str]]
    definitions: list[JsonColumn]
    error: JsonBehavior | None = None
    lateral: bool = False

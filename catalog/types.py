"""PostgreSQL's types as Shoal knows them, and the Arrow form each one has inside a batch.

`SqlType` is what the binder assigns and the wire reports. `storage_type` is the Arrow type a column of it has
between operators:

    bool bool_ | int2 int16 | int4 int32 | int8, oid & reg*, tid int64 | float4 float32 | float8 float64
    numeric(p,s): int64 holding the unscaled value, or decimal128(38,s), or decimal256(76,s); any batch may use
        any of the three whose range holds its values (readers accept all, see kernels/decimals.py); NaN and the
        infinities are values of decimal256 that no number has (see specials.py)
    numeric without a scale: struct<value, scale>, each value with its own scale, or string (see scaled.py)
    ranges, multiranges, inet, cidr, macaddr, macaddr8: string, PostgreSQL's text form (dates ISO, times in UTC)
    text, varchar, bpchar, name, "char", uuid, json, jsonb, unknown: string, or dictionary<int32, string>; bit and varbit
        as texts of zeros and ones
    bytea binary | date date32 | time time64[us] | timestamp timestamp[us] | timestamptz timestamp[us, UTC]
    interval month_day_nano_interval, whose third part counts microseconds here (PostgreSQL's range in nanoseconds would
        not fit) | record string (PostgreSQL's text form)
    arrays: list<element>, or struct<items: list<element>, dims: list<int32>> in a batch where some value has several
        dimensions or does not begin at 1 (see shaped.py); `storage_type` gives the list

Never large_string, string_view, unsigned or nanosecond columns: `normalize` turns what a source delivers into
these. Infinite dates and timestamps are the smallest and largest integers of their storage.

Spec: PostgreSQL 15 documentation, chapter 8 and catalog pg_type.
"""

from __future__ import annotations

import datetime
import decimal
import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import scaled, specials
from shoal.catalog.errors import NumericOutOfRange

MAX_INT64_DIGITS = 18


@dataclass(frozen=True, slots=True)
class UserType:
    """What makes an enum or a record one of its own: an enum of a source, CREATE TYPE, the rows of a table."""

    oid: int
    array_oid: int
    name: str
    """As format_type() prints it."""
    labels: tuple[str, ...] = ()
    """Of an enum, in order."""
    domains: tuple[tuple[str, ...], ...] = ()
    """Of a record with fields of domains: (catalog, schema, name) of each field's domain, () for others."""


@dataclass(frozen=True, slots=True)
class SqlType:
    """A PostgreSQL type with its modifiers.

    `name` is pg_type.typname ("int4", "numeric", "_text" for text[]). `precision`/`scale` are those of numeric (of
    numeric[]'s elements) where all values have one scale; None where each brings its own. `length` is n of
    varchar(n) and char(n); None means unlimited.
    """

    name: str
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    modifier: int | None = field(default=None, compare=False)
    """pg_attribute.atttypmod where the other fields do not say it: -1 of a numeric whose digits were computed rather
    than declared, 3 of timestamp(3). It tells clients, and means nothing for values, so types are equal without it."""
    fields: tuple[tuple[str, SqlType], ...] | None = None
    """Names and types of the fields of a record (of an array's elements), where they are known."""
    user: UserType | None = None
    """Which enum, and of a record (of an array's elements) which composite type, where it is one."""

    @property
    def oid(self) -> int:
        if self.user is not None:
            return self.user.array_oid if self.is_array else self.user.oid
        return OIDS[self.name]

    @property
    def typmod(self) -> int:
        """pg_attribute.atttypmod: -1 where the type has no modifier."""
        if self.modifier is not None:
            return self.modifier
        if self.is_array:
            return self.element.typmod if self.length is not None or self.precision is not None else -1
        if self.name == "numeric" and self.precision is not None and self.precision <= 1000:
            return ((self.precision << 16) | ((self.scale or 0) & 0x7FF)) + 4
        if self.length is not None:
            return self.length + (0 if self.name in ("bit", "varbit") else 4)
        return -1

    @property
    def size(self) -> int:
        """pg_type.typlen: bytes of a fixed-width type, -1 for varying."""
        return _TYPLEN.get(self.name, -1)

    @property
    def category(self) -> str:
        """pg_type.typcategory: N numeric, S string, D date/time, B bool, T timespan, A array, U user, X unknown."""
        return "A" if self.is_array else _CATEGORY.get(self.name, "U")

    @property
    def is_array(self) -> bool:
        return self.name.startswith("_")

    @property
    def element(self) -> SqlType:
        """The element type of an array type."""
        if self.name != "_numeric":
            return SqlType(self.name[1:], length=self.length, fields=self.fields, user=self.user)
        return NUMERIC if self.precision is None else SqlType("numeric", self.precision, self.scale,
                                                              modifier=self.modifier)

    @property
    def varies(self) -> bool:
        """A numeric whose values bring each its own scale: one without declared digits, or declared with more than the
        static forms hold."""
        return self.name == "numeric" and (
            self.scale is None or self.precision > 76 or not 0 <= self.scale <= self.precision)  # type: ignore[operator]

    @property
    def is_string(self) -> bool:
        """Stored as an Arrow string and compared as one."""
        return self.name in _STRINGS

    @property
    def is_integer(self) -> bool:
        return self.name in ("int2", "int4", "int8")

    @property
    def is_number(self) -> bool:
        return self.name in ("int2", "int4", "int8", "numeric", "float4", "float8")

    @property
    def sql(self) -> str:
        """The name format_type() prints: "integer", "numeric(15,2)", "character varying(10)", "text[]"."""
        if self.is_array:
            return self.element.sql + "[]"
        if self.user is not None:
            return self.user.name
        base = _SQL_NAMES.get(self.name, self.name)
        if self.name == "numeric" and self.scale is not None:
            return f"numeric({self.precision},{self.scale})"
        return f"{base}({self.length})" if self.length is not None else base

    def __str__(self) -> str:
        return self.sql


@dataclass(frozen=True, slots=True)
class ShapedArray:
    """The physical value of an array with several dimensions, or that does not begin at 1 (others are lists of items).

    `items` in storage order, the last subscript running fastest; `dims` the size and the lower bound of each dimension in
    turn. Not a sequence on purpose: what takes one-dimensional arrays only must not take it for one.
    """

    items: tuple[Any, ...]
    dims: tuple[int, ...]


def numeric(precision: int, scale: int) -> SqlType:
    """numeric(precision, scale); the precision is cut at 76, the most decimal256 holds."""
    return SqlType("numeric", min(precision, 76), scale)


def computed(sql_type: SqlType) -> SqlType:
    """The type of a result that has it from its operands: clients are not told its digits as declared ones."""
    return replace(sql_type, modifier=-1) if sql_type.typmod != -1 else sql_type


def array_of(element: SqlType) -> SqlType:
    """The array type with these elements; a numeric's digits and scale are the array's."""
    if element.name == "numeric" and element != NUMERIC:
        return SqlType("_numeric", element.precision, element.scale, modifier=element.typmod)
    return SqlType("_" + element.name, fields=element.fields, user=element.user)


def item_storage(element: SqlType) -> pa.DataType:
    """What arrays of `element` hold: its storage type, numerics always in the widest form, which any of them may need."""
    if element.name != "numeric":
        return storage_type(element)
    return pa.string() if element.varies else pa.decimal256(76, element.scale)


BOOL, INT2, INT4, INT8 = SqlType("bool"), SqlType("int2"), SqlType("int4"), SqlType("int8")
FLOAT4, FLOAT8 = SqlType("float4"), SqlType("float8")
NUMERIC = SqlType("numeric")
"""Each value brings its own scale."""
TEXT, VARCHAR, BPCHAR, NAME = SqlType("text"), SqlType("varchar"), SqlType("bpchar"), SqlType("name")
CHAR, BYTEA, UUID, JSON, JSONB = SqlType("char"), SqlType("bytea"), SqlType("uuid"), SqlType("json"), SqlType("jsonb")
DATE, TIME, TIMETZ = SqlType("date"), SqlType("time"), SqlType("timetz")
TIMESTAMP, TIMESTAMPTZ, INTERVAL = SqlType("timestamp"), SqlType("timestamptz"), SqlType("interval")
OID, REGCLASS, REGTYPE, REGPROC = SqlType("oid"), SqlType("regclass"), SqlType("regtype"), SqlType("regproc")
TID = SqlType("tid")
RECORD, VOID = SqlType("record"), SqlType("void")
UNKNOWN = SqlType("unknown")
"""The type of an untyped literal or parameter until its context gives it one."""

OIDS: dict[str, int] = {
    "bool": 16, "bytea": 17, "char": 18, "name": 19, "int8": 20, "int2": 21, "int2vector": 22, "int4": 23,
    "regproc": 24, "text": 25, "oid": 26, "tid": 27, "xid": 28, "cid": 29, "oidvector": 30, "json": 114, "xml": 142,
    "pg_node_tree": 194, "float4": 700, "float8": 701, "unknown": 705, "inet": 869, "bpchar": 1042, "varchar": 1043,
    "date": 1082, "time": 1083, "timestamp": 1114, "timestamptz": 1184, "interval": 1186, "timetz": 1266,
    "numeric": 1700, "regprocedure": 2202, "regoper": 2203, "regoperator": 2204, "regclass": 2205, "regtype": 2206,
    "record": 2249, "void": 2278, "uuid": 2950, "jsonb": 3802, "regnamespace": 4089, "regrole": 4096, "aclitem": 1033,
    "jsonpath": 4072, "_jsonpath": 4073,
    "regconfig": 3734, "regdictionary": 3769, "regcollation": 4191, "xid8": 5069, "pg_lsn": 3220,
    "_bool": 1000, "_bytea": 1001, "_char": 1002, "_name": 1003, "_int2": 1005, "_int4": 1007, "_text": 1009,
    "_oid": 1028, "_bpchar": 1014, "_varchar": 1015, "_int8": 1016, "_float4": 1021, "_float8": 1022,
    "_timestamp": 1115, "_date": 1182, "_time": 1183, "_timestamptz": 1185, "_interval": 1187, "_numeric": 1231,
    "_timetz": 1270, "_uuid": 2951, "_json": 199, "_jsonb": 3807, "_record": 2287, "_regclass": 2210,
    "_regtype": 2211, "_aclitem": 1034, "_regproc": 1008, "_int2vector": 1006, "_oidvector": 1013, "_xid": 1011,
    "_regprocedure": 2207, "_regoper": 2208, "_regoperator": 2209, "_regconfig": 3735, "_regdictionary": 3770,
    "_regnamespace": 4090, "_regrole": 4097, "_regcollation": 4192, "_inet": 1041, "_xml": 143, "_tid": 1010, "_cid": 1012,
    "_xid8": 271, "_pg_lsn": 3221, "bit": 1560, "varbit": 1562, "_bit": 1561, "_varbit": 1563,
}
RANGES: dict[str, str] = {"int4range": "int4", "int8range": "int8", "numrange": "numeric", "daterange": "date",
                          "tsrange": "timestamp", "tstzrange": "timestamptz"}
"""The type of a range type's bounds."""
MULTIRANGES: dict[str, str] = {name.replace("range", "multirange"): name for name in RANGES}
"""The range type of a multirange type."""
ORDERED_BY_KEY = frozenset({"timetz", "inet", "cidr", "jsonb", *RANGES, *MULTIRANGES})
"""Types held as texts whose order is not that of their bytes (see exec/kernels/text_order.py)."""
OIDS.update({
    "cidr": 650, "_cidr": 651, "macaddr": 829, "_macaddr": 1040, "macaddr8": 774, "_macaddr8": 775,
    "int4range": 3904, "_int4range": 3905, "numrange": 3906, "_numrange": 3907, "tsrange": 3908, "_tsrange": 3909,
    "tstzrange": 3910, "_tstzrange": 3911, "daterange": 3912, "_daterange": 3913, "int8range": 3926, "_int8range": 3927,
    "int4multirange": 4451, "_int4multirange": 6150, "nummultirange": 4532, "_nummultirange": 6151, "tsmultirange": 4533,
    "_tsmultirange": 6152, "tstzmultirange": 4534, "_tstzmultirange": 6153, "datemultirange": 4535,
    "_datemultirange": 6155, "int8multirange": 4536, "_int8multirange": 6157})
NAMES_BY_OID: dict[int, str] = {oid: name for name, oid in OIDS.items()}
OIDS |= {"enum": 3500, "_enum": 2277}
"""Of an enum that nobody knows which it is: the pseudo-types anyenum and anyarray."""
_TYPLEN = {"enum": 4, "bool": 1, "char": 1, "name": 64, "int8": 8, "int2": 2, "int4": 4, "regproc": 4, "oid": 4,
           "xid": 4, "cid": 4,
           "tid": 6, "float4": 4, "float8": 8, "date": 4, "time": 8, "timestamp": 8, "timestamptz": 8, "interval": 16,
           "timetz": 12, "regclass": 4, "regtype": 4, "regprocedure": 4, "regoper": 4, "regoperator": 4, "void": 4,
           "uuid": 16, "regnamespace": 4, "regrole": 4, "unknown": -2, "regconfig": 4, "regdictionary": 4,
           "regcollation": 4}
_STRINGS = frozenset({"bit", "varbit", "enum", "text", "varchar", "bpchar", "name",
                      "char", "uuid", "json", "jsonb", "jsonpath", "unknown",
                      "xml", "inet",
                      "record", "aclitem", "pg_node_tree", "pg_lsn", "timetz", "void"})
_STRINGS |= {"cidr", "macaddr", "macaddr8", *RANGES, *MULTIRANGES}
_TYPLEN.update({"macaddr": 6, "macaddr8": 8})
OID_LIKE = frozenset({"oid", "regproc", "regclass", "regtype", "regprocedure", "regoper", "regoperator", "regnamespace",
                      "regrole", "xid", "xid8", "cid", "regconfig", "regdictionary", "regcollation"})
"""Types stored as int64 object identifiers; the reg* ones print as names (see functions/registers.py)."""
_CATEGORY = {"bool": "B", "int2": "N", "int4": "N", "int8": "N", "float4": "N", "float8": "N", "numeric": "N",
             "text": "S", "varchar": "S", "bpchar": "S", "name": "S", "char": "Z", "date": "D", "time": "D",
             "timetz": "D", "timestamp": "D", "timestamptz": "D", "interval": "T", "bit": "V", "varbit": "V", "unknown": "X",
             "record": "P",
             "void": "P", "enum": "E", "inet": "I", "cidr": "I", **dict.fromkeys([*RANGES, *MULTIRANGES], "R"),
             **dict.fromkeys(OID_LIKE, "N"), "xid": "U", "cid": "U"}
PREFERRED = frozenset({"bool", "varbit", "float8", "text", "timestamptz", "interval", "oid", "inet"})
"""pg_type.typispreferred: wins ties in function and UNION resolution."""
_SQL_NAMES = {"bool": "boolean", "varbit": "bit varying", "int2": "smallint", "int4": "integer", "int8": "bigint",
              "float4": "real",
              "float8": "double precision", "varchar": "character varying", "bpchar": "character", "char": '"char"',
              "time": "time without time zone", "timetz": "time with time zone",
              "timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone"}
SQL_ALIASES: dict[str, str] = {
    **{sql: name for name, sql in _SQL_NAMES.items()}, "int": "int4", "decimal": "numeric", "dec": "numeric",
    "float": "float8", "double": "float8", "string": "text", "bigserial": "int8", "serial": "int4",
    "smallserial": "int2", "character varying": "varchar", "nvarchar": "varchar", "character": "bpchar", "char": "bpchar",
    "timestamp with time zone": "timestamptz", "time with time zone": "timetz", "bit varying": "varbit"}
"""Spellings SQL accepts for a type, to pg_type.typname."""

_DAYS_EPOCH = datetime.date(1970, 1, 1).toordinal()
_STORAGE: dict[str, pa.DataType] = {
    "bool": pa.bool_(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "float4": pa.float32(),
    "float8": pa.float64(), "bytea": pa.binary(), "date": pa.date32(), "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", "UTC"),
    "interval": pa.month_day_nano_interval(), "tid": pa.int64(),
}


def storage_type(sql_type: SqlType) -> pa.DataType:
    """The plain Arrow type of a column of `sql_type` (numeric above 18 digits: the decimal form)."""
    if sql_type.name == "numeric":
        if sql_type.varies:
            return scaled.SCALED
        assert sql_type.precision is not None and sql_type.scale is not None
        if sql_type.precision <= MAX_INT64_DIGITS:
            return pa.int64()
        return pa.decimal128(38, sql_type.scale) if sql_type.precision <= 38 else pa.decimal256(76, sql_type.scale)
    if sql_type.is_array:
        return pa.list_(item_storage(sql_type.element))
    if sql_type.name in OID_LIKE:
        return pa.int64()
    if sql_type.name in ("int2vector", "oidvector"):
        return pa.list_(pa.int64())
    return _STORAGE.get(sql_type.name, pa.string())


def from_arrow(arrow: pa.DataType) -> SqlType:
    """The SQL type a source's Arrow column becomes; anything unknown becomes text, so that no column vanishes."""
    t = pa.types
    if t.is_dictionary(arrow):
        return from_arrow(arrow.value_type)
    if t.is_boolean(arrow):
        return BOOL
    if t.is_int8(arrow) or t.is_int16(arrow) or t.is_uint8(arrow):
        return INT2
    if t.is_int32(arrow) or t.is_uint16(arrow):
        return INT4
    if t.is_int64(arrow) or t.is_uint32(arrow):
        return INT8
    if t.is_uint64(arrow):
        return numeric(20, 0)
    if t.is_float16(arrow) or t.is_float32(arrow):
        return FLOAT4
    if t.is_float64(arrow):
        return FLOAT8
    if t.is_decimal(arrow):
        precision, scale = arrow.precision, arrow.scale
        return numeric(precision, scale) if scale >= 0 else numeric(precision - scale, 0)
    if t.is_date(arrow):
        return DATE
    if t.is_time(arrow):
        return TIME
    if t.is_timestamp(arrow):
        return TIMESTAMPTZ if arrow.tz else TIMESTAMP
    if t.is_binary(arrow) or t.is_large_binary(arrow) or t.is_fixed_size_binary(arrow) or str(arrow) == "binary_view":
        return BYTEA
    if t.is_interval(arrow) or t.is_duration(arrow):
        return INTERVAL
    if t.is_list(arrow) or t.is_large_list(arrow) or t.is_fixed_size_list(arrow):
        element = from_arrow(arrow.value_type)
        return JSON if element.is_array or element.name == "json" or "_" + element.name not in OIDS else array_of(element)
    if t.is_struct(arrow) or t.is_map(arrow):
        return JSON
    return TEXT


def normalize(array: pa.Array | pa.ChunkedArray, sql_type: SqlType) -> pa.Array:
    """`array` as a source delivered it, in the form that batches use for `sql_type` (see the module's head).

    Dictionary-encoded strings stay encoded with int32 indices. Raises: NumericOutOfRange (22003) where a value
    does not fit.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # combine_chunks keeps zero chunks chunked
            array = pa.array([], array.type)
    have, want = array.type, storage_type(sql_type)
    t = pa.types
    if t.is_interval(have):
        return _normalize_interval(array)
    if have == want:
        return array
    if t.is_dictionary(have):
        if sql_type.is_string and (t.is_string(have.value_type) or t.is_large_string(have.value_type)):
            if have.index_type == pa.int32() and t.is_string(have.value_type):
                return array
            return array.cast(pa.dictionary(pa.int32(), pa.string()))
        return normalize(array.dictionary_decode(), sql_type)
    if sql_type.varies:
        return scaled.normalized(array)
    if sql_type.name == "numeric":
        return _normalize_numeric(array, sql_type)
    if sql_type.name == "interval" and t.is_duration(have):
        micros = pc.cast(array, pa.duration("us"), safe=False).cast(pa.int64())
        return pa.array([None if v is None else pa.MonthDayNano([0, 0, v]) for v in micros.to_pylist()], want)
    if sql_type.name == "json" or (want == pa.string() and (t.is_nested(have) or t.is_binary(have) or t.is_union(have))):
        return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v, default=str)
                         for v in array.to_pylist()], pa.string())
    if (t.is_timestamp(want) and t.is_timestamp(have)) or (t.is_time(want) and t.is_time(have)):
        return pc.cast(array, want, safe=False)  # nanoseconds are cut off
    if t.is_null(have):
        return pa.nulls(len(array), want)
    return pc.cast(array, want)


def _normalize_interval(array: pa.Array) -> pa.Array:
    """Intervals as Arrow has them, with nanoseconds, to the storage form with microseconds."""
    parts = [None if v is None else pa.MonthDayNano([v.months, v.days, v.nanoseconds // 1000]) for v in array.to_pylist()]
    return pa.array(parts, pa.month_day_nano_interval())


def _normalize_numeric(array: pa.Array, sql_type: SqlType) -> pa.Array:
    assert sql_type.precision is not None and sql_type.scale is not None
    try:
        if not pa.types.is_decimal(array.type) or array.type.scale != sql_type.scale:
            wide = pa.decimal128(38, sql_type.scale) if sql_type.precision <= 38 else pa.decimal256(76, sql_type.scale)
            array = pc.cast(array, wide)
    except pa.ArrowInvalid as error:
        raise NumericOutOfRange(f"a value does not fit {sql_type}: {error}") from None
    if sql_type.precision <= MAX_INT64_DIGITS and array.type.byte_width == 16:
        return decimal_low_words(array)
    wide = pa.decimal128(38, sql_type.scale) if sql_type.precision <= 38 else pa.decimal256(76, sql_type.scale)
    return array if array.type == wide else pc.cast(array, wide)


def decimal_low_words(array: pa.Array) -> pa.Array:
    """The unscaled values of a decimal128 array as int64, which the caller knows to fit (18 digits at most)."""
    words = np.frombuffer(array.buffers()[1], "<i8", count=2 * len(array), offset=16 * array.offset)[::2]
    valid = array.is_valid() if array.null_count else None
    mask = None if valid is None else ~valid.to_numpy(zero_copy_only=False)
    return pa.array(np.ascontiguousarray(words), pa.int64(), mask=mask)


_DAY_US = 86_400_000_000


def to_python(value: Any, sql_type: SqlType) -> Any:
    """A physical value (see exec/plan/expr.Literal) as the Python object connectors and drivers use.

    numeric -> Decimal, date -> datetime.date, timestamp[tz] -> datetime, time -> datetime.time,
    interval stays (months, days, microseconds); infinities and the time 24:00 stay integers.
    """
    if value is None:
        return None
    match sql_type.name:
        case "numeric":
            if isinstance(value, str):
                return decimal.Decimal(value)
            if value in specials.TEXTS:
                return decimal.Decimal(specials.TEXTS[value])
            return decimal.Decimal(value).scaleb(-(sql_type.scale or 0), decimal.Context(prec=100))
        case "date":
            ordinal = value + _DAYS_EPOCH
            return datetime.date.fromordinal(ordinal) if 1 <= ordinal <= 3652059 else value
        case "timestamp" | "timestamptz":
            zone = datetime.UTC if sql_type.name == "timestamptz" else None
            try:
                return datetime.datetime(1970, 1, 1, tzinfo=zone) + datetime.timedelta(microseconds=value)
            except OverflowError:
                return value
        case "time":
            if value >= _DAY_US:  # 24:00
                return value
            return (datetime.datetime.min + datetime.timedelta(microseconds=value)).time()
    if sql_type.is_array:
        return [to_python(item, sql_type.element) for item in value]
    return value


def with_modifiers(sql_type: SqlType, modifiers: list[int]) -> SqlType:
    """`numeric(10,2)` or `varchar(5)` from the bare type and its parenthesised numbers."""
    if not modifiers:
        return replace(sql_type, length=1) if sql_type.name in ("bpchar", "bit") else sql_type
    if sql_type.name == "numeric":
        return SqlType("numeric", modifiers[0], modifiers[1] if len(modifiers) > 1 else 0)
    if sql_type.name in ("varchar", "bpchar", "bit", "varbit"):
        return replace(sql_type, length=modifiers[0])
    return sql_type

"""A connector whose tables exist in name only, and binding over them: all the binder's tests need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from shoal.catalog.access import Namespace
from shoal.catalog.connector import CatalogDefinition, Connector, Split, SupportsWrite, TableHandle, TableName, Writer
from shoal.catalog.declarations import ColumnInfo, Constraint
from shoal.catalog.registry import Catalogs
from shoal.exec.functions.casts import parse_type
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.bind import bind
from shoal.exec.sql.bound import Bound
from shoal.exec.sql.parse import parse

TPCH = {
    "nation": "n_nationkey int, n_name varchar, n_regionkey int, n_comment varchar",
    "region": "r_regionkey int, r_name varchar, r_comment varchar",
    "part": "p_partkey bigint, p_name varchar, p_mfgr varchar, p_brand varchar, p_type varchar, p_size int, "
            "p_container varchar, p_retailprice numeric(15;2), p_comment varchar",
    "supplier": "s_suppkey bigint, s_name varchar, s_address varchar, s_nationkey int, s_phone varchar, "
                "s_acctbal numeric(15;2), s_comment varchar",
    "partsupp": "ps_partkey bigint, ps_suppkey bigint, ps_availqty int, ps_supplycost numeric(15;2), ps_comment varchar",
    "customer": "c_custkey bigint, c_name varchar, c_address varchar, c_nationkey int, c_phone varchar, "
                "c_acctbal numeric(15;2), c_mktsegment varchar, c_comment varchar",
    "orders": "o_orderkey bigint, o_custkey bigint, o_orderstatus varchar, o_totalprice numeric(15;2), o_orderdate date, "
              "o_orderpriority varchar, o_clerk varchar, o_shippriority int, o_comment varchar",
    "lineitem": "l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber int, l_quantity numeric(15;2), "
                "l_extendedprice numeric(15;2), l_discount numeric(15;2), l_tax numeric(15;2), l_returnflag varchar, "
                "l_linestatus varchar, l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct varchar, "
                "l_shipmode varchar, l_comment varchar",
}
PLAIN = {
    "t": "a int, b bigint, c text, d date, n numeric(10;2), f double precision, ok boolean, ts timestamp, tz timestamptz",
    "u": "a int, x text, y int",
    "v": "id int, tags text[], j jsonb",
    "keyed": "id int, name text, kind text",
}


def columns(text: str) -> tuple[ColumnInfo, ...]:
    """"a int, n numeric(10;2)" as columns."""
    found = []
    for part in text.split(","):
        name, _, kind = part.strip().partition(" ")
        found.append(ColumnInfo(name, parse_type(kind.replace(";", ","))))
    return tuple(found)


class Tables(Connector):
    """Tables given as {name: columns}; nothing can be read."""

    kind = "tables"

    def __init__(self, name: str, tables: Mapping[str, str]) -> None:
        super().__init__(CatalogDefinition(name, "tables:"))
        self.known = {table: columns(text) for table, text in tables.items()}

    def schemas(self) -> list[str]:
        return ["public"]

    def tables(self, schema: str) -> list[TableName]:
        return [TableName(schema, name) for name in sorted(self.known)] if schema == "public" else []

    def table(self, schema: str, name: str) -> TableHandle | None:
        return TableHandle(self.name, schema, name) if schema == "public" and name in self.known else None

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return self.known[handle.name]

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        return []

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: Any) -> Iterator[pa.RecordBatch]:
        return iter(())

    def constraints(self, handle: TableHandle) -> tuple[Constraint, ...]:
        return (Constraint("pk", "primary", ("id",)),) if handle.name == "keyed" else ()


class WritableTables(Tables, SupportsWrite):
    """The same with the writing side declared; it is never called while binding."""

    def create_table(self, schema: str, name: str, columns: Sequence[ColumnInfo]) -> TableHandle:
        raise AssertionError

    def drop_table(self, handle: TableHandle) -> None:
        raise AssertionError

    def truncate(self, handle: TableHandle) -> None:
        raise AssertionError

    def insert(self, handle: TableHandle) -> Writer:
        raise AssertionError

    def delete(self, handle: TableHandle) -> Writer:
        raise AssertionError

    def update(self, handle: TableHandle) -> Writer:
        raise AssertionError


_CATALOGS = Catalogs()
_CATALOGS.add(WritableTables("plain", PLAIN))
_CATALOGS.add(Tables("h", TPCH))


def namespace(database: str = "plain") -> Namespace:
    return Namespace(_CATALOGS, database)


def bound(sql: str, *types: str | None, database: str = "plain", session: SessionContext | None = None) -> Bound:
    """The statement bound in `database`, with these parameter types declared."""
    declared = [None if t is None else parse_type(t) for t in types]
    return bind(parse(sql), namespace(database), session or SessionContext(database=database), declared)

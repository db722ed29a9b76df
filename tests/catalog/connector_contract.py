"""What every connector must do, as tests: subclass `ConnectorContract` and give it a connector and a known table.

    class TestMine(ConnectorContract):
        @pytest.fixture
        def connector(self): ...
        @pytest.fixture
        def known(self): return KnownTable("public", "t", rows)

`rows` are Python values in table order (Decimal, datetime.date ...). At least one table needs a few dozen rows, a
NULL, a text column and a numeric one, for the push-down tests to have something to say.
"""

from __future__ import annotations

import datetime
import decimal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from shoal.catalog.connector import (
    Connector,
    Predicate,
    Split,
    SupportsFilter,
    SupportsLimit,
    SupportsPieces,
    SupportsSnapshot,
    TableHandle,
)
from shoal.catalog.errors import SqlError
from shoal.catalog.pruning import comparable, matches
from shoal.catalog.types import SqlType, storage_type, to_python
from shoal.exec.plan import serde


@dataclass(frozen=True)
class KnownTable:
    """A table of the connector under test and all its rows, NULL as None, in any order."""

    schema: str
    name: str
    rows: Sequence[tuple[Any, ...]]


def nothing_known() -> Sequence[Predicate]:
    return ()


def read_batches(connector: Connector, handle: TableHandle, columns: Sequence[str], target: int = 4,
                 batch_rows: int = 65536) -> list[pa.RecordBatch]:
    """All splits' batches, handle and splits having travelled as JSON."""
    handle = serde.loads(serde.dumps(handle))
    out = []
    for split in connector.splits(handle, columns, target):
        travelled = serde.loads(serde.dumps(split))
        assert isinstance(travelled, Split)
        out += connector.read(handle, travelled, columns, batch_rows, nothing_known)
    return out


def python_values(array: pa.Array, sql_type: SqlType) -> list[Any]:
    """A column in storage form as the Python values `to_python` gives."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if sql_type.name == "numeric":
        if pa.types.is_integer(array.type):
            return [to_python(value, sql_type) for value in array.to_pylist()]
        return array.to_pylist()
    values = array.to_pylist()
    if sql_type.name == "timestamptz":
        return [None if value is None else value.astimezone(datetime.UTC) for value in values]
    return values


def rows_of(connector: Connector, handle: TableHandle, columns: Sequence[str], **options: Any) -> list[tuple[Any, ...]]:
    types = {column.name: column.type for column in connector.columns(handle)}
    out: list[tuple[Any, ...]] = []
    for batch in read_batches(connector, handle, columns, **options):
        out += zip(*(python_values(batch.column(i), types[name]) for i, name in enumerate(columns)))
    return out


def comparable_form(row: Sequence[Any]) -> tuple[Any, ...]:
    """Rows as Counter keys: Decimals by value, lists as tuples, NaN equal to itself."""
    return tuple(
        ("decimal", value.normalize() if value else decimal.Decimal(0)) if isinstance(value, decimal.Decimal)
        else tuple(value) if isinstance(value, list) else "NaN" if isinstance(value, float) and value != value else value
        for value in row)


def assert_same_rows(have: Sequence[Sequence[Any]], want: Sequence[Sequence[Any]]) -> None:
    assert Counter(map(comparable_form, have)) == Counter(map(comparable_form, want))


def allowed_storage(arrow: pa.DataType, sql_type: SqlType) -> bool:
    """storage_type, or one of the variants types.py allows in any batch."""
    if arrow == storage_type(sql_type):
        return True
    if sql_type.is_string:
        return arrow == pa.dictionary(pa.int32(), pa.string())
    if sql_type.name == "numeric":
        return arrow == pa.int64() or arrow in (pa.decimal128(38, sql_type.scale), pa.decimal256(76, sql_type.scale))
    return False


class ConnectorContract:
    """The tests; see the module's head for the two fixtures to give."""

    @pytest.fixture
    def connector(self) -> Connector:
        raise NotImplementedError

    @pytest.fixture
    def known(self) -> KnownTable:
        raise NotImplementedError

    @pytest.fixture
    def handle(self, connector: Connector, known: KnownTable) -> Any:
        found = connector.table(known.schema, known.name)
        assert found is not None
        if isinstance(connector, SupportsSnapshot):
            yield connector.begin("contract", found)
            connector.end("contract")
            connector.end("contract")  # unknown by now: fine
        else:
            yield found

    @pytest.fixture
    def names(self, connector: Connector, handle: TableHandle) -> list[str]:
        return [column.name for column in connector.columns(handle) if not column.hidden]

    # -- names

    def test_names(self, connector: Connector, known: KnownTable) -> None:
        schemas = connector.schemas()
        assert schemas == sorted(schemas) and known.schema in schemas
        tables = connector.tables(known.schema)
        assert [table.name for table in tables] == sorted(table.name for table in tables)
        assert known.name in {table.name for table in tables}
        assert all(table.schema == known.schema for table in tables)
        assert connector.tables("no such schema") == []

    def test_every_listed_table_has_a_handle_and_columns(self, connector: Connector, known: KnownTable) -> None:
        for table in connector.tables(known.schema):
            handle = connector.table(table.schema, table.name)
            assert handle is not None and (handle.catalog, handle.name) == (connector.name, table.name)
            names = [column.name for column in connector.columns(handle)]
            assert len(set(names)) == len(names)

    def test_unknown_names_are_none(self, connector: Connector, known: KnownTable) -> None:
        assert connector.table(known.schema, "no such table") is None
        assert connector.table("no such schema", known.name) is None
        assert connector.table(known.schema, known.name.swapcase()) is None or known.name.swapcase() == known.name

    def test_handles_are_equal_and_travel(self, connector: Connector, handle: TableHandle, known: KnownTable) -> None:
        if not isinstance(connector, SupportsSnapshot):
            assert connector.table(known.schema, known.name) == handle
        assert serde.loads(serde.dumps(handle)) == handle

    # -- reading

    def test_splits_are_the_table_once(self, connector: Connector, handle: TableHandle, known: KnownTable,
                                       names: list[str]) -> None:
        for target in (1, 2, 7):
            assert_same_rows(rows_of(connector, handle, names, target=target), known.rows)

    def test_storage_forms(self, connector: Connector, handle: TableHandle, names: list[str]) -> None:
        types = {column.name: column.type for column in connector.columns(handle)}
        for batch in read_batches(connector, handle, names):
            batch.validate(full=True)
            assert batch.schema.names == names
            for field in batch.schema:
                assert allowed_storage(field.type, types[field.name]), (field, types[field.name])

    def test_some_columns_in_any_order(self, connector: Connector, handle: TableHandle, known: KnownTable,
                                       names: list[str]) -> None:
        picked = list(range(len(names)))[::-2]
        want = [tuple(row[i] for i in picked) for row in known.rows]
        assert_same_rows(rows_of(connector, handle, [names[i] for i in picked]), want)

    def test_no_columns_give_counts(self, connector: Connector, handle: TableHandle, known: KnownTable) -> None:
        batches = read_batches(connector, handle, [])
        assert all(batch.num_columns == 0 for batch in batches)
        assert sum(batch.num_rows for batch in batches) == len(known.rows)

    def test_small_batches(self, connector: Connector, handle: TableHandle, known: KnownTable, names: list[str]) -> None:
        batches = read_batches(connector, handle, names, batch_rows=7)
        assert all(batch.num_rows <= 14 for batch in batches)
        assert_same_rows(rows_of(connector, handle, names, batch_rows=7), known.rows)

    def test_reading_twice_gives_the_same(self, connector: Connector, handle: TableHandle, names: list[str]) -> None:
        first = rows_of(connector, handle, names)
        assert_same_rows(rows_of(connector, handle, names), first)

    def test_a_read_may_be_given_up(self, connector: Connector, handle: TableHandle, known: KnownTable,
                                    names: list[str]) -> None:
        for split in connector.splits(handle, names, 2):
            batches = connector.read(handle, split, names, 7, nothing_known)
            next(batches, None)
            batches.close()  # type: ignore[attr-defined]
        assert_same_rows(rows_of(connector, handle, names), known.rows)

    def test_unknown_column_is_a_typed_error(self, connector: Connector, handle: TableHandle) -> None:
        with pytest.raises(SqlError) as caught:
            read_batches(connector, handle, ["no such column"])
        assert caught.value.sqlstate != "XX000"

    def test_pieces_fit_together(self, connector: Connector, handle: TableHandle, known: KnownTable,
                                 names: list[str]) -> None:
        if not isinstance(connector, SupportsPieces):
            return
        rows: list[tuple[Any, ...]] = []
        types = {column.name: column.type for column in connector.columns(handle)}
        for split in connector.splits(handle, names, 2):
            pieces = connector.pieces(handle, split, nothing_known)
            if pieces is None:
                return
            for piece in pieces:
                goes = [list(connector.read(handle, piece, some, 50, nothing_known)) for some in (names[:1], names[1:])]
                assert [batch.num_rows for batch in goes[0]] == [batch.num_rows for batch in goes[1]] or not names[1:]
                for first, second in zip(*goes):
                    rows += zip(*(python_values(column, types[name])
                                  for name, column in zip(names, [*first.columns, *second.columns])))
        assert_same_rows(rows, known.rows)

    # -- push-down

    def predicates(self, connector: Connector, handle: TableHandle, known: KnownTable) -> list[Predicate]:
        """Predicates of all kinds with values from the table, for columns whose values Python can compare."""
        out = []
        for i, column in enumerate(c for c in connector.columns(handle) if not c.hidden):
            out += [Predicate(column.name, "is_null"), Predicate(column.name, "is_not_null")]
            values = sorted({row[i] for row in known.rows if isinstance(row[i],
                                                                        (int, str, float, decimal.Decimal, datetime.date))
                             and row[i] == row[i]} if not column.type.is_array and column.type.name != "json" else ())
            if not values:
                continue
            middle = values[len(values) // 2]
            for operator in ("eq", "ne", "lt", "le", "gt", "ge"):
                out.append(Predicate(column.name, operator, (middle,)))
            out.append(Predicate(column.name, "in", (values[0], middle)))
            out.append(Predicate(column.name, "in", (middle, None)))
            if isinstance(middle, str) and column.type.is_string:
                start = middle[:2].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
                out += [Predicate(column.name, "like", (start + "%",)), Predicate(column.name, "not_like", (start + "%",))]
        return out

    def expected(self, predicates: Sequence[Predicate], names: list[str], known: KnownTable) -> list[tuple[Any, ...]]:
        return [row for row in known.rows if all(matches(p, row[names.index(p.column)]) for p in predicates)]

    def test_filters_equal_filtering_afterwards(self, connector: Connector, handle: TableHandle, known: KnownTable,
                                                names: list[str]) -> None:
        if not isinstance(connector, SupportsFilter):
            return
        for predicate in self.predicates(connector, handle, known):
            result = connector.apply_filter(handle, (predicate,))
            if result is None:
                continue
            assert set(result.remaining) <= {0}
            rows = rows_of(connector, result.handle, names)
            if result.remaining:
                rows = self.expected((predicate,), names, KnownTable(known.schema, known.name, rows))
            assert_same_rows(rows, self.expected((predicate,), names, known))
            assert serde.loads(serde.dumps(result.handle)) == result.handle
            assert isinstance(connector.explain(result.handle, []), str)

    def test_several_filters(self, connector: Connector, handle: TableHandle, known: KnownTable, names: list[str]) -> None:
        if not isinstance(connector, SupportsFilter):
            return
        offered = tuple(p for p in self.predicates(connector, handle, known) if p.operator in ("ge", "le", "is_not_null"))
        result = connector.apply_filter(handle, offered)
        if result is None:
            return
        remaining = [offered[i] for i in result.remaining]
        rows = self.expected(remaining, names, KnownTable(known.schema, known.name,
                                                          rows_of(connector, result.handle, names)))
        assert_same_rows(rows, self.expected(offered, names, known))
        again = connector.apply_filter(result.handle, tuple(remaining))
        assert again is None or again.handle != result.handle, "offering what is left again must end"

    def test_dynamic_filters_only_prune(self, connector: Connector, handle: TableHandle, known: KnownTable,
                                        names: list[str]) -> None:
        for predicate in self.predicates(connector, handle, known):
            rows: list[tuple[Any, ...]] = []
            types = {column.name: column.type for column in connector.columns(handle)}
            for split in connector.splits(handle, names, 4):
                for batch in connector.read(handle, split, names, 100, lambda predicate=predicate: (predicate,)):
                    rows += zip(*(python_values(batch.column(i), types[name]) for i, name in enumerate(names)))
            assert_same_rows(self.expected((predicate,), names, KnownTable("", "", rows)),
                             self.expected((predicate,), names, known))

    def test_limits(self, connector: Connector, handle: TableHandle, known: KnownTable, names: list[str]) -> None:
        if not isinstance(connector, SupportsLimit):
            return
        result = connector.apply_limit(handle, 5)
        if result is None:
            return
        splits = len(connector.splits(result.handle, names, 4))
        rows = rows_of(connector, result.handle, names)
        assert min(5, len(known.rows)) <= len(rows) <= (5 if result.exact else 5 * splits)
        assert not Counter(map(comparable_form, rows)) - Counter(map(comparable_form, known.rows))

    # -- planning

    def test_statistics_are_sane(self, connector: Connector, handle: TableHandle, known: KnownTable,
                                 names: list[str]) -> None:
        statistics = connector.statistics(handle)
        assert statistics.rows is None or statistics.rows >= 0
        for name, column in statistics.columns.items():
            assert name in names
            values = [row[names.index(name)] for row in known.rows]
            assert column.null_fraction is None or 0 <= column.null_fraction <= 1
            assert column.distinct is None or 0 <= column.distinct <= max(len(values), statistics.rows or 0, 1)
            for bound in (column.minimum, column.maximum):
                example = next((value for value in values if value is not None), None)
                assert bound is None or example is None or comparable(Predicate(name, "le", (bound,)), example)
        assert connector.statistics(handle) == statistics

    def test_version_is_stable(self, connector: Connector) -> None:
        assert connector.version() == connector.version()

    def test_constraints_name_real_columns(self, connector: Connector, handle: TableHandle, names: list[str]) -> None:
        for constraint in connector.constraints(handle):
            assert set(constraint.columns) <= set(names)

    def test_closing_twice(self, connector: Connector) -> None:
        connector.close()
        connector.close()

"""`sample:`: a small built-in data set, a fishing harbour's books, for a server that has nothing else to show.

Five tables with keys, dates, exact decimals, NULLs and names from several languages, about a thousand rows; made by
arithmetic alone, so every process has the same. Hops 2 to 6.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from shoal.catalog.connector import (
    CatalogDefinition,
    Connector,
    DynamicFilter,
    Split,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.connectors.batches import batch_of, from_rows, in_pieces, require_columns
from shoal.catalog.connectors.memory_segments import segment_of, statistics_of
from shoal.catalog.connectors.urls import path_and_options
from shoal.catalog.declarations import ColumnInfo, Constraint
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT2, INT4, TEXT, TIMESTAMPTZ, numeric


@dataclass(frozen=True, slots=True)
class _Table:
    comment: str
    columns: tuple[ColumnInfo, ...]
    constraints: tuple[Constraint, ...]
    batch: pa.RecordBatch
    statistics: TableStatistics


class SampleConnector(Connector):
    kind: ClassVar[str] = "sample"

    def __init__(self, definition: CatalogDefinition) -> None:
        super().__init__(definition)
        path_and_options(definition, ())

    def schemas(self) -> list[str]:
        return ["public"]

    def tables(self, schema: str) -> list[TableName]:
        if schema != "public":
            return []
        return [TableName("public", name, "table", table.comment) for name, table in sorted(_tables().items())]

    def table(self, schema: str, name: str) -> TableHandle | None:
        return TableHandle(self.name, schema, name) if schema == "public" and name in _tables() else None

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return _tables()[handle.name].columns

    def constraints(self, handle: TableHandle) -> tuple[Constraint, ...]:
        return _tables()[handle.name].constraints

    def statistics(self, handle: TableHandle) -> TableStatistics:
        return _tables()[handle.name].statistics

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        batch = _tables()[handle.name].batch
        return [Split({}, batch.num_rows, batch.nbytes)]

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        whole = _tables()[handle.name].batch
        require_columns(handle, columns, whole.schema.names)
        yield from in_pieces(batch_of(columns, [whole.column(name) for name in columns], whole.num_rows), batch_rows)


@cache
def _tables() -> dict[str, _Table]:
    return {name: _table(name, *definition) for name, definition in _DEFINITIONS.items()}


def _table(name: str, comment: str, columns: tuple[ColumnInfo, ...], key: tuple[str, ...],
           references: dict[str, tuple[str, str]], rows: Callable[[], list[tuple[Any, ...]]]) -> _Table:
    batch = from_rows([(column.name, column.type) for column in columns], rows())
    constraints = [Constraint(f"{name}_pkey", "primary", key)]
    constraints += [Constraint(f"{name}_{column}_fkey", "foreign", (column,), ("public", table), (target,))
                    for column, (table, target) in references.items()]
    segment = segment_of(np.arange(batch.num_rows, dtype=np.int64), batch.columns, columns)
    return _Table(comment, columns, tuple(constraints), batch, statistics_of(columns, [segment]))


def _draw(seed: int, row: int, below: int) -> int:
    """A number from 0 to below - 1 that looks random and never changes (splitmix64)."""
    mask = (1 << 64) - 1
    z = (seed * 0x9E3779B97F4A7C15 + row * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & mask
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ z >> shift) * factor & mask
    return (z ^ z >> 31) % below


_PORTS = (("Ålesund", "Norway", "1838-06-01", 62.4722, 6.1549), ("Peniche", "Portugal", "1609-02-20", 39.3563, -9.3811),
          ("Killybegs", "Ireland", "1616-12-14", 54.6333, -8.4500), ("Húsavík", "Iceland", "1950-01-01", 66.0449, -17.3389),
          ("Essaouira", "Morocco", "1764-09-03", 31.5085, -9.7595),
          ("Hvide Sande", "Denmark", "1931-08-01", 56.0045, 8.1259), ("気仙沼", "Japan", "1953-06-01", 38.9080, 141.5697),
          ("Lorient", "France", "1666-08-31", 47.7482, -3.3702))
_SPECIES = (("Atlantic cod", "Gadus morhua", False, "4.85"), ("Haddock", "Melanogrammus aeglefinus", False, "3.60"),
            ("Mackerel", "Scomber scombrus", False, "1.95"), ("Herring", "Clupea harengus", False, "0.88"),
            ("Sardine", "Sardina pilchardus", False, "1.10"), ("European hake", "Merluccius merluccius", False, "5.40"),
            ("Turbot", "Scophthalmus maximus", False, "14.75"), ("Monkfish", "Lophius piscatorius", False, "7.20"),
            ("Norway lobster", "Nephrops norvegicus", False, "18.90"), ("Octopus", "Octopus vulgaris", False, "8.35"),
            ("Saury", "Cololabis saira", False, "2.42"), ("Bonito", "Sarda sarda", False, "3.05"),
            ("Basking shark", "Cetorhinus maximus", True, None), ("Common skate", "Dipturus batis", True, None),
            ("Spiny dogfish", "Squalus acanthias", True, None), ("Lumpfish", "Cyclopterus lumpus", False, None))
_BOATS = ("Morning Star", "Sæbjørn", "Três Irmãos", "Mary O'Shea", "Haförn", "Belle Étoile", "第三海宝丸", "Nordlys",
          "Gaivota", "Grace", "Skjold", "La Mouette", "Oued Dahab", "Vesterhav", "Sólfari", "Kittiwake", "Estrela do Mar",
          "Brise-Lames", "Albatros", "Fidèle", "Silver Darling", "Tåsinge", "Perseverança", "Old Tom")
_WEATHER = ("calm", "fair", "fog", "swell", "gale", "snow")
_NOTES = (None, None, None, None, "sold at auction", "iced on board", "torn net", "tagged & released", "100% quota used",
          "kept for the crew's supper")


def _ports() -> list[tuple[Any, ...]]:
    return [(i, name, country, datetime.date.fromisoformat(founded), latitude, longitude)
            for i, (name, country, founded, latitude, longitude) in enumerate(_PORTS, 1)]


def _species() -> list[tuple[Any, ...]]:
    return [(i, name, latin, protected, None if price is None else Decimal(price))
            for i, (name, latin, protected, price) in enumerate(_SPECIES, 1)]


def _boats() -> list[tuple[Any, ...]]:
    return [(i, name, 1 + _draw(1, i, len(_PORTS)), Decimal(900 + _draw(2, i, 3600)).scaleb(-2),
             datetime.date(1961, 3, 1) + datetime.timedelta(days=_draw(3, i, 21_000)),
             None if _draw(4, i, 6) == 0 else 60 + 15 * _draw(5, i, 60), _draw(6, i, 8) > 0)
            for i, name in enumerate(_BOATS, 1)]


def _departure(trip: int) -> datetime.datetime:
    first = datetime.datetime(2024, 1, 2, 3, tzinfo=datetime.UTC)
    return first + datetime.timedelta(hours=33 * trip, minutes=_draw(7, trip, 240))


def _trips() -> list[tuple[Any, ...]]:
    return [(i, 1 + _draw(8, i, len(_BOATS)), _departure(i),
             None if i > 236 else _departure(i) + datetime.timedelta(hours=6 + _draw(9, i, 120), minutes=_draw(10, i, 60)),
             2 + _draw(11, i, 9), _WEATHER[min(_draw(12, i, 9), 5)]) for i in range(1, 241)]


def _catches() -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for trip in range(1, 237):
        first, count = _draw(13, trip, len(_SPECIES)), _draw(14, trip, 6)
        for place in range(count):
            row, species = trip * 8 + place, (first + place * 5) % len(_SPECIES)
            grams = 500 + _draw(15, row, 40_000 if _SPECIES[species][2] else 900_000)
            found.append((trip, species + 1, Decimal(grams).scaleb(-3), _SPECIES[species][2], _NOTES[_draw(16, row, 10)]))
    return found


def _not_null(name: str, sql_type: Any, comment: str = "") -> ColumnInfo:
    return ColumnInfo(name, sql_type, nullable=False, comment=comment)


_DEFINITIONS: dict[str, tuple[Any, ...]] = {
    "ports": ("Harbours where boats are registered", (
        _not_null("port_id", INT4), _not_null("name", TEXT), _not_null("country", TEXT), _not_null("founded", DATE),
        _not_null("latitude", FLOAT8), _not_null("longitude", FLOAT8)), ("port_id",), {}, _ports),
    "species": ("What is caught, and its price", (
        _not_null("species_id", INT4), _not_null("name", TEXT), _not_null("latin_name", TEXT), _not_null("protected", BOOL),
        ColumnInfo("price_per_kg", numeric(6, 2), comment="NULL where it may not be sold")), ("species_id",), {}, _species),
    "boats": ("The fleet", (
        _not_null("boat_id", INT4), _not_null("name", TEXT), _not_null("port_id", INT4),
        _not_null("length_m", numeric(5, 2)), _not_null("built", DATE), ColumnInfo("engine_kw", INT4),
        _not_null("active", BOOL)),
        ("boat_id",), {"port_id": ("ports", "port_id")}, _boats),
    "trips": ("One row for each time out", (
        _not_null("trip_id", INT4), _not_null("boat_id", INT4), _not_null("departed", TIMESTAMPTZ),
        ColumnInfo("returned", TIMESTAMPTZ, comment="NULL while at sea"), _not_null("crew", INT2),
        _not_null("weather", TEXT)),
        ("trip_id",), {"boat_id": ("boats", "boat_id")}, _trips),
    "catches": ("What each trip landed", (
        _not_null("trip_id", INT4), _not_null("species_id", INT4), _not_null("weight_kg", numeric(9, 3)),
        _not_null("released", BOOL), ColumnInfo("note", TEXT)), ("trip_id", "species_id"),
        {"trip_id": ("trips", "trip_id"), "species_id": ("species", "species_id")}, _catches),
}
"""name -> comment, columns, primary key, foreign keys, rows."""

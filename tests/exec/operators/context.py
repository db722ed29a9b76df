"""A task context for operator tests, and relations in every physical form that batches may have.

Inputs are RemoteSource nodes whose streams hold prepared batches, with BLOCKED between them: what a task reads over
the exchange looks just the same.
"""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.connector import Connector, Split
from shoal.catalog.errors import OutOfMemory
from shoal.catalog.types import SqlType, to_python
from shoal.exec.batch import BLOCKED, Batch, Column, Output, Selection
from shoal.exec.kernels.concat import concatenated, widened
from shoal.exec.kernels.constants import array_of_values, physical
from shoal.exec.kernels.membership import KeySet
from shoal.exec.operators import build
from shoal.exec.operators.base import OperatorMetrics
from shoal.exec.plan import nodes
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.nodes import Field, PlanNode, RemoteSource

FORMS = ("plain", "encoded", "mixed")


class Task:
    """One task without a worker around it."""

    def __init__(self, batch_rows: int = 65_536, memory_bytes: int = 1 << 40, partition: int = 0) -> None:
        self.settings = TaskSettings(now_us=0, batch_rows=batch_rows, memory_bytes=memory_bytes)
        self.fragment, self.partition, self.partitions = 0, partition, 1
        self.names = None
        self.connectors: dict[str, Connector] = {}
        self.scan_splits: dict[int, Sequence[Split]] = {}
        self.streams: dict[int, list[list[Batch]]] = {}
        self.filters: dict[int, KeySet] = {}
        self.expected: set[int] = set()
        self.held: dict[int, int] = {}
        self._metrics: dict[int, OperatorMetrics] = {}
        self._ids = itertools.count(1)

    def connector(self, catalog: str) -> Connector:
        return self.connectors[catalog]

    def splits(self, scan_id: int) -> Sequence[Split]:
        return self.scan_splits[scan_id]

    def exchange(self, fragment_id: int, reader: int = 0) -> Sequence[Iterator[Batch | object]]:
        return [self._stream(batches) for batches in self.streams[fragment_id]]

    @staticmethod
    def _stream(batches: list[Batch]) -> Iterator[Batch | object]:
        for batch in batches:
            yield BLOCKED
            yield batch

    def read_ahead(self, batches: Iterator[Batch]) -> Output:
        yield from batches

    def publish_filter(self, filter_id: int, keys: KeySet) -> None:
        self.filters[filter_id] = KeySet.from_bytes(keys.to_bytes())

    def filter(self, filter_id: int) -> KeySet | None:
        return self.filters.get(filter_id)

    def expects_filter(self, filter_id: int) -> bool:
        return filter_id in self.expected and filter_id not in self.filters

    def turn_over(self) -> bool:
        return False

    def reserve(self, metrics: OperatorMetrics, bytes_held: int) -> None:
        self.held[id(metrics)] = bytes_held
        if sum(self.held.values()) > self.settings.memory_bytes:
            raise OutOfMemory("out of memory")
        metrics.peak_bytes = max(metrics.peak_bytes, bytes_held)

    def metrics(self, node: PlanNode) -> OperatorMetrics:
        return self._metrics.setdefault(id(node), OperatorMetrics())

    # --- inputs and outputs of tests

    def relation(self, columns: dict[str, tuple[SqlType, Sequence[Any]]], *, form: str = "plain", seed: int = 0,
                 ordering: tuple = (), streams: int = 1) -> RemoteSource:
        """A source of these columns of physical values, in batches of settings.batch_rows; see `in_form`."""
        fragment = next(self._ids)
        fields = tuple(Field(1000 * fragment + i, name, t) for i, (name, (t, _)) in enumerate(columns.items()))
        rows = len(next(iter(columns.values()))[1]) if columns else 0
        random = np.random.default_rng(seed)
        arrays = [array_of_values(values, sql_type) for sql_type, values in columns.values()]
        size = self.settings.batch_rows
        lanes: list[list[Batch]] = [[] for _ in range(streams)]
        share = -(-rows // streams) if rows else 0
        for lane in range(streams):
            for start in range(lane * share, min((lane + 1) * share, rows), size):
                count = min(size, (lane + 1) * share - start, rows - start)
                pieces = [in_form(array.slice(start, count), field.type, form, random)
                          for array, field in zip(arrays, fields, strict=True)]
                lanes[lane].append(Batch(pieces, count))
                lanes[lane].append(Batch.of([piece.array.slice(0, 0) for piece in pieces], 0))
        self.streams[fragment] = lanes
        return RemoteSource(fragment, fields, ordering)

    def run(self, node: PlanNode) -> list[tuple[Any, ...]]:
        """The node's rows as tuples of Python values."""
        return rows_of([batch for batch in build(node, self).batches() if isinstance(batch, Batch)], node)

    def batches(self, node: PlanNode) -> list[Batch]:
        return [batch for batch in build(node, self).batches() if isinstance(batch, Batch)]


def in_form(array: pa.Array, sql_type: SqlType, form: str, random: np.random.Generator) -> Column:
    """The column as it is, dictionary-encoded or in wide decimals, or any of these with garbage under a selection."""
    if form == "mixed":
        form = str(random.choice(["plain", "encoded"]))
        if random.random() < 0.5:
            inner = in_form(concatenated([array, array], sql_type), sql_type, form, random)
            return Column(inner.array, Selection(np.arange(len(array))))
    if form == "encoded":
        if sql_type.is_string:
            array = array.dictionary_encode()
            if random.random() < 0.5 and len(array.dictionary):
                again = pa.concat_arrays([array.dictionary, pa.array(["unused"], array.dictionary.type)])
                array = pa.DictionaryArray.from_arrays(array.indices, again)
        elif sql_type.name == "numeric":
            array = widened(array, pa.decimal128(38, sql_type.scale) if random.random() < 0.7
                            and not (pa.types.is_decimal(array.type) and array.type.byte_width > 16)
                            else pa.decimal256(76, sql_type.scale))
    return Column(array)


def rows_of(batches: Sequence[Batch], node: PlanNode) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for batch in batches:
        columns = []
        for position, field in enumerate(node.output):
            array = batch.array(position)
            assert len(array) == batch.rows
            array.validate(full=True)
            columns.append([value_of(array, row, field.type) for row in range(batch.rows)])
        rows.extend(zip(*columns, strict=True) if columns else [()] * batch.rows)
    return rows


def value_of(array: pa.Array, row: int, sql_type: SqlType) -> Any:
    value = physical(array, row, sql_type)
    if isinstance(value, decimal.Decimal):
        return value
    return to_python(value, sql_type) if sql_type.name not in ("interval",) else value


def ordered(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """In an order that does not depend on types, for comparing as multisets."""
    return sorted(rows, key=lambda row: [(value is None, str(value)) for value in row])


__all__ = ["FORMS", "Task", "in_form", "nodes", "ordered", "rows_of", "value_of"]

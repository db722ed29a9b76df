"""What operators share for handling their inputs' batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from weakref import WeakKeyDictionary

from shoal.catalog.types import SqlType
from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.evaluator import EvaluationContext
from shoal.exec.kernels.concat import concatenated_batches
from shoal.exec.operators.base import TaskContext
from shoal.exec.plan.nodes import PlanNode

_EVALUATIONS: WeakKeyDictionary[TaskContext, EvaluationContext] = WeakKeyDictionary()


def positions(node: PlanNode) -> Mapping[int, int]:
    """Column id -> position in the node's batches."""
    return {field.id: position for position, field in enumerate(node.output)}


def types(node: PlanNode) -> list[SqlType]:
    return [field.type for field in node.output]


def evaluation(context: TaskContext) -> EvaluationContext:
    """What kernels need to know of the task; one for all its operators, so that each random() differs."""
    found = _EVALUATIONS.get(context)
    if found is None:
        found = EvaluationContext(context.settings, context.names, context.fragment, context.partition)
        _EVALUATIONS[context] = found
    return found


def coalesced(stream: Output, column_types: Sequence[SqlType], rows: int) -> Output:
    """The stream with batches put together until they have at least `rows` rows; the last one may be smaller."""
    held: list[Batch] = []
    count = 0
    for batch in stream:
        if not isinstance(batch, Batch):
            yield BLOCKED
            continue
        if batch.rows == 0:
            continue
        if not held and batch.rows >= rows:
            yield batch
            continue
        held.append(batch)
        count += batch.rows
        if count >= rows:
            yield concatenated_batches(held, column_types)
            held, count = [], 0
    if held:
        yield concatenated_batches(held, column_types)


def sliced(batch: Batch, rows: int) -> Iterator[Batch]:
    """The batch in pieces of about `rows` rows, whole up to four times that."""
    if batch.rows <= 4 * rows:
        if batch.rows:
            yield batch
    else:
        yield from batch.split(rows)

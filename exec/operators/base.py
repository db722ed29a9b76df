"""What an operator is, and what a task gives it.

An operator is built from its plan node and its input operators and gives batches from a generator. Batches'
columns are positional, in the order of `node.output`. A generator yields BLOCKED when an input has nothing yet; a
consumer passes BLOCKED on (`for batch in input: if batch is BLOCKED: yield batch; continue`), so that one compute
thread can run all tasks of a worker in turn, a morsel at a time. It never waits otherwise.

One module per operator; `operators/__init__.py` maps node classes to operator classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shoal.catalog.connector import Connector, Split
from shoal.exec.batch import Batch, Output
from shoal.exec.evaluator import Names
from shoal.exec.kernels.membership import KeySet
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.nodes import PlanNode


@dataclass(slots=True)
class OperatorMetrics:
    """What EXPLAIN ANALYZE shows for one node of one task. `seconds` is time inside the operator alone."""

    label: str = ""
    rows: int = 0
    batches: int = 0
    bytes: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    spilled_bytes: int = 0
    details: dict[str, int] = field(default_factory=dict)
    """Operator's own counters, e.g. row_groups_skipped, splits, dynamic_filter_rows."""


class TaskContext(Protocol):
    """A task's services to its operators (implemented in worker/context.py; tests have their own)."""

    settings: TaskSettings
    fragment: int
    partition: int
    partitions: int

    @property
    def names(self) -> Names | None:
        """The catalog's names, where the task runs in the coordinator."""

    def connector(self, catalog: str) -> Connector: ...

    def splits(self, scan_id: int) -> Sequence[Split]:
        """The splits of the scan that this task reads."""

    def exchange(self, fragment_id: int, reader: int = 0) -> Sequence[Iterator[Batch | object]]:
        """One stream of batches (or BLOCKED) for each producer task of the fragment that this reader reads."""

    def read_ahead(self, batches: Iterator[Batch]) -> Output:
        """Runs a source iterator in a thread behind a bounded queue; for connectors whose `waits` is True."""

    def publish_filter(self, filter_id: int, keys: KeySet) -> None:
        """Called once by each task that built the join; reaches all scans that use the filter."""

    def filter(self, filter_id: int) -> KeySet | None:
        """The union over all publishing tasks once all have published; None until then."""

    def expects_filter(self, filter_id: int) -> bool:
        """Whether the filter can still come: a scan may yield BLOCKED for a while rather than read for nothing."""

    def turn_over(self) -> bool:
        """Asked between batches by what reads or multiplies rows: whether to yield BLOCKED once, so that others run.

        Raises: the error that ends the task (QueryCanceled ...)."""

    def reserve(self, metrics: OperatorMetrics, bytes_held: int) -> None:
        """States what the operator holds now. Raises: OutOfMemory (53200) beyond the query's budget."""

    def metrics(self, node: PlanNode) -> OperatorMetrics: ...


class Operator(ABC):
    def __init__(self, context: TaskContext, node: PlanNode, inputs: Sequence[Operator]) -> None:
        self.context, self.node, self.inputs = context, node, inputs
        self.metrics = context.metrics(node)

    @property
    def core(self) -> Operator:
        """The operator itself, where this one is only wrapped around it."""
        return self

    @property
    def steady(self) -> object | None:
        """Something that stays the same object for as long as every run gives the same rows; None: no run need do so."""
        return None

    @abstractmethod
    def batches(self) -> Output:
        """The node's rows: one run. Called once, or inside a Recursion once a turn, when the run before has ended."""

    def close(self) -> None:  # noqa: B027 - most operators hold nothing but batches
        """Lets go of everything, also after an error or half way; called once, inputs are closed by the task."""

"""Cuts an optimized plan at its Exchange nodes into fragments: the fourth hop of a query's way.

    Aggregate (final)                 fragment 1 [hash]:   Aggregate (final)
      Exchange hash (k)          ->                          RemoteSource 0
        Aggregate (partial)           fragment 0 [source] -> hash(k): Aggregate (partial)
          Scan t                                                        Scan t

How many tasks a fragment has follows from what is in it: a scan of a coordinator-placed connector, or an exchange
to the coordinator, puts it there; scans divide their splits among workers; hash and round-robin inputs have one
task for each partition; what only gathers or only makes constants is one task.
"""

from __future__ import annotations

from dataclasses import replace

from shoal.catalog.connector import ConnectorLookup
from shoal.catalog.errors import InternalError
from shoal.exec.plan.fragment import Fragment
from shoal.exec.plan.nodes import (
    Exchange,
    PlanNode,
    Project,
    RemoteSource,
    Scan,
    SharedRows,
    TableWrite,
    With,
    walk_plan,
)


def fragment(plan: PlanNode, catalogs: ConnectorLookup) -> tuple[Fragment, ...]:
    """Fragments so that inputs come before consumers, the root last with output gather."""
    cutter = _Cutter(catalogs)
    cutter.cut(plan, "gather", ())
    return tuple(replace(made, readers=cutter.readers[made.id]) if made.id in cutter.readers else made
                 for made in cutter.fragments)


class _Cutter:
    def __init__(self, catalogs: ConnectorLookup) -> None:
        self.catalogs = catalogs
        self.fragments: list[Fragment] = []
        self.scans = 0
        self.shared: dict[int, int] = {}
        """The fragment of each of With's numbers."""
        self.readers: dict[int, int] = {}
        """How many read each of these fragments."""

    def cut(self, root: PlanNode, output_kind: str, output_keys: tuple[int, ...]) -> int:
        part = _Part()
        root = self.rebuild(root, part)
        made = Fragment(len(self.fragments), root, part.partitioning(), output_kind,  # type: ignore[arg-type]
                        output_keys, tuple(part.inputs))
        self.fragments.append(made)
        return made.id

    def rebuild(self, node: PlanNode, part: _Part) -> PlanNode:
        if isinstance(node, Exchange):
            number = self.cut(node.input, node.kind, tuple(ref.id for ref in node.keys))
            part.inputs.append(number)
            part.kinds.add("coordinator" if node.to_coordinator else node.kind)
            return RemoteSource(number, node.input.output, node.ordering)
        if isinstance(node, With):
            for number, definition in zip(node.numbers, node.inputs[:-1], strict=True):
                if number in _read(node):
                    self.shared[number] = made = self.cut(definition, "shared", ())
                    self.readers[made] = 0
            return self.rebuild(node.inputs[-1], part)
        if isinstance(node, SharedRows):
            return self.shared_rows(node, part)
        if isinstance(node, Scan):
            placement = self.catalogs.connector(node.handle.catalog).placement
            part.kinds.add("coordinator" if placement == "coordinator" else "scan")
            self.scans += 1
            return replace(node, scan_id=self.scans)
        if isinstance(node, TableWrite):
            part.kinds.add("coordinator")
        children = node.children()
        if not children:
            return node
        rebuilt = tuple([self.rebuild(child, part) for child in children])
        return node.with_children(rebuilt) if any(a is not b for a, b in zip(rebuilt, children, strict=True)) else node


    def shared_rows(self, node: SharedRows, part: _Part) -> PlanNode:
        source = self.fragments[self.shared[node.number]]
        if source.id not in part.inputs:
            part.inputs.append(source.id)
        part.kinds.add("coordinator" if node.to_coordinator else
                       "round_robin" if source.partitioning in ("source", "hash") else "gather")
        reader = self.readers[source.id]
        self.readers[source.id] += 1
        by_id = dict(zip(node.columns, node.fields, strict=True))
        sent = source.root.output
        made = RemoteSource(source.id, tuple(by_id.get(f.id, f) for f in sent), (), reader)
        return made if made.fields == node.fields else Project(made, tuple((f, f.ref()) for f in node.fields))


def _read(plan: With) -> set[int]:
    """The numbers whose rows are wanted, directly or for others that are."""
    found = {node.number for node in walk_plan(plan.inputs[-1]) if isinstance(node, SharedRows)}
    for number, definition in reversed(list(zip(plan.numbers, plan.inputs[:-1], strict=True))):
        if number in found:
            found |= {node.number for node in walk_plan(definition) if isinstance(node, SharedRows)}
    return found


class _Part:
    """What one fragment holds so far."""

    def __init__(self) -> None:
        self.inputs: list[int] = []
        self.kinds: set[str] = set()

    def partitioning(self) -> str:
        kinds = self.kinds
        if "coordinator" in kinds:
            if kinds & {"scan", "hash", "round_robin"}:
                raise InternalError("a fragment mixes work for the coordinator and for the workers")
            return "coordinator"
        if "scan" in kinds:
            if "gather" in kinds:
                raise InternalError("a fragment mixes divided scans and gathered rows")
            return "source"
        if kinds & {"hash", "round_robin"}:
            return "hash"
        return "single" if kinds else "coordinator"

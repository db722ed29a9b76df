"""EXPLAIN and EXPLAIN ANALYZE: from a planned (and run) query to the one text column the client reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from shoal.exec.plan.explain import OperatorSummary, TaskMetrics, explain_json, explain_text
from shoal.exec.planning import PlannedQuery
from shoal.exec.worker.task import TaskReport

if TYPE_CHECKING:
    from shoal.catalog.registry import Catalogs
    from shoal.exec.sql.bound import Explain


def explained(command: Explain, planned: PlannedQuery, catalogs: Catalogs) -> list[list[pa.Array]]:
    """The plan; with VERBOSE also after each rule that changed it."""
    if command.format == "json":
        return _text([json.dumps(explain_json(planned.fragments, None, catalogs), indent=2)])
    lines = explain_text(planned.fragments, None, catalogs)
    for rule, plan in planned.trace:
        lines += ["", f"After {rule}:", *("  " + line for line in explain_text(plan, None, catalogs))]
    return _text(lines)


def analyzed(command: Explain, planned: PlannedQuery, reports: Sequence[TaskReport], catalogs: Catalogs, bind_s: float,
             elapsed_s: float) -> list[list[pa.Array]]:
    """The plan with what each task did, and where the time went."""
    metrics = [_metrics(report) for report in sorted(reports, key=lambda r: (r.task.fragment_id, r.task.partition))]
    planning_ms = (bind_s + planned.optimize_s) * 1000
    running_ms = (elapsed_s - planned.optimize_s) * 1000
    if command.format == "json":
        document = {"Fragments": explain_json(planned.fragments, metrics, catalogs), "Planning Time": round(planning_ms, 3),
                    "Split Time": round(planned.split_s * 1000, 3), "Execution Time": round(running_ms, 3)}
        return _text([json.dumps([document], indent=2)])
    lines = explain_text(planned.fragments, metrics, catalogs)
    if command.summary:
        optimizing_ms = planned.optimize_s * 1000
        lines += [f"Planning Time: {planning_ms:.3f} ms (binding {bind_s * 1000:.3f}, optimizing {optimizing_ms:.3f})",
                  f"Execution Time: {running_ms:.3f} ms (listing splits {planned.split_s * 1000:.3f})"]
    return _text(lines)


def _metrics(report: TaskReport) -> TaskMetrics:
    operators = tuple(OperatorSummary(node.rows, node.batches, node.bytes, node.seconds, node.peak_bytes,
                                      node.spilled_bytes, node.details) for node in report.nodes)
    return TaskMetrics(report.task.fragment_id, report.task.partition, report.worker, report.cpu_s, report.rows,
                       report.bytes, operators)


def _text(lines: Sequence[str]) -> list[list[pa.Array]]:
    return [[pa.array(lines, pa.string())]]

"""A task's states and its report."""

from __future__ import annotations

import pytest

from shoal.catalog.errors import DivisionByZero, ProtocolViolation
from shoal.exec.operators.base import OperatorMetrics
from shoal.exec.plan.fragment import TaskId
from shoal.exec.worker.task import FINAL, TRANSITIONS, TaskLife, TaskReport


def test_a_life() -> None:
    life = TaskLife()
    for event, state in (("start", "running"), ("block", "blocked"), ("wake", "running"), ("wake", "running"),
                         ("finish", "finished")):
        assert life.on(event) and life.state == state  # type: ignore[arg-type]
    assert life.final and not life.on("fail") and not life.on("cancel") and life.state == "finished"


def test_every_state_can_fail_and_be_canceled() -> None:
    for state in ("queued", "running", "blocked"):
        assert TRANSITIONS[state, "fail"] == "failed" and TRANSITIONS[state, "cancel"] == "canceled"  # type: ignore[index]
    assert not any(state in FINAL for state, _ in TRANSITIONS)


def test_impossible_transitions_are_bugs() -> None:
    with pytest.raises(AssertionError):
        TaskLife().on("finish")


def test_reports_travel() -> None:
    error = DivisionByZero("division by zero", detail="here")
    report = TaskReport(TaskId("q", 3, 1, 2), "failed", error, 5, 600, 7, 800, 0.5, 1.5, 900,
                        [OperatorMetrics("Scan", rows=5, details={"splits": 2})])
    back = TaskReport.from_fields(report.to_fields())
    assert back.error is not None and back.error.to_fields() == error.to_fields() and type(back.error) is DivisionByZero
    back.error = error
    assert back == report
    with pytest.raises(ProtocolViolation):
        TaskReport.from_fields({"task": ["q", 1]})

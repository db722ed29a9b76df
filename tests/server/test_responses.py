"""Whatever goes wrong, a client gets a SQLSTATE and never a traceback; what is our fault is logged with one."""

from __future__ import annotations

import logging

import pytest

from shoal.catalog.errors import DivisionByZero, InternalError, OutOfMemory, SqlError, StatementTooComplex, UniqueViolation
from shoal.server.responses import as_sql_error, error_response, wants


def test_unexpected_errors_are_logged_and_hidden(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        try:
            raise KeyError("the secret plan")
        except KeyError as error:
            fields = error_response(as_sql_error(error)).fields
    assert fields["C"] == "XX000" and "secret" not in str(fields)
    assert "the secret plan" in caplog.text and "Traceback" in caplog.text


def test_known_errors_keep_their_class() -> None:
    division = DivisionByZero("division by zero", hint="h", detail="d", position=3)
    assert as_sql_error(ExceptionGroup("many", [ValueError("x"), ExceptionGroup("inner", [division])])) is division
    assert isinstance(as_sql_error(MemoryError()), OutOfMemory)
    assert isinstance(as_sql_error(RecursionError()), StatementTooComplex)
    assert error_response(division, shift=4).fields == {
        "S": "ERROR", "V": "ERROR", "C": "22012", "M": "division by zero", "D": "d", "H": "h", "P": "7"}


def test_internal_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        as_sql_error(InternalError("broken"))
    assert "broken" in caplog.text


@pytest.mark.parametrize(("severity", "threshold", "sent"), [("NOTICE", "notice", True), ("NOTICE", "warning", False),
                                                             ("WARNING", "warning", True), ("INFO", "error", True),
                                                             ("WARNING", "panic", False)])
def test_client_min_messages(severity: str, threshold: str, sent: bool) -> None:
    assert wants(severity, threshold) is sent


def test_errors_name_what_they_are_about() -> None:
    error = UniqueViolation("x", detail="d").about(schema="s", table="t", constraint="c")
    for same in (error, SqlError.from_fields(error.to_fields())):
        assert error_response(same).fields == {
            "S": "ERROR", "V": "ERROR", "C": "23505", "M": "x", "D": "d", "s": "s", "t": "t", "n": "c"}

"""Every statement that fifteen clients sent, on PostgreSQL and on Shoal: no difference but those that are known."""

from __future__ import annotations

import pytest

from conformance.clients import statements
from tests import postgres_server

KNOWN: dict[str, set[int]] = {}
"""Statements (by their number in the client's list) that are not answered alike yet."""


@pytest.mark.skipif(not statements.STATEMENTS.exists(), reason="the corpora (SHOAL_CORPORA) are not here")
@pytest.mark.skipif(postgres_server.find_binaries() is None, reason="no PostgreSQL binaries on this machine")
def test_statements() -> None:
    new = []
    for report in statements.run():
        for text in report.differences:
            if int(text[1:].split()[0]) not in KNOWN.get(report.client, ()):
                new.append(f"{report.client} {text}")
    assert not new, "\n" + "\n".join(new)


def test_differences_are_seen() -> None:
    def answer(rows: tuple[tuple[str | None, ...], ...], type_oid: int = 25) -> statements.Answer:
        return statements.Answer(results=(((("a", type_oid),), rows),))

    assert statements.difference(answer((("x",), ("y",))), answer((("y",), ("x",)))) == ""
    assert "missing" in statements.difference(answer((("x",),)), answer((("y",),)))
    assert "columns" in statements.difference(answer(()), answer((), 23))
    assert statements.difference(answer((("16400",),), 26), answer((("99999",),), 26)) == ""  # each draws its own
    assert statements.difference(answer((("23",),), 26), answer((("25",),), 26))
    assert statements.difference(statements.Answer("42P01", "no"), statements.Answer("42P01", "else")) == ""
    assert statements.difference(statements.Answer("42P01", "no"), answer(()))

"""Runs of constants mean what their nodes mean: the same syntax trees, plans' rows, errors and places."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.catalog.errors import SqlError
from shoal.exec.sql import lexer
from shoal.exec.sql import syntax as s
from shoal.exec.sql.constants import LEAST_TEXT, ConstantList, ConstantRows, list_end, rows_end
from shoal.exec.sql.lexer import split_statements, tokenize
from shoal.exec.sql.parse import parse

COUNT = LEAST_TEXT
ITEMS = ["1", "-2", "3.5", "-4.25", "'x'", "'it''s'", "NULL", "true", "False", "99999999999999999999", "' '"]


def _tree(sql: str) -> Any:
    return parse(sql).tree


def _list_of(tree: Any) -> Any:
    return tree.args["where"].this.items


def _slowly(sql: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(lexer, "LEAST_TEXT", 1 << 60)
        return _tree(sql)


@pytest.mark.parametrize("separator", [",", " ,\n\t"])
def test_a_list_is_one_token_and_the_same_nodes(separator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = f"SELECT a FROM t WHERE a NOT IN ( {separator.join(ITEMS * (COUNT // 10))} ) AND b"
    assert len(tokenize(sql)) < 20
    fast, slow = (tree.args["where"].this.args[0].items for tree in (_tree(sql), _slowly(sql, monkeypatch)))
    assert isinstance(fast, ConstantList) and list(fast) == slow
    assert len(fast) == len(slow) and fast[0] == slow[0] and fast[-1] == slow[-1] and fast[3:5] == slow[3:5]


def test_an_array_is_one_token_and_the_same_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    sql = f"SELECT ARRAY[{','.join(map(str, range(COUNT)))}]"
    fast, slow = (tree.expressions[0].arg for tree in (_tree(sql), _slowly(sql, monkeypatch)))
    assert isinstance(fast.items, ConstantList) and s.Array(fast.pos, list(fast.items)) == slow


@pytest.mark.parametrize("rows", [["(1, 'a', NULL)", "( -2.5 , 'b''' ,true)"], ["(1)"], [f"({','.join('1' * 50)})"]])
def test_rows_are_one_token_and_the_same_nodes(rows: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    sql = f"VALUES {', '.join(rows * COUNT)} ORDER BY 1"
    assert len(tokenize(sql)) < 10
    fast, slow = (tree.expressions for tree in (_tree(sql), _slowly(sql, monkeypatch)))
    assert isinstance(fast, ConstantRows) and list(fast) == slow and len(fast) == len(slow) and fast[1] == slow[1]


def test_rows_that_go_on_otherwise_are_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for more in ("(1, 1 + 1)", "(1, 2, 3)", "(1, f('x'))"):
        sql = f"VALUES {', '.join(['(1, 2)'] * COUNT)}, {more}, (3, 4)"
        fast, slow = (tree.expressions for tree in (_tree(sql), _slowly(sql, monkeypatch)))
        assert fast == slow and isinstance(fast, list)


@pytest.mark.parametrize("item", ["1+1", "a", "1 /* c */", "E'x'", "'a'\n'b'", "1e5", "1.", ".5", "$1", "(1)", "1::int",
                                  "x'1'", "date '2020-01-01'", "nullif(1, 2)", "true.x", "-a", "- -1", "1a"])
def test_other_items_are_left_to_the_grammar(item: str) -> None:
    filler = ", ".join(["1"] * COUNT)
    for text in (f"{item}, {filler})", f"{filler}, {item})"):
        assert list_end(text, 0) == -1
    assert rows_end(", ".join([f"({item})"] * COUNT), 0) == -1


@pytest.mark.parametrize("sql", [
    "SELECT a IN (" + "1," * COUNT + ")", "SELECT a IN (" + "1," * COUNT + "1", "SELECT a IN (" + "1," * COUNT + "1]",
    "SELECT a IN (" + "1," * COUNT + "1 2)", "SELECT a IN (" + "1," * COUNT + "'x", "VALUES " + "(1)," * COUNT,
    "VALUES " + "(1)," * COUNT + "(2", "VALUES " + "(1) " + ",(1)" * COUNT + " (2)",
    "INSERT INTO t VALUES " + "(1)," * COUNT + "2",
    "SELECT values (1)" + ",(1)" * COUNT, "SELECT ARRAY[" + "1," * COUNT + "1)", "SELECT f(in (" + "1," * COUNT + "1))"])
def test_mistakes_are_reported_as_ever(sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SqlError) as fast:
        _tree(sql)
    with pytest.raises(SqlError) as slow:
        _slowly(sql, monkeypatch)
    assert (fast.value.sqlstate, str(fast.value), fast.value.position) == (
        slow.value.sqlstate, str(slow.value), slow.value.position)


def test_a_long_statement_is_split_as_a_short_one() -> None:
    long = f"SELECT 1 IN ({','.join(map(str, range(COUNT)))})"
    assert split_statements(f" {long} ; SELECT ';' ;; {long}") == [(long, 1), ("SELECT ';'", len(long) + 4),
                                                                   (long, len(long) + 18)]
    assert split_statements(f"{long};\n") == [(long, 0)] == split_statements(f"{long}  ")


def test_a_long_run_of_operator_characters_is_read_once() -> None:
    assert [token.text for token in tokenize("1 " + "+" * 50_000 + " 1")][1:-1] == ["+"] * 50_000
    for text in ("@" * 100, "+" * 100 + "@", "<" * 100):
        with pytest.raises(SqlError, match="operator too long") as error:
            tokenize(f"1 {text} 1")
        assert (error.value.sqlstate, error.value.position) == ("42601", 3)
    assert [token.text for token in tokenize("1 <-- 2\n 3")] == ["1", "<", "3"]

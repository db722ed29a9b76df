"""The differential fuzzer: statements that once gave wrong answers, and some more of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance import fuzz_queries
from conformance.fuzz_grammar import Generator
from conformance.slt import Answer
from tests.postgres_server import PostgresServer

SEEDS = range(1, 101)


@pytest.fixture(scope="module")
def engines(postgres_server: PostgresServer) -> Iterator[fuzz_queries.Fuzzer]:
    postgres_server.run("CREATE DATABASE fuzz")
    with fuzz_queries.fuzzer(postgres_server, 2, "fuzz") as made:
        yield made
    postgres_server.run("DROP DATABASE fuzz")


def test_same_answers(engines: fuzz_queries.Fuzzer) -> None:
    for seed in SEEDS:
        statement, found = engines.run(seed)
        assert not found, f"seed {seed}\n{statement.sql}\n{found}"


def test_a_seed_gives_the_same_statement() -> None:
    assert Generator(5).statement() == Generator(5).statement()
    assert len({Generator(seed).statement().sql for seed in range(50)}) > 40


def test_differences_are_seen() -> None:
    one, two = Answer("", ("int4", "text"), ("1 | a", "2 | b")), Answer("", ("int4", "text"), ("2 | b", "1 | a"))
    assert fuzz_queries.difference(one, two, ordered=False) == ""
    assert "2 rows" in fuzz_queries.difference(one, two, ordered=True)
    assert "only postgres" in fuzz_queries.difference(one, Answer("", ("int4", "text"), ("1 | a",)), ordered=False)
    assert fuzz_queries.difference(Answer("", ("numeric",), ("1.50",)), Answer("", ("numeric",), ("1.5",)), True) == ""
    assert "22P02" in fuzz_queries.difference(Answer("42601"), Answer("22P02"), True)
    assert fuzz_queries.difference(Answer("22012"), one, True) == ""

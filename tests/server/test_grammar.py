"""Query strings are cut where PostgreSQL cuts them, and the session's own statements are recognised in all their forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.corpora import CORPORA
from shoal.catalog.errors import FeatureNotSupported, SqlError, SqlSyntaxError
from shoal.server import grammar, lexer
from shoal.server import statements as s
from shoal.server.lexer import first_word, split

MODES = s.TransactionModes


@pytest.mark.parametrize(("sql", "parts"), [
    ("", []), (" ; ;; ", []), ("-- only a comment", []), ("/* a /* nested */ one */", []), ("select 1", ["select 1"]),
    (" select 1 ; ", ["select 1"]), ("select 1;select 2", ["select 1", "select 2"]),
    ("select ';' ; select \";\"", ["select ';'", 'select ";"']), ("select $$a;b$$; x", ["select $$a;b$$", "x"]),
    ("select $q$ $$;$$ $q$; x", ["select $q$ $$;$$ $q$", "x"]), (r"select E'\';'; x", [r"select E'\';'", "x"]),
    (r"select '\'; x", [r"select '\'", "x"]), ("select 'it''s;'; x", ["select 'it''s;'", "x"]),
    ("select 1 -- ;\n; x", ["select 1", "x"]), ("select (1;2); x", ["select (1;2)", "x"]), ("select $1;", ["select $1"]),
    ("select a$b$c; x", ["select a$b$c", "x"]), ("/* ; */ select 1 /* ; */", ["select 1"]),
])
def test_split(sql: str, parts: list[str]) -> None:
    found = split(sql)
    assert [part.text for part in found] == parts
    assert all(sql[part.offset:].startswith(part.text) for part in found)


@pytest.mark.parametrize("sql", ["select 'a", 'select "a', "select $$a", "/* a", "select 1; select E'\\'"])
def test_unterminated(sql: str) -> None:
    with pytest.raises(SqlSyntaxError, match="unterminated") as caught:
        split(sql)
    assert caught.value.position > 0


CASES: list[tuple[str, Any]] = [
    ("BEGIN", s.Begin(MODES())), ("begin work read only", s.Begin(MODES(read_only=True))),
    ("BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE, NOT DEFERRABLE", s.Begin(MODES("serializable", False, False))),
    ("START TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", s.Begin(MODES("read uncommitted"), "START TRANSACTION")),
    ("COMMIT", s.Commit()), ("END TRANSACTION", s.Commit()), ("COMMIT AND CHAIN", s.Commit(True)),
    ("ABORT", s.Rollback()), ("ROLLBACK WORK AND NO CHAIN", s.Rollback()),
    ('SAVEPOINT "_pg3_1"', s.Savepoint("_pg3_1")), ("RELEASE sp", s.Release("sp")), ("RELEASE SAVEPOINT sp",
                                                                                     s.Release("sp")),
    ("ROLLBACK TO sp", s.RollbackTo("sp")), ("ROLLBACK WORK TO SAVEPOINT Sp", s.RollbackTo("sp")),
    ("SET a = 1", s.SetSetting("a", ("1",))), ("SET SESSION a.b TO 'x'", s.SetSetting("a.b", ("x",))),
    ("SET LOCAL jit = off", s.SetSetting("jit", ("off",), True)), ("SET x TO DEFAULT", s.SetSetting("x", None)),
    ("SET x = -1.5", s.SetSetting("x", ("-1.5",))), ('SET search_path = a, "B c"', s.SetSetting("search_path", ("a",
                                                                                                                "B c"))),
    ("SET TIME ZONE LOCAL", s.SetSetting("timezone", None)), ("SET TIME ZONE -3", s.SetSetting("timezone", ("-3",))),
    ("SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", s.SetSetting("timezone", ("INTERVAL '-08:00'",))),
    ("SET NAMES 'UTF8'", s.SetSetting("client_encoding", ("UTF8",))), ("SET SCHEMA 's'", s.SetSetting("search_path",
                                                                                                      ("s",))),
    ("SET ROLE NONE", s.SetSetting("role", ("none",))), ("SET role = 'x'", s.SetSetting("role", ("x",))),
    ("SET SESSION AUTHORIZATION DEFAULT", s.SetSetting("session_authorization", None)),
    ("SET SESSION session_replication_role TO replica", s.SetSetting("session_replication_role", ("replica",))),
    ("SET TRANSACTION READ ONLY", s.SetTransaction(MODES(read_only=True))),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
     s.SetTransaction(MODES("repeatable read"), True)),
    ("SET CONSTRAINTS ALL DEFERRED", s.Ignored("SET CONSTRAINTS")), ("LOCK TABLE a IN SHARE MODE", s.LockTable(("a",))),
    ("LOCK ONLY s.a, \"B c\" * IN ACCESS EXCLUSIVE MODE NOWAIT", s.LockTable(("s.a", '"B c"'))),
    ("VACUUM", s.Maintenance("VACUUM", ())), ("analyse VERBOSE a", s.Maintenance("ANALYZE", (("a", ()),))),
    ("VACUUM FULL FREEZE VERBOSE ANALYZE s.a (b, \"C\"), d", s.Maintenance("VACUUM", (("s.a", ("b", "C")), ("d", ())))),
    ("VACUUM (PARALLEL 2, ANALYZE, TRUNCATE off) a", s.Maintenance("VACUUM", (("a", ()),))),
    ("RESET ALL", s.Reset(None)), ("RESET TIME ZONE", s.Reset("timezone")), ("SHOW ALL", s.Show("all")),
    ("show transaction isolation level", s.Show("transaction_isolation")), ("SHOW a.b", s.Show("a.b")),
    ("DISCARD TEMPORARY", s.Discard("temp")), ("DISCARD ALL", s.Discard("all")), ("DEALLOCATE ALL", s.Deallocate(None)),
    ("DEALLOCATE PREPARE x", s.Deallocate("x")),
    ("PREPARE p (int, numeric(10,2)) AS SELECT $1", s.Prepare("p", (("int", 12), ("numeric(10,2)", 17)),
                                                               "SELECT $1", 34)),
    ("EXECUTE p", s.ExecutePrepared("p", ())), ("EXECUTE p (1, f(2, 3), 'a,b')", s.ExecutePrepared(
        "p", (("1", 12), ("f(2, 3)", 15), ("'a,b'", 24)))),
    ("EXPLAIN ANALYZE VERBOSE EXECUTE p", s.ExplainExecute("EXPLAIN ANALYZE VERBOSE ", False, s.ExecutePrepared("p", ()))),
    ("EXPLAIN (COSTS OFF, FORMAT JSON) EXECUTE p (1)", s.ExplainExecute(
        "EXPLAIN (COSTS OFF, FORMAT JSON) ", True, s.ExecutePrepared("p", (("1", 45),)))),
    ('DECLARE "SQL_CUR1" CURSOR WITH HOLD FOR SELECT 1', s.DeclareCursor("SQL_CUR1", "SELECT 1", 40, hold=True)),
    ("DECLARE c BINARY INSENSITIVE NO SCROLL CURSOR FOR SELECT 1",
     s.DeclareCursor("c", "SELECT 1", 50, binary=True, scroll=False)),
    ("FETCH c", s.Fetch("c")), ("FETCH next", s.Fetch("next")), ("FETCH NEXT FROM c", s.Fetch("c")),
    ("FETCH 5 c", s.Fetch("c", count=5)), ("FETCH ALL IN c", s.Fetch("c", count=None)), ("FETCH PRIOR c", s.Fetch("c",
                                                                                                                  "backward")),
    ("FETCH LAST c", s.Fetch("c", "absolute", -1)), ("FETCH RELATIVE -2 FROM c", s.Fetch("c", "relative", -2)),
    ("FETCH FORWARD c", s.Fetch("c")), ("FETCH BACKWARD ALL FROM c", s.Fetch("c", "backward", None)),
    ("MOVE FORWARD 10 IN c", s.Fetch("c", count=10, move=True)), ("CLOSE ALL", s.CloseCursor(None)),
    ("CLOSE c", s.CloseCursor("c")), ("LISTEN ch", s.Listen("ch")), ("UNLISTEN *", s.Unlisten(None)),
    ("NOTIFY ch", s.Notify("ch", "")), ("NOTIFY ch, 'it''s'", s.Notify("ch", "it's")),
    ("COPY (SELECT 1) TO STDOUT", s.Copy(True, "SELECT 1", 6, None)),
    ("COPY (SELECT (1)) TO STDOUT (FORMAT binary)", s.Copy(True, "SELECT (1)", 6, None, {"format": "binary"})),
    ("copy t to stdout with binary", s.Copy(True, "SELECT * FROM t", 0, None, {"format": "binary"}, ("t",))),
    ('COPY a."B"(x, "Y") TO STDOUT CSV HEADER DELIMITER AS \';\' FORCE QUOTE *',
     s.Copy(True, 'SELECT x, "Y" FROM a."B"', 0, None, {"format": "csv", "header": True, "delimiter": ";",
                                                        "force_quote": "*"},
            ("a", "B"), ("x", "Y"))),
    ("COPY t FROM STDIN", s.Copy(False, None, 0, None, {}, ("t",))),
    ("-- a comment\nBEGIN", s.Begin(MODES())), ("/* x */ SHOW a", s.Show("a")),
]


@pytest.mark.parametrize(("sql", "statement"), CASES, ids=[c[0][:40] for c in CASES])
def test_statements(sql: str, statement: s.Utility) -> None:
    assert grammar.parse(sql) == statement


@pytest.mark.parametrize("sql", ["SELECT 1", "(SELECT 1)", "WITH a AS (SELECT 1) SELECT 2", "INSERT INTO a VALUES (1)",
                                 "VALUES (1)",
                                 "EXPLAIN SELECT 1", "CREATE TABLE a (b int)", ""])
def test_everything_else_is_the_engines(sql: str) -> None:
    assert grammar.parse(sql) is None


@pytest.mark.parametrize("sql", ["BEGIN nonsense", "SET", "SET a", "SET a b", "SHOW", "FETCH", "CLOSE", "COPY", "COPY t",
                                 "DECLARE c",
                                 "PREPARE p", "EXECUTE p (", "SAVEPOINT", "NOTIFY c, 5", "COPY (SELECT 1) FROM STDIN",
                                 "LISTEN 'a'",
                                 "DISCARD", "ROLLBACK TO", "SET TRANSACTION ISOLATION LEVEL x", "DEALLOCATE", "LISTEN a b"])
def test_mistakes_have_a_position(sql: str) -> None:
    with pytest.raises(SqlSyntaxError, match="syntax error") as caught:
        grammar.parse(sql)
    assert caught.value.position > 0


@pytest.mark.parametrize("sql", ["PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "SET TRANSACTION SNAPSHOT 'x'"])
def test_what_is_not_there_says_so(sql: str) -> None:
    with pytest.raises(FeatureNotSupported):
        grammar.parse(sql)


@pytest.mark.skipif(not (CORPORA / "clients" / "statements.json").exists(), reason="no client corpus")
def test_what_clients_send_is_cut_and_recognised() -> None:
    ours = set()
    for statements in json.loads((CORPORA / "clients" / "statements.json").read_text()).values():
        for sql in statements:
            for part in split(sql):
                try:
                    statement = grammar.parse(part.text)
                except FeatureNotSupported:
                    continue
                except SqlError as error:
                    raise AssertionError(f"{part.text}: {error}") from error
                if statement is not None:
                    ours.add(type(statement))
    assert len(ours) >= 8


@pytest.mark.parametrize("sql, word", [
    ("SELECT 1", "select"), (" ((Values (1)))", "values"), ("-- no\n( /* a /* b */ */ Commit", "commit"), ("", ""),
    ("'commit'", ""), ("/**/'commit'", ""), ("(" * 1_000_000, ""), ("(-1)", "")])
def test_first_word(sql: str, word: str) -> None:
    assert first_word(sql) == word


def test_long_literals_are_cut_at_once() -> None:
    for literal in ("'" + "it''s " * 1_000_000 + "'", "E'" + "\\'" * 1_000_000 + "'", '"' + "x" * 5_000_000 + '"'):
        assert [part.text for part in split(f"SELECT {literal}; SELECT 2;")] == [f"SELECT {literal}", "SELECT 2"]


@pytest.mark.parametrize("sql, statements", [
    ("select 'a;b', \"c;d\", 1-2, 3/4, e.e, $1;", ["select 'a;b', \"c;d\", 1-2, 3/4, e.e, $1"]),
    ("select e'\\';', 2; select 3", ["select e'\\';', 2", "select 3"]),
    ("select date'2024-01-01;'", ["select date'2024-01-01;'"]),
    ("select $a$;$a$; x", ["select $a$;$a$", "x"]), ("a -- ;\n; b", ["a", "b"]), ("a /* ; */; b", ["a", "b"]),
    ("select ';'';' ; ", ["select ';'';'"]), (" ; ", []), ("a;;b", ["a", "b"]), ("select a$1$b", ["select a$1$b"])])
def test_split_with_and_without_the_short_cut(sql: str, statements: list[str]) -> None:
    assert [part.text for part in split(sql)] == statements
    assert all(sql[part.offset:].startswith(part.text) for part in split(sql))


def test_long_names_are_cut_to_63_bytes() -> None:
    text, notices, edits = lexer.shorten(f"select {'a' * 64}, \"{'é' * 40}\", '{'b' * 99}', {'c' * 63} -- {'d' * 80}")
    assert text == f"select {'a' * 63}, \"{'é' * 31}\", '{'b' * 99}', {'c' * 63} -- {'d' * 80}"
    assert [notice.partition(" will be truncated to ")[2] for notice in notices] == [f'"{"a" * 63}"', f'"{"é" * 31}"']
    assert [(text[at], longer) for at, longer in edits] == [("a", 1), ('"', 9)]
    assert lexer.shorten("select 1") == ("select 1", (), ())


@pytest.mark.parametrize("sql, conforming", [
    (r"select 'a\b', 'c'", r"select E'a\b', 'c'"), (r"select E'a\b'", r"select E'a\b'"), (r"x('\'', 1)", r"x(E'\'', 1)"),
    (r"""select "a\b", $$'\'$$, b'\' -- '\'""", r"""select "a\b", $$'\'$$, b'\' -- '\'"""),
    (r"select n'\n' /* '\' */ || '\\'", r"select nchar E'\n' /* '\' */ || E'\\'")])
def test_constants_with_backslashes_become_escaped_ones(sql: str, conforming: str) -> None:
    text, edits = lexer.conforming(sql)
    assert text == conforming
    for at, character in enumerate(sql):  # every character that was there stands where the edits say
        if character not in "nchar E":
            assert at in {lexer.unedited(found, edits) for found, same in enumerate(text) if same == character}

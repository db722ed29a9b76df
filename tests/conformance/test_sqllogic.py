"""A sample of SQLite's sqllogictest on PostgreSQL and on Shoal, where the corpus is; and the judge's own rules."""

from __future__ import annotations

import pytest

from conformance.server import Server
from conformance.slt import Answer, ScriptError
from conformance.sqllogic import SCRIPTS, Outcome, Tally, difference, run, shoal_arguments, shortfall
from conformance.sqllogic_script import Record, digest, is_expected, records, written
from tests.postgres_server import PostgresServer

SAMPLE = ("select1", "select2", "random_expr_slt_good_7", "random_aggregates_slt_good_33", "random_groupby_slt_good_6",
          "random_select_slt_good_63", "index_orderby_10_slt_good_6", "evidence_in1", "evidence_slt_lang_update",
          "evidence_slt_lang_aggfunc", "evidence_slt_lang_createview")
SHARE, SEED = 0.005, 1


@pytest.mark.skipif(not SCRIPTS.is_dir(), reason="the sqllogictest corpus is not here: set SHOAL_CORPORA")
def test_sample(postgres_server: PostgresServer) -> None:
    total = Tally()
    with Server(shoal_arguments()) as shoal:
        for _, tally, _ in run([SCRIPTS / f"{name}.test" for name in SAMPLE], postgres_server, shoal, SHARE, SEED):
            total.add(tally)
    assert not total.wrong, "\n".join(total.wrong)
    assert total.applicable > 400


SCRIPT = """
# a comment
hash-threshold 8

onlyif mysql # elsewhere
query I rowsort
SELECT 1 DIV 2
----
0

skipif mysql
query ITR rowsort label-1
SELECT 2, '', 1.5 UNION
SELECT 10, 'é', NULL
----
10
@
NULL
2
(empty)
1.500

statement error
SELECT

onlyif postgresql
halt

statement ok
never seen
"""


def test_records_of_a_script() -> None:
    query, statement = records(SCRIPT)
    assert query == Record(11, "query", "SELECT 2, '', 1.5 UNION\nSELECT 10, 'é', NULL", False, "ITR", "rowsort", "label-1",
                           ("10", "@", "NULL", "2", "(empty)", "1.500"))
    assert statement == Record(23, "statement", "SELECT", True)
    assert [record.sql for record in records(SCRIPT, database="sqlite")][-1] == "never seen"


@pytest.mark.parametrize("text", ["query\nSELECT 1", "statement maybe\nSELECT 1", "query I somehow\nSELECT 1",
                                  "skipif mysql", "statement ok"])
def test_bad_scripts_are_refused(text: str) -> None:
    with pytest.raises(ScriptError):
        list(records(text))


def test_values_are_written_by_type_and_sorted() -> None:
    rows = [["2", "", "1.5"], ["10", "é", None]]
    (query, _) = records(SCRIPT)
    assert written(query, rows) == ["10", "@", "NULL", "2", "(empty)", "1.500"]
    nosort = Record(1, "query", "", types="ITR")
    assert written(nosort, rows) == ["2", "(empty)", "1.500", "10", "@", "NULL"]
    assert written(Record(1, "query", "", types="III", sort="valuesort"), [["t", "-3.9", "x"]]) == ["-3", "0", "1"]
    with pytest.raises(ValueError, match="3 columns"):
        written(Record(1, "query", "", types="II"), rows)


def test_many_values_are_expected_by_their_hash() -> None:
    values = [str(number) for number in range(20)]
    record = Record(1, "query", "", types="I", expected=(f"20 values hashing to {digest(values)}",))
    assert is_expected(record, values)
    assert not is_expected(record, values[:-1]) and not is_expected(record, [*values[:-1], "20"])


def test_shortfalls_and_differences_are_seen() -> None:
    query = Record(1, "query", "SELECT 1", types="I", expected=("1",))
    right, wrong = Outcome(None, (23,), [["1"]]), Outcome(None, (23,), [["2"]])
    failed = Outcome(Answer("42P01", fields={"message": 'relation "t12" does not exist'}))
    assert shortfall(query, right) == "" and "int4" in shortfall(query, wrong)
    assert shortfall(query, failed) == "error 42P01: relation ... does not exist"
    assert "columns" in shortfall(query, Outcome(None, (23, 23), [["1", "1"]]))
    failing = Record(1, "statement", "SELECT", True)
    assert shortfall(failing, failed) == "" and "no error" in shortfall(failing, right)
    assert difference(query, right, right) == "" and "int8" in difference(query, right, Outcome(None, (20,), [["1"]]))
    assert "differ" in difference(query, right, wrong) and "42P01" in difference(query, right, failed)

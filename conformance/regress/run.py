"""Runs regression scripts on PostgreSQL and Shoal and compares every SELECT that PostgreSQL accepts.

An answer is identical when the columns have the same names and types and the rows the same text: in order where the
query orders its rows (rows with equal sort keys in any order: `order`), else as multisets. What differs is counted by
cause. Statements that PostgreSQL itself answers otherwise when asked again or by another plan, or that concern what the
project declares out of scope, are listed apart (`OUTSIDE`). Tables are compared before each query that reads them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conformance.corpora import CORPORA
from conformance.regress.order import equal_but_for_ties, is_ordered
from conformance.regress.psql import Script, Statement
from conformance.regress.sides import Answer, Pair, Side

FOLDER = CORPORA / "pg_regress"
SET_UP = "test_setup"
OUTSIDE: tuple[tuple[str, str], ...] = (
    (r"\b(point|box|lseg|path|polygon|circle|line)\b['(]|::\s*(point|box|lseg|path|polygon|circle)\b|\b(point|box|path|lseg|"
     r"polygon|circle)_tbl\b|\bpoint\s*\(|<->", "geometric types"),
    (r"\bmoney\b|\bcash_", "money"), (r"::\s*xml\b|\bxml(element|forest|agg|concat|parse|attributes)\b", "XML"),
    (r"to_ts(vector|query)\b|::\s*ts(vector|query)\b|@@@|plainto_tsquery|\bts_", "full-text search"),
    (r"\blo_\w+\(|large_object", "large objects"),
    (r"\bxmin\b|\bcmin\b|txid_|pg_current_xact|pg_snapshot|pg_ls_|pg_read_|pg_stat_file|pg_walfile"
     r"|pg_log_backend|pg_size_pretty\(pg_|pg_control_|pg_current_wal|pg_replication|pg_column_compression|amvalidate"
     r"|reltoastrelid|pg_tablespace_databases|pg_current_logfile", "PostgreSQL's own storage and server administration"),
    (r"\bpg_lsn\b|pg_split_walfile_name", "the write-ahead log"),
    (r"\bpg_stat(s|istic)\b", "statistics of PostgreSQL's planner"))
"""(pattern in the statement, what the project declares out of scope)."""

VARYING: tuple[tuple[str, str], ...] = (
    (r"\bpg_backend_pid\b|\bversion\(\)|\binet_(server|client)_|pg_postmaster_start_time|pg_conf_load_time|pg_my_temp_schema"
     r"|'now'|\b(now|clock_timestamp|statement_timestamp)\s*\(\)|\bcurrent_timestamp\b|\blocaltimestamp\b",
     "what differs between any two servers: numbers of processes, ports, the moment"),)
"""(pattern in the statement, why other rows of the same names and types may be right)."""

MADE_OUTSIDE: tuple[tuple[str, str, str], ...] = (
    (r"(?is)create\s+(?:or\s+replace\s+)?(?:function|procedure)\s+(?:\w+\.)?(\w+)\s*\(.*\blanguage\s+'?(?:plpgsql|c|internal)\b",
     r"\b{}\s*\(", "functions in PL/pgSQL and C"),
    (r"(?is)create\s+(?:or\s+replace\s+)?aggregate\s+(?:\w+\.)?(\w+)", r"\b{}\s*\(", "aggregates of one's own"),
    (r"(?is)create\s+operator\s+(?:\w+\.)?([^\s(]+)\s*\(", "{}", "operators of one's own"),
    (r"(?is)create\s+rule\s+\w+\s+as\s+on\s+\w+\s+to\s+(\w+)", r"\b{}\b", "rules"))
"""(statement that makes something by the name in its first group, use of it, what the project declares out of scope)."""
IN_IS_EQUAL = r"=|\bin\s*\("
"""What uses an operator `=`."""
REORDERED = "another order of rows"
OTHER_VALUES = ("other rows", "another number of rows", REORDERED)


@dataclass
class Report:
    """What came of one script."""

    name: str
    accepted: int = 0
    identical: int = 0
    outside: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[Statement, str, str]] = field(default_factory=list)
    """(statement, cause, detail)."""
    refused: int = 0
    """Queries that PostgreSQL refuses, and of them those that Shoal refuses with the same SQLSTATE, and with the same
    position too."""
    refused_alike: int = 0
    placed_alike: int = 0
    unlike: list[tuple[Statement, str, str]] = field(default_factory=list)
    """(statement, cause, detail) of the others."""
    set_up_failed: list[tuple[Statement, str]] = field(default_factory=list)
    foreign: dict[str, str] = field(default_factory=dict)
    """Patterns of the use of what the script makes in ways that are out of scope, with the reason (`MADE_OUTSIDE`)."""
    ties: int = 0
    """Of the identical: rows with equal sort keys stood in another order."""
    unequal: dict[str, str] = field(default_factory=dict)
    """Tables that could not be made equal, with what differs."""
    retyped: dict[str, str] = field(default_factory=dict)
    """Tables whose columns have types that Shoal has not, with what they are there."""
    copied: set[str] = field(default_factory=set)
    """Tables that were made equal by copying PostgreSQL's rows."""
    accepted_alone: list[tuple[Statement, str]] = field(default_factory=list)
    """Set-up statements that only Shoal accepts, with PostgreSQL's refusal."""

    @property
    def compared(self) -> int:
        return self.accepted - sum(self.outside.values())


def scripts() -> list[str]:
    return sorted(path.stem for path in (FOLDER / "sql").glob("*.sql") if path.stem != SET_UP)


def run(name: str, postgres: str, shoal: str) -> Report:
    """Runs one script in two fresh databases, after the script that makes the common tables."""
    pair = Pair(Side(postgres), Side(shoal))
    report = Report(name)
    try:
        for statement in _statements(SET_UP):
            pair.set_up(statement.text, statement.data)
        pair.mirror_all()
        script = _statements(name)
        before: dict[str, str] | None = None
        for statement in script:
            if statement.is_query:
                _query(pair, statement, report, script)
            else:
                expected, got = pair.set_up(statement.text, statement.data)
                if not expected.sqlstate:
                    _note_foreign(statement, got, report)
                if got.sqlstate and not expected.sqlstate:
                    report.set_up_failed.append((statement, f"{got.sqlstate} {got.message}"))
                elif expected.sqlstate and not got.sqlstate:
                    report.accepted_alone.append((statement, f"{expected.sqlstate} {expected.message}"))
                if statement.words[:1] in (["begin"], ["start"]):
                    before = dict(report.foreign)
                elif statement.words[:1] in (["rollback"], ["abort"]) and len(statement.words) == 1 and before is not None:
                    report.foreign = before
        report.unequal, report.retyped = pair.unequal, pair.retyped
        report.copied = pair.copied
    finally:
        pair.postgres.close()
        pair.shoal.close()
    return report


def _note_foreign(statement: Statement, got: Answer, report: Report) -> None:
    """What is made outside the scope, and the views, functions and types that were refused for using it."""
    for pattern, use, reason in MADE_OUTSIDE:
        if found := re.match(pattern, statement.bare):
            name = found[1].lower()
            report.foreign[IN_IS_EQUAL if name == "=" else use.format(re.escape(name))] = reason
            return
    made = re.match(r"(?is)create\s+(?:or\s+replace\s+)?(?:temp\w*\s+)?(?:recursive\s+)?(view|function|table|type)\s+"
                    r"(?:\w+\.)?(\w+)", statement.bare)
    if made and got.sqlstate:
        rest = statement.bare[made.end():]
        reason = _foreign(rest, report)
        if not reason and made[1].lower() == "type" and re.search(r"(?i)\binput\s*=", rest):
            reason = "base types, whose functions are in C"
        if reason:
            use = r"\b{}\s*\(" if made[1].lower() == "function" else r"\b{}\b"
            report.foreign[use.format(re.escape(made[2].lower()))] = reason


def _foreign(text: str, report: Report) -> str:
    return next((reason for use, reason in report.foreign.items() if re.search(use, text, re.IGNORECASE)), "")


class _Statements:
    """A script's statements, COPY from the corpus' files turned into COPY FROM STDIN."""

    def __init__(self, name: str) -> None:
        text = (FOLDER / "sql" / f"{name}.sql").read_text()
        self.script = Script(text, {"PG_ABS_SRCDIR": str(FOLDER), "PG_LIBDIR": "", "PG_DLSUFFIX": ""})

    def __iter__(self) -> Iterator[Statement]:
        for statement in self.script:
            found = re.match(r"(?is)(copy\s+\S+.*?\bfrom\s+)'([^']+)'", statement.text)
            if found and Path(found[2]).exists():
                text = found[1] + "stdin" + statement.text[found.end():]
                statement = Statement(text, statement.line, Path(found[2]).read_text())
            yield statement


def _statements(name: str) -> _Statements:
    return _Statements(name)


def _query(pair: Pair, statement: Statement, report: Report, script: _Statements) -> None:
    unequal = pair.look_after(statement.text)
    expected, got = pair.query(statement.text)
    if statement.into_variables and len(expected.rows) == 1:
        script.script.variables |= {name: str(value or b"", "utf8")
                                    for name, value in zip(expected.columns, expected.rows[0], strict=True)}
    if statement.words[0] == "with" and re.search(r"(?i)\b(insert|update|delete|merge)\b", statement.text):
        pair.changed(re.findall(r"[A-Za-z_]\w*", statement.text.lower()))
    if expected.sqlstate:
        _refused(statement, expected, got, report)
        return
    report.accepted += 1
    cause = difference(statement.text, expected, got)
    if not cause or (cause == REORDERED and equal_but_for_ties(statement.text, expected, got)):
        report.identical += 1
        report.ties += bool(cause)
        return
    outside = next((what for pattern, what in OUTSIDE if re.search(pattern, statement.text, re.IGNORECASE)), "")
    outside = outside or _foreign(statement.text, report)
    if not outside and cause in OTHER_VALUES:
        outside = next((why for pattern, why in VARYING if re.search(pattern, statement.text, re.IGNORECASE)), "")
    if not outside and not re.search(r"(?i)nextval|setval|random", statement.text):
        again = pair.postgres.run(statement.text)
        outside = "PostgreSQL answers it differently each time" if difference(statement.text, expected, again) else ""
        if not outside and not got.sqlstate and _left_open(pair, statement.text, expected, got):
            outside = "the order is left open: by another plan or storage PostgreSQL gives Shoal's answer"
    if unequal:
        cause = f"not the same table: {unequal}"
    if outside:
        report.outside[outside] += 1
    else:
        report.differences.append((statement, cause, detail(expected, got)))


def _refused(statement: Statement, expected: Answer, got: Answer, report: Report) -> None:
    """Compares two refusals of a query, or a refusal with an answer."""
    report.refused += 1
    alike = expected.sqlstate == got.sqlstate
    placed = alike and expected.position == got.position
    report.refused_alike += alike
    report.placed_alike += placed
    if placed:
        return
    cause = f"{expected.sqlstate} <> {got.sqlstate or 'rows'}" if not alike else "another position"
    reason = next((what for pattern, what in OUTSIDE if re.search(pattern, statement.text, re.IGNORECASE)), "")
    if not alike and (reason := reason or _foreign(statement.text, report)):
        cause = f"outside: {reason}"
    answers = f"{expected.sqlstate} {expected.message} at {expected.position} <> {got.sqlstate or 'rows'} {got.message}"
    report.unlike.append((statement, cause, f"{answers} at {got.position}"))


def _left_open(pair: Pair, statement: str, expected: Answer, got: Answer) -> bool:
    """Whether PostgreSQL itself gives Shoal's answer when it plans otherwise or finds its rows in another order."""
    if (expected.columns, expected.types, len(expected.rows)) != (got.columns, got.types, len(got.rows)):
        return False
    return any(not difference(statement, answer, got) for answer in pair.otherwise(statement))


def difference(statement: str, expected: Answer, got: Answer) -> str:
    """"" where the answers are identical, else the cause in a few words."""
    if got.sqlstate:
        return f"{got.sqlstate} {_general(got.message)}"
    if expected.columns != got.columns:
        return "other column names"
    if expected.types != got.types:
        return "other column types"
    if expected.rows == got.rows:
        return ""
    if sorted(map(repr, expected.rows)) != sorted(map(repr, got.rows)):
        return "other rows" if len(expected.rows) == len(got.rows) else "another number of rows"
    return REORDERED if is_ordered(statement) else ""


def _general(message: str) -> str:
    return re.sub(r'"[^"]*"|\d+', "…", message)[:100]


def detail(expected: Answer, got: Answer) -> str:
    """What to look at first."""
    if got.sqlstate:
        return f"{got.sqlstate} {got.message}"
    if expected.columns != got.columns:
        return f"{expected.columns} <> {got.columns}"
    if expected.types != got.types:
        return f"{expected.types} <> {got.types}"
    if len(expected.rows) != len(got.rows):
        return f"{len(expected.rows)} rows <> {len(got.rows)} rows"
    one = sorted(expected.rows, key=repr) if set(expected.rows) != set(got.rows) else expected.rows
    two = sorted(got.rows, key=repr) if set(expected.rows) != set(got.rows) else got.rows
    return next((f"{a} <> {b}" for a, b in zip(one, two, strict=True) if a != b), "")[:400]

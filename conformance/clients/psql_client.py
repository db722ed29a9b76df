"""psql as scripts use it: the backslash commands, variables, output forms, errors, transactions, COPY."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from checking import Check

SETUP = """
DROP VIEW IF EXISTS psql_open_ports;
DROP TABLE IF EXISTS psql_boats;
DROP TABLE IF EXISTS psql_ports;
CREATE TABLE psql_ports
    (id int PRIMARY KEY, name varchar(40) NOT NULL, opened date DEFAULT '2020-01-01', depth numeric(6,2));
CREATE TABLE psql_boats
    (id int PRIMARY KEY, port int REFERENCES psql_ports (id), label text UNIQUE, crew int CHECK (crew > 0));
INSERT INTO psql_ports VALUES (1, 'Killybegs', '1912-05-01', 12.5), (2, 'Peniche', NULL, NULL), (3, '気仙沼', DEFAULT, 9);
COMMENT ON TABLE psql_ports IS 'where boats land';
COMMENT ON COLUMN psql_ports.depth IS 'metres at low tide';
CREATE VIEW psql_open_ports AS SELECT id, name FROM psql_ports WHERE opened IS NOT NULL;
"""
TEARDOWN = "DROP VIEW psql_open_ports; DROP TABLE psql_boats; DROP TABLE psql_ports;"

LISTS = (
    r"\d \d+ \dS \dt \dt+ \dtS+ \di \di+ \dm \ds \ds+ \dv \dv+ \dvS \dE \dn \dn+ \dnS+ \du \du+ \dg \dg+ \l \l+ \db \db+ "
    r"\dA \dA+ \dAc \dAf \dAo \dAp \dC \dC+ \dc \dc+ \dD \dD+ \dd \ddp \det \deu \dew \des \df \dF \dF+ \dFd \dFp \dFt "
    r"\dL \dL+ \dLS \dO \dO+ \do \dp \z \dP \drds \dRp \dRs \dT \dT+ \dx \dx+ \dX \dy \dy+ \dconfig \lo_list \dl"
)
check = Check(subprocess.run(["psql", "--version"], capture_output=True, text=True, check=True).stdout.split()[2])


def run(*arguments: str, script: str = "", code: int = 0) -> str:
    """psql's output of a script, errors included; checks the exit code."""
    done = subprocess.run(
        ["psql", "-X", "-v", "VERBOSITY=default", *arguments],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PAGER": "", "PSQL_HISTORY": "/dev/null"},
    )
    if done.returncode != code:
        check.that(
            f"exit code {code} of psql {' '.join(arguments)} {script[:60]!r}", False, f"{done.returncode} {done.stderr}"
        )
    return done.stdout + done.stderr


def rows(script: str, *arguments: str) -> list[str]:
    return run("-qAt", *arguments, script=script).splitlines()


@check.part("set up")
def set_up() -> None:
    text = run("-q", script=SETUP)
    check.that("set up", "ERROR" not in text, text)


@check.part("describe")
def describe() -> None:
    text = run("-c", r"\d psql_ports")
    check.that(
        r"\d table",
        all(
            re.search(pattern, text)
            for pattern in (
                r'Table "public\.psql_ports"',
                r"id +\| integer +\| +\| not null",
                r"name +\| character varying\(40\) +\| +\| not null",
                r"opened +\| date +\| +\| +\| '2020-01-01'::date",
                r"depth +\| numeric\(6,2\)",
                r'"psql_ports_pkey" PRIMARY KEY, btree \(id\)',
                r'TABLE "psql_boats" CONSTRAINT "psql_boats_port_fkey" FOREIGN KEY \(port\) REFERENCES psql_ports\(id\)',
            )
        ),
        text,
    )
    text = run("-c", r"\d+ psql_ports")
    check.that(r"\d+ table", "metres at low tide" in text and re.search(r"\| extended +\|", text), text)
    text = run("-c", r"\d psql_boats")
    check.that(
        r"\d of constraints",
        all(
            part in text
            for part in (
                '"psql_boats_label_key" UNIQUE CONSTRAINT, btree (label)',
                "CHECK (crew > 0)",
                '"psql_boats_port_fkey" FOREIGN KEY (port) REFERENCES psql_ports(id)',
            )
        ),
        text,
    )
    text = run("-c", r"\dt+ psql_*")
    check.that(r"\dt+ with comments", "where boats land" in text and "(2 rows)" in text, text)
    text = run("-c", r"\d+ psql_open_ports")
    check.that(r"\d+ view", "View definition:" in text and "FROM psql_ports" in text, text)
    text = run("-c", r"\sv psql_open_ports")
    check.that(r"\sv", "CREATE OR REPLACE VIEW public.psql_open_ports AS" in text and "opened IS NOT NULL" in text, text)
    text = run("-c", r"\d psql_ports_pkey")
    check.that(r"\d index", 'primary key, btree, for table "public.psql_ports"' in text, text)
    text = run(
        "-c",
        r"\df pg_catalog.upper",
        "-c",
        r"\df+ pg_catalog.lower",
        "-c",
        r"\da pg_catalog.count",
        "-c",
        r"\do pg_catalog.||",
    )
    check.that(
        r"\df \df+ \da \do",
        "Result data type" in text and "anyrange" in text and "number of input rows" in text and "concatenate" in text,
        text,
    )
    text = run("-c", r"\dT+ numeric", "-c", r"\dT int*")
    check.that(r"\dT", "numeric(precision, decimal)" in text and "integer" in text, text)
    text = run(
        script="CREATE TABLE psql_notes (id serial PRIMARY KEY, note text);\nCREATE INDEX psql_note ON psql_notes (note);\n"
        "\\d psql_notes\n\\ds psql_*\n\\d psql_notes_id_seq\nDROP TABLE psql_notes;\n"
    )
    check.that(
        "serial columns, sequences, indexes",
        "nextval('psql_notes_id_seq'::regclass)" in text
        and '"psql_note" btree (note)' in text
        and re.search(r"psql_notes_id_seq \| sequence", text)
        and "Owned by: public.psql_notes.id" in text,
        text,
    )
    check.that(r"\d of no such table", 'Did not find any relation named "psql_none".' in run("-c", r"\d psql_none", code=1))
    failed = []
    for name in LISTS.split():
        text = run("-v", "ON_ERROR_STOP=1", "-f", "-", script=name + "\n")
        if "ERROR" in text:
            failed.append(f"{name}: {text.strip().splitlines()[0]}")
    check.that(f"{len(LISTS.split())} lists of the \\d family", not failed, failed)


@check.part("variables")
def variables() -> None:
    check.that(r"\gset", rows(r"SELECT 7 AS seven, 'x' AS letter \gset p_" "\nSELECT :p_seven + 1, :'p_letter';") == ["8|x"])
    check.that(
        r"quoted variables",
        rows(
            r"\set t psql_ports"
            "\n"
            r"\set n 'O''Brien'"
            "\n"
            """SELECT count(*), :'n' FROM :"t";"""
        )
        == ["3|O'Brien"],
    )
    check.that(
        r"\if",
        rows("SELECT count(*) > 2 AS big FROM psql_ports \\gset\n\\if :big\n\\echo many\n\\else\n\\echo few\n\\endif\n")
        == ["many"],
    )
    text = run(
        "-qAt",
        script="SELECT * FROM psql_ports \\g /dev/null\n\\echo :ROW_COUNT\nSELECT 1/0;\n"
        "\\echo :SQLSTATE :LAST_ERROR_SQLSTATE\n\\echo :LAST_ERROR_MESSAGE\n",
    )
    check.that("ROW_COUNT, SQLSTATE, LAST_ERROR_*", text.startswith("3\n22012 22012\ndivision by zero\n"), text)
    check.that("SERVER_VERSION_NUM", re.fullmatch(r"15\d{4}", rows(r"\echo :SERVER_VERSION_NUM")[0]))
    check.that(
        r"\gdesc",
        rows(r"SELECT id, name, depth, opened, now(), ARRAY[1] AS a FROM psql_ports \gdesc")
        == [
            "id|integer",
            "name|character varying(40)",
            "depth|numeric(6,2)",
            "opened|date",
            "now|timestamp with time zone",
            "a|integer[]",
        ],
    )
    check.that(r"\gexec", rows(r"SELECT format('SELECT %s * 2;', id) FROM psql_ports ORDER BY id \gexec") == ["2", "4", "6"])
    text = run("-c", "SELECT 1", "-c", r"\conninfo")
    check.that(
        r"\conninfo",
        f'You are connected to database "{os.environ["PGDATABASE"]}" as user "{os.environ["PGUSER"]}"' in text,
        text,
    )
    check.that(
        r"\encoding and \c", rows("\\encoding\n\\c - -\nSELECT current_database();") == ["UTF8", os.environ["PGDATABASE"]]
    )
    check.that(
        "PGOPTIONS and SET",
        rows("SHOW statement_timeout;", "-d", f"dbname={os.environ['PGDATABASE']} options='-c statement_timeout=7s'")
        == ["7s"],
    )


@check.part("output")
def output() -> None:
    query = "SELECT id, name, opened, depth FROM psql_ports ORDER BY id"
    check.that(
        "--csv",
        run("--csv", "-c", query)
        == ("id,name,opened,depth\n1,Killybegs,1912-05-01,12.50\n2,Peniche,,\n3,気仙沼,2020-01-01,9.00\n"),
    )
    check.that(
        r"\gx",
        "-[ RECORD 1 ]------\nid     | 3\nname   | 気仙沼\n"
        in run(script=f"{query.replace('ORDER', 'WHERE id = 3 ORDER')} \\gx\n"),
    )
    check.that(
        "aligned",
        run("-c", query)
        == (
            " id |   name    |   opened   | depth \n----+-----------+------------+-------\n"
            "  1 | Killybegs | 1912-05-01 | 12.50\n"
            "  2 | Peniche   |            |      \n  3 | 気仙沼    | 2020-01-01 |  9.00\n(3 rows)\n\n"
        ),
        run("-c", query),
    )
    check.that(
        r"\pset null and --field-separator-zero",
        run("-qAtz", "-P", "null=NIL", "-c", query + " OFFSET 1 LIMIT 1") == "2\0Peniche\0NIL\0NIL\n",
    )
    check.that(
        "html, latex, asciidoc",
        all(
            part in run("-P", f"format={form}", "-c", "SELECT '<&' AS a")
            for form, part in (("html", "&lt;&amp;"), ("latex", "\\begin{tabular}"), ("asciidoc", "|===="))
        ),
    )
    check.that(
        r"\crosstabview",
        re.search(
            r"x +\| +a +\| +b *\n.*\n +1 +\| +10 +\|",
            run(script=("SELECT x, y, n FROM (VALUES (1, 'a', 10), (2, 'b', 20)) AS t (x, y, n) \\crosstabview\n")),
        ),
    )
    check.that(
        "FETCH_COUNT", rows("SELECT g, g * 2 FROM generate_series(1, 7) AS g;", "-v", "FETCH_COUNT=3")[-1:] == ["7|14"]
    )
    check.that(
        "FETCH_COUNT reports an error",
        "division by zero"
        in run("-v", "FETCH_COUNT=3", script="SELECT 1 / (5 - g) FROM generate_series(1, 7) AS g ORDER BY g;"),
    )
    check.that(
        r"several statements in -c and \;",
        rows("SELECT 1\\; SELECT 2\\; SELECT 3;") == ["1", "2", "3"]
        and run("-qAt", "-c", "SELECT 1; SELECT 2").splitlines() == ["1", "2"],
    )
    check.that(r"\o, \g file and \g |program", rows("\\o /dev/null\nSELECT 1;\n\\o\nSELECT 2 \\g |cat\n") == ["2"])
    check.that(r"\timing", re.search(r"Time: \d+\.\d{3} ms", run(script="\\timing on\nSELECT 1;\n")))
    check.that("EXPLAIN", "QUERY PLAN" in run("-c", "EXPLAIN SELECT * FROM psql_ports"))


@check.part("errors")
def errors() -> None:
    text = run(script="SELECT nothing FROM psql_ports;\n\\errverbose\n")
    check.that(
        r"\errverbose",
        re.search(r'ERROR:  42703: column "nothing" does not exist\nLINE 1: SELECT nothing FROM psql_ports;\n +\^', text),
        text,
    )
    text = run("-v", "ON_ERROR_STOP=1", "-f", "-", script="SELECT 1/0;\nSELECT 'after';\n", code=3)
    check.that("ON_ERROR_STOP", "after" not in text, text)
    text = run("-v", "VERBOSITY=sqlstate", script="SELECT * FROM psql_none;\n")
    check.that("VERBOSITY=sqlstate", "ERROR:  42P01" in text, text)
    text = run(
        "-v",
        "ON_ERROR_ROLLBACK=on",
        script=(
            "BEGIN;\nINSERT INTO psql_ports VALUES (9, 'x');\nSELECT 1/0;\n"
            "SELECT 'still', count(*) FROM psql_ports;\nROLLBACK;\n"
        ),
    )
    check.that("ON_ERROR_ROLLBACK", re.search(r"still +\| +4", text) and "ROLLBACK" in text, text)
    check.that("rolled back", rows("SELECT count(*) FROM psql_ports;") == ["3"])
    text = run(
        "-1", "-v", "ON_ERROR_STOP=1", "-f", "-", script="INSERT INTO psql_ports VALUES (9, 'x');\nSELECT 1/0;\n", code=3
    )
    check.that("--single-transaction undoes", rows("SELECT count(*) FROM psql_ports;") == ["3"], text)
    text = run(
        "-v",
        "AUTOCOMMIT=off",
        script="INSERT INTO psql_ports VALUES (9, 'x');\nROLLBACK;\nSELECT count(*) FROM psql_ports;\n",
    )
    check.that("AUTOCOMMIT off", re.search(r"^ +3$", text, re.M), text)
    text = run(script="BEGIN;\nSELECT 1/0;\nSELECT 1;\nCOMMIT;\n")
    check.that(
        "a failed transaction", "current transaction is aborted" in text and text.rstrip().count("ROLLBACK") == 1, text
    )
    text = run(
        script="INSERT INTO psql_ports VALUES (1, 'again');\nINSERT INTO psql_boats VALUES (1, 77, 'x', 1);\n"
        "INSERT INTO psql_boats VALUES (1, 1, 'x', 0);\nINSERT INTO psql_ports VALUES (8, NULL);\n"
    )
    check.that(
        "constraints",
        all(
            part in text
            for part in (
                'duplicate key value violates unique constraint "psql_ports_pkey"',
                "Key (id)=(1) already exists.",
                'violates foreign key constraint "psql_boats_port_fkey"',
                'violates check constraint "psql_boats_crew_check"',
                'null value in column "name" of relation "psql_ports" violates not-null constraint',
            )
        ),
        text,
    )
    text = run(script="DELETE FROM psql_boats;\nBEGIN;\nSAVEPOINT s;\nROLLBACK TO s;\nCOMMIT;\nSET timezone = 'UTC';\n")
    check.that("tags", text == "DELETE 0\nBEGIN\nSAVEPOINT\nROLLBACK\nCOMMIT\nSET\n", text)


@check.part("copy")
def copy() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("text", ""), ("csv", "WITH (FORMAT csv, HEADER)"), ("binary", "WITH (FORMAT binary)")):
            path = Path(folder) / name
            text = run(
                script=f"\\copy psql_ports TO '{path}' {options}\nCREATE TEMP TABLE psql_copied "
                "(id int, name varchar(40), opened date, depth numeric(6,2));\n"
                f"\\copy psql_copied FROM '{path}' {options}\nSELECT count(*), sum(depth), max(name) FROM psql_copied;\n"
            )
            check.that(
                rf"\copy to and from a file, {name}",
                text.count("COPY 3") == 2 and re.search(r"3 \| 21.50 \| 気仙沼", text),
                text,
            )
    text = run("-qAt", "-c", "COPY (SELECT id, name, depth FROM psql_ports ORDER BY id) TO STDOUT")
    check.that("COPY TO STDOUT", text == "1\tKillybegs\t12.50\n2\tPeniche\t\\N\n3\t気仙沼\t9.00\n", text)
    text = run(
        script="COPY psql_boats (id, label) FROM STDIN;\n1\tone\n2\ttwo\\twords\n\\.\n"
        "SELECT label FROM psql_boats ORDER BY 1 DESC;\n"
    )
    check.that("COPY FROM STDIN inline", text.startswith("COPY 2\n") and "two     words" in text, text)
    text = run(script="COPY psql_boats FROM STDIN (FORMAT csv);\n3,1\n\\.\nSELECT count(*) FROM psql_boats;\n")
    check.that(
        "COPY FROM reports the line",
        'missing data for column "label"' in text
        and 'CONTEXT:  COPY psql_boats, line 1: "3,1"' in text
        and re.search(r"^ +2$", text, re.M),
        text,
    )


@check.part("take down")
def take_down() -> None:
    text = run("-q", script=TEARDOWN)
    check.that("take down leaves nothing", "ERROR" not in text and "Did not find" in run("-c", r"\d psql_*", code=1), text)


check.run()

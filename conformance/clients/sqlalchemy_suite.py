"""SQLAlchemy's own dialect suite (`sqlalchemy.testing.suite`), on the driver that the command line names.

One line for each class of tests; more words of the command line are given to pytest (`-k numeric`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import sqlalchemy
from sqlalchemy_requirements import LEFT_OUT

CONFTEST = """
import pytest
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")
from sqlalchemy.testing.plugin.pytestplugin import *
from sqlalchemy.testing.plugin.pytestplugin import pytest_sessionstart as _start

def pytest_sessionstart(session):
    from sqlalchemy.dialects.postgresql import provision  # adds hooks that make extensions, which the suite has no use for
    from sqlalchemy.testing.provision import post_configure_engine
    post_configure_engine.for_db("postgresql")(lambda url, engine, follower_ident: None)
    _start(session)
"""
PROBLEMS_SHOWN = 4
"""Of one class."""


def main() -> int:
    driver, *more = sys.argv[1:] or ["psycopg"]
    print(f"version: {sqlalchemy.__version__}", flush=True)
    env = os.environ
    url = f"postgresql+{driver}://{env['PGUSER']}:{quote(env['PGPASSWORD'])}@{env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']}"
    Path("conftest.py").write_text(CONFTEST)
    left_out = "".join(f"del {name}\n" for name in LEFT_OUT)
    Path("test_suite.py").write_text(f"from sqlalchemy.testing.suite import *\n{left_out}")
    Path("pytest.ini").write_text("[pytest]\n")
    Path("setup.cfg").write_text(
        "[sqla_testing]\nrequirement_cls = sqlalchemy_requirements:Requirements\nprofile_file = profiles.txt\n"
        f"[db]\ndefault = {url.replace('%', '%%')}\n"
    )
    with sqlalchemy.create_engine(url.replace(f"+{driver}:", "+psycopg:")).begin() as db:
        for name in ("test_schema", "test_schema_2"):  # the suite expects them
            db.execute(sqlalchemy.schema.CreateSchema(name, if_not_exists=True))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "test_suite.py",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:warnings",
            "--tb=short",
            "--junitxml=out.xml",
            "-c",
            "pytest.ini",
            *more,
        ],
        env={**env, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if not Path("out.xml").exists():
        print(done.stdout[-3000:], done.stderr[-3000:])
        return 1
    classes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for case in ElementTree.parse("out.xml").iter("testcase"):
        name = re.sub(r"_postgresql.*", "", case.get("classname", "").split(".")[-1])
        found = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        state = "passed" if found is None else "skipped" if found.tag == "skipped" else "failed"
        text = "" if found is None else " ".join((found.get("message") or "").split())[:260]
        classes[name][state].append(f"{case.get('name')}: {text}")
    totals = {state: sum(len(states[state]) for states in classes.values()) for state in ("passed", "failed", "skipped")}
    for name, states in sorted(classes.items()):
        if states["failed"]:
            problems = " || ".join(states["failed"][:PROBLEMS_SHOWN])
            print(f"failed {name}: {len(states['failed'])} of {len(states['failed']) + len(states['passed'])}: {problems}")
        elif states["passed"]:
            print(f"ok {name}: {len(states['passed'])}")
    print(f"suite on {driver}: {totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if totals["failed"] or not totals["passed"] else 0


sys.exit(main())

"""dbt: a small project of seeds, table, view and incremental models, tests, a snapshot and docs, run twice."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path

import psycopg2
from checking import Check, equal
from dbt.cli.main import dbtRunner

check = Check(f"{version('dbt-core')}, dbt-postgres {version('dbt-postgres')}")
os.environ |= {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
FILES = {
    "dbt_project.yml": """
name: fleet
version: "1.0"
profile: fleet
flags: {send_anonymous_usage_stats: false, use_colors: false}
models: {fleet: {+materialized: view}}
seeds: {fleet: {boats: {+column_types: {built: date, length_m: "numeric(6,2)"}}}}
""",
    "profiles.yml": """
fleet:
  target: dev
  outputs:
    dev: {type: postgres, host: "{{ env_var('PGHOST') }}", port: "{{ env_var('PGPORT') | int }}",
          user: "{{ env_var('PGUSER') }}", password: "{{ env_var('PGPASSWORD') }}", dbname: "{{ env_var('PGDATABASE') }}",
          schema: warehouse, threads: 2}
""",
    "seeds/boats.csv": "id,name,port_id,length_m,built\n"
    + "".join(f"{n},Boat {n},{n % 3},{n}.50,19{n + 50}-02-03\n" for n in range(1, 31)),
    "seeds/ports.csv": "id,name\n0,Bergen\n1,Killybegs\n2,Peniche\n",
    "models/afloat.sql": "select b.id as boat_id, b.name, p.name as port, b.length_m, b.built\n"
    "from {{ ref('boats') }} b join {{ ref('ports') }} p on p.id = b.port_id",
    "models/by_port.sql": "{{ config(materialized='table') }}\n"
    "select port, count(*) as boats, sum(length_m) as metres, max(built) as newest\n"
    "from {{ ref('afloat') }} group by port",
    "models/history.sql": """
{{ config(materialized='incremental', unique_key='boat_id', incremental_strategy='delete+insert') }}
select boat_id, name, length_m, now() as loaded from {{ ref('afloat') }}
{% if is_incremental() %} where boat_id > (select max(boat_id) from {{ this }}) - 5 {% endif %}
""",
    "models/merged.sql": """
{{ config(materialized='incremental') }}
select boat_id, port from {{ ref('afloat') }}
{% if is_incremental() %} where boat_id > (select coalesce(max(boat_id), 0) from {{ this }}) {% endif %}
""",
    "models/indexed.sql": "{{ config(materialized='table', indexes=[{'columns': ['boat_id'], 'unique': true}]) }}\n"
    "select * from {{ ref('afloat') }}",
    "models/schema.yml": """
version: 2
models:
  - name: by_port
    description: "boats, counted"
    config: {persist_docs: {relation: true, columns: true}}
    columns:
      - name: port
        description: "its name"
        data_tests: [unique, not_null, {accepted_values: {values: [Bergen, Killybegs, Peniche]}}]
  - name: afloat
    columns:
      - {name: boat_id, data_tests: [unique, not_null, {relationships: {to: "ref('boats')", field: id}}]}
""",
    "tests/no_short_boats.sql": "select * from {{ ref('afloat') }} where length_m < 1",
    "snapshots/kept.sql": """
{% snapshot kept %}
{{ config(target_schema='warehouse', unique_key='id', strategy='check', check_cols=['name']) }}
select id, name from {{ ref('ports') }}
{% endsnapshot %}
""",
}
runner = dbtRunner()


def dbt(*words: str) -> str:
    """Runs a command in the project; its output. Raises: AssertionError with the errors it names."""
    with redirect_stdout(io.StringIO()) as output:
        done = runner.invoke([*words, "--project-dir", "project", "--profiles-dir", "project"])
    if not done.success:
        nodes = [node for node in getattr(done.result, "results", None) or () if str(node.status) in ("error", "fail")]
        said = [f"{node.node.name}: {node.message}" for node in nodes] or [str(done.exception), output.getvalue()[-500:]]
        raise AssertionError(" / ".join(said))
    return output.getvalue()


def ask(statement: str) -> list[tuple]:
    db = psycopg2.connect("")
    with db.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall()
    db.close()
    return rows


@check.part("debug: the connection test")
def _() -> None:
    assert "All checks passed" in dbt("debug")


@check.part("seed, twice, and in full")
def _() -> None:
    dbt("seed")
    dbt("seed", "--full-refresh")
    equal(ask("SELECT count(*), sum(length_m)::text FROM warehouse.boats"), [(30, "480.00")])


@check.part("run: view, table, incremental, index")
def _() -> None:
    dbt("run")
    equal(
        ask("SELECT port, boats, metres::text FROM warehouse.by_port ORDER BY port"),
        [("Bergen", 10, "170.00"), ("Killybegs", 10, "150.00"), ("Peniche", 10, "160.00")],
    )
    equal(ask("SELECT count(*) FROM warehouse.history"), [(30,)])


@check.part("run again: incremental models add, tables and views are swapped")
def _() -> None:
    dbt("run")
    equal(ask("SELECT count(*), count(DISTINCT loaded) FROM warehouse.history"), [(30, 2)])
    equal(ask("SELECT count(*) FROM warehouse.merged"), [(30,)])
    dbt("run", "--full-refresh", "--select", "history")


@check.part("test: unique, not null, accepted values, relationships, a query of one's own")
def _() -> None:
    assert "PASS=7" in dbt("test")


@check.part("snapshot, twice")
def _() -> None:
    dbt("snapshot")
    dbt("snapshot")
    equal(ask("SELECT count(*) FROM warehouse.kept WHERE dbt_valid_to IS NULL"), [(3,)])


@check.part("docs generate: the catalog with types and comments")
def _() -> None:
    dbt("docs", "generate")
    catalog = json.loads(Path("project/target/catalog.json").read_text())
    node = catalog["nodes"]["model.fleet.by_port"]
    equal((node["metadata"]["type"], node["metadata"]["comment"]), ("BASE TABLE", "boats, counted"))
    equal(
        {name: column["type"] for name, column in node["columns"].items()},
        {"port": "text", "boats": "bigint", "metres": "numeric", "newest": "date"},
    )
    equal(catalog["nodes"]["model.fleet.afloat"]["metadata"]["type"], "VIEW")


@check.part("show, list")
def _() -> None:
    assert "Killybegs" in dbt("show", "--select", "by_port")
    assert "fleet.by_port" in dbt("list")


if __name__ == "__main__":  # dbt starts processes that import this file
    for name, text in FILES.items():
        path = Path("project") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    check.run()

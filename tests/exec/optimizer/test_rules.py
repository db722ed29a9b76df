"""Plan scripts: each case of *.txt names a rule (or `optimize`), gives a plan, and the plan that must come out.

Run with SHOAL_UPDATE_PLANS=1 to write what comes out into the scripts, then read the difference.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shoal.exec.fragmenter import fragment
from shoal.exec.optimizer import RULES, OptimizerContext, Switches, optimize
from shoal.exec.optimizer.columns import passed_on
from shoal.exec.optimizer.validate import check_dynamic_filters, validate
from shoal.exec.plan import serde
from shoal.exec.plan.explain import explain_json, explain_text
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.nodes import PlanNode, Project
from tests.exec.optimizer.plan_script import Script, parse_table

HERE = Path(__file__).parent
BY_NAME = {rule.__name__: rule for rule in RULES}


def split_cases(path: Path) -> list[tuple[str, str, str]]:
    """(header, plan text, expected text) of each case."""
    found = []
    for block in re.split(r"(?m)^# ", path.read_text())[1:]:
        header, _, rest = block.partition("\n")
        before, _, after = rest.partition("----\n")
        found.append((header.strip(), before, after.strip("\n")))
    return found


CASES = [(path, header) for path in sorted(HERE.glob("*.txt")) for header, _, _ in split_cases(path)]


def run(header: str, text: str) -> list[str]:
    rule_names, _, _ = header.partition(":")
    tables = [parse_table(line) for line in text.splitlines() if line.startswith("table ")]
    plan_text = "\n".join(line for line in text.splitlines() if not line.startswith(("table ", "set ")))
    script = Script(tables)
    plan = script.plan(plan_text)
    switches = Switches(validate=True)
    for name, value in re.findall(r"(?m)^set (\w+) (\S+)$", text):
        switches = replace(switches, **{name: switch_value(value)})
    context = OptimizerContext(script.catalogs, TaskSettings(now_us=0), 2, switches=switches)
    validate(plan, "the script")
    if rule_names == "optimize":
        done = optimize(plan, context)
        validate(done, "optimize", logical=False)
        check_dynamic_filters(done)
        fragments = fragment(done, script.catalogs)
        assert serde.loads(serde.dumps(fragments)) == fragments
        assert explain_json(fragments, catalogs=script.catalogs)
        return explain_text(fragments, catalogs=script.catalogs)
    context.start(plan)
    fields = plan.output
    for name in rule_names.split(","):
        plan = BY_NAME[name.strip()](plan, context)
        validate(plan, name)
    done_plan: PlanNode = plan
    if {f.id for f in fields} - {f.id for f in plan.output}:
        done_plan = Project(plan, passed_on(fields))
        validate(done_plan, "a lost column")
    return explain_text(done_plan, catalogs=script.catalogs)


def switch_value(text: str) -> Any:
    return {"on": True, "off": False}.get(text, float(text) if re.fullmatch(r"[\d.]+", text) else text)


@pytest.mark.parametrize(("path", "header"), CASES, ids=[f"{p.stem}-{h}" for p, h in CASES])
def test_plan_script(path: Path, header: str) -> None:
    text, expected = next((before, after) for name, before, after in split_cases(path) if name == header)
    found = run(header, text)
    if os.environ.get("SHOAL_UPDATE_PLANS"):
        whole = path.read_text()
        block = f"# {header}\n{text}----\n"
        start = whole.index(block) + len(block)
        end = whole.find("\n# ", start)
        tail = whole[end:] if end >= 0 else ""
        path.write_text(whole[:start] + "\n".join(found) + "\n" + tail)
        return
    assert found == expected.splitlines()


def test_every_rule_has_a_script() -> None:
    tested = {name.strip() for _, header in CASES for name in header.partition(":")[0].split(",")}
    assert not {rule.__name__ for rule in RULES} - tested

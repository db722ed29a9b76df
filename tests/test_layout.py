"""The layout rules of the project, checked: import direction, purity, package list, file sizes, README links."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {"server": 2, "exec": 1, "catalog": 0}
PURE = ["server/protocol", "exec/coordinator/scheduler.py", "exec/worker/task.py", "exec/exchange/frames.py",
        "exec/exchange/buffer.py"]
IMPURE_MODULES = {"asyncio", "socket", "ssl", "time", "threading", "selectors", "subprocess"}
WORKER_SIDE = ["exec/worker", "exec/operators", "exec/kernels", "exec/functions", "exec/exchange", "exec/encoding",
               "exec/evaluator.py", "exec/batch.py", "exec/plan"]
MOST_LINES = 650


def sources(*roots: str) -> list[Path]:
    found: list[Path] = []
    for root in roots:
        path = ROOT / root
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return found


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(), str(path))
    for node in (tree.body if top_level_only else ast.walk(tree)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(*LAYERS), ids=name)
def test_imports_go_down(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        parts = module.split(".")
        assert parts[0] not in LAYERS, f"{name(path)} imports the bare package {parts[0]}"
        if parts[0] == "shoal" and len(parts) > 1:
            assert LAYERS[parts[1]] <= LAYERS[layer], f"{name(path)} imports upwards: {module}"
        if parts[0] == "sqlglot":
            assert name(path).startswith("exec/sql/"), f"{name(path)} imports sqlglot"


@pytest.mark.parametrize("path", sources(*PURE), ids=name)
def test_pure_modules_do_no_input_output(path: Path) -> None:
    bad = {module for module in imports(path) if module.split(".")[0] in IMPURE_MODULES}
    assert not bad, f"{name(path)} is to be pure but imports {bad}"


@pytest.mark.parametrize("path", sources(*WORKER_SIDE), ids=name)
def test_workers_do_not_import_the_planner(path: Path) -> None:
    planner = ("shoal.exec.sql", "shoal.exec.optimizer", "shoal.exec.coordinator", "shoal.exec.engine", "sqlglot")
    bad = [module for module in imports(path) if module.startswith(planner)]
    assert not bad, f"{name(path)} runs in workers but imports {bad}"


def test_every_folder_with_code_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(project["tool"]["setuptools"]["packages"])
    there = {"shoal." + ".".join(path.parent.relative_to(ROOT).parts) for path in sources(*LAYERS)}
    assert listed == there


def test_every_data_file_is_packaged() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {ROOT.joinpath(*package.split(".")[1:]) for package in setuptools["packages"]}
    patterns = setuptools["package-data"]["*"]
    packaged = {path for package in packages for pattern in patterns for path in package.glob(pattern)}
    there = {path for layer in LAYERS for path in (ROOT / layer).rglob("*")
             if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert there == packaged


@pytest.mark.parametrize("path", sources(*LAYERS, "conformance"), ids=name)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES, f"{name(path)} has grown too long: split it by family"


@pytest.mark.parametrize("path", sources(*LAYERS, "conformance"), ids=name)
def test_no_code_runs_received_data(path: Path) -> None:
    banned = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    assert not {module.split(".")[0] for module in imports(path)} & banned
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec"), f"{name(path)}:{node.lineno} calls {node.func.id}"


@pytest.mark.parametrize("path", [p for p in sources(*LAYERS) if p.read_text().strip()], ids=name)
def test_modules_say_their_job(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name(path)} has no docstring"


def documents() -> list[Path]:
    return [p for p in (ROOT / "README.md", *sorted(ROOT.glob("*/README.md"))) if p.exists()]


@pytest.mark.parametrize("document", documents(), ids=name)
def test_links_resolve(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{name(document)} links to {target}"

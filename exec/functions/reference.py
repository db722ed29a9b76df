"""The manual's page of functions, made from the registry: `python -m shoal.exec.functions.reference` prints it."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.exec.functions.examples import example_of
from shoal.exec.functions.registers import type_sql
from shoal.exec.functions.registry import POLYMORPHIC, Function, all_functions

_TITLES = {"comparison": "Comparison", "logic": "Logic", "conditional": "Conditional expressions",
           "arithmetic": "Arithmetic",
           "math": "Mathematical functions", "string": "Strings", "binary": "Binary strings",
           "bit": "Bit strings", "regex": "Regular expressions",
           "datetime": "Dates, times and intervals", "formatting": "Formatting", "array": "Arrays", "json": "JSON",
           "range": "Ranges and multiranges", "network": "Network addresses",
           "row": "Rows", "conversion": "Conversions", "subquery": "Subqueries", "sequence": "Sequences",
           "hash": "Hash values", "system": "System information", "catalog": "Objects of the catalog and privileges",
           "aggregate": "Aggregates", "window": "Window functions",
           "set": "Set-returning functions"}


_DIALECTS = {"postgres": "PostgreSQL", "sqlite": "SQLite"}


def _type(name: str) -> str:
    return name if name in POLYMORPHIC else type_sql(name)


def signature(function: Function) -> str:
    """The call as SQL has it: `substring(text, integer) → text`, `integer + integer → integer`."""
    types = [_type(name) for name in function.arguments]
    if function.variadic and types:
        types[-1] = f"VARIADIC {types[-1]}"
    if function.symbol:
        call = f"{types[0]} {function.symbol} {types[1]}" if len(types) == 2 else f"{function.symbol} {types[0]}"
    else:
        call = f"{function.name}({', '.join(types)})"
    result = "depends on the arguments" if callable(function.returns) else _type(function.returns.name)
    return f"{call} → {'setof ' if function.kind == 'set' else ''}{result}"


def rows(family: str) -> Iterator[tuple[str, str, str]]:
    """(signatures, description, example) of each function of a family that SQL can name or write as an operator."""
    grouped: dict[tuple[str, str], list[Function]] = {}
    for function in all_functions():
        if function.family == family and (not function.hidden or function.symbol):
            grouped.setdefault((function.name, function.symbol), []).append(function)
    for _, of_name in sorted(grouped.items(), key=lambda item: (not item[0][1], item[0][1], item[0][0])):
        functions = sorted(of_name, key=signature)  # whatever order their modules were loaded in
        doc = next((f.doc for f in functions if f.doc), "")
        notes = [doc] if doc else []
        volatility = {f.volatility for f in functions} - {"immutable"}
        if volatility and functions[0].kind in ("scalar", "set"):
            notes.append("Volatile." if "volatile" in volatility else "Stable.")
        if not functions[0].strict and functions[0].kind == "scalar":
            notes.append("NULL arguments do not make it NULL.")
        dialects = sorted({dialect for f in functions for dialect in f.spelled})
        if dialects:
            some = "" if all(dialect in f.spelled for f in functions for dialect in dialects) else " for some types"
            notes.append(f"Pushed down to {', '.join(map(_DIALECTS.__getitem__, dialects))}{some}.")
        example = next((text for text in map(example_of, functions) if text), "")
        calls = dict.fromkeys(f"`{signature(f)}`" for f in functions)
        yield "<br>".join(calls), " ".join(notes), f"`{example}`" if example else ""


def markdown() -> str:
    """The whole page: a table for each family of chapter 9."""
    lines = ["# Functions and operators", "",
             "Generated from the function registry. Semantics are PostgreSQL 15's, chapter 9.", ""]
    for family, title in _TITLES.items():
        table = list(rows(family))
        if not table:
            continue
        lines += [f"## {title}", "", "| Call | Meaning | Example |", "|---|---|---|"]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())

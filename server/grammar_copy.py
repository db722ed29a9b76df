"""The grammar of COPY: table or query, direction, options in both syntaxes, WHERE.

Spec: PostgreSQL 15 documentation, COPY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoal.catalog.access import quoted
from shoal.catalog.errors import SqlSyntaxError
from shoal.server.statements import Copy

if TYPE_CHECKING:
    from shoal.server.grammar import Scanner


def copy(scanner: Scanner) -> Copy:
    """COPY after its first word."""
    options: dict[str, Any] = {}
    positions: dict[str, int] = {}
    if scanner.accept("binary"):
        options["format"] = "binary"
    token = scanner.peek()
    table: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    if token is not None and token.value == "(" and token.kind == "symbol":
        sql, offset = scanner.parenthesised()
    else:
        start = scanner.peek()
        parts = [scanner.name()]
        while scanner.accept("."):
            parts.append(scanner.label())
        table = tuple(parts)
        assert start is not None
        named = scanner.text[start.start:scanner.items[scanner.position - 1].end]
        if (token := scanner.peek()) is not None and token.value == "(":
            columns = _names(scanner)
        sql, offset = f"SELECT {', '.join(map(quoted, columns)) or '*'} FROM {named}", 0
    word = scanner.accept_any("to", "from")
    if word == "from" and not table:
        scanner.position -= 1
    if word is None or (word == "from" and not table):
        raise scanner.unexpected()
    target: str | None = None
    if scanner.accept_any("stdout", "stdin") is None:
        scanner.accept("program")
        target = scanner.string()
    if scanner.accept("delimiters") or scanner.accept("using", "delimiters"):
        options["delimiter"] = scanner.string()
    scanner.accept("with")
    token = scanner.peek()
    if token is not None and token.value == "(" and token.kind == "symbol":
        _options(scanner, options, positions)
    else:
        _old_options(scanner, options)
    where: tuple[str, int] | None = None
    if (token := scanner.peek()) is not None and scanner.accept("where"):
        where = scanner.rest()
        if word == "to":
            raise SqlSyntaxError("WHERE clause not allowed with COPY TO", position=token.start + 1)
    return Copy(word == "to", sql if word == "to" else None, offset, target, options, table, columns, positions, where)


def _names(scanner: Scanner) -> tuple[str, ...]:
    scanner.expect("(")
    found = [scanner.name()]
    while scanner.accept(","):
        found.append(scanner.name())
    scanner.expect(")")
    return tuple(found)


def _options(scanner: Scanner, options: dict[str, Any], positions: dict[str, int]) -> None:
    scanner.expect("(")
    while True:
        start = scanner.peek()
        name = scanner.label()
        assert start is not None
        token = scanner.peek()
        value: Any = True
        if token is not None and token.kind in ("word", "quoted", "string", "number"):
            value = scanner.next().value
        elif token is not None and token.value == "(":
            value = _names(scanner)
        elif scanner.accept("*"):
            value = "*"
        _add(options, name, value, start.start + 1)
        positions[name] = start.start + 1
        if not scanner.accept(","):
            break
    scanner.expect(")")


def _old_options(scanner: Scanner, options: dict[str, Any]) -> None:
    """Without parentheses, in any order."""
    while (token := scanner.peek()) is not None:
        position = token.start + 1
        if (word := scanner.accept_any("binary", "csv")) is not None:
            _add(options, "format", word, position)
        elif (word := scanner.accept_any("header", "freeze")) is not None:
            _add(options, word, True, position)
        elif (word := scanner.accept_any("delimiter", "null", "quote", "escape", "encoding")) is not None:
            scanner.accept("as")
            _add(options, word, scanner.string(), position)
        elif scanner.accept("force", "quote"):
            _add(options, "force_quote", "*" if scanner.accept("*") else _listed(scanner), position)
        elif scanner.accept("force", "not", "null"):
            _add(options, "force_not_null", _listed(scanner), position)
        elif scanner.accept("force", "null"):
            _add(options, "force_null", _listed(scanner), position)
        else:
            return


def _listed(scanner: Scanner) -> tuple[str, ...]:
    names = [scanner.name()]
    while scanner.accept(","):
        names.append(scanner.name())
    return tuple(names)


def _add(options: dict[str, Any], name: str, value: Any, position: int) -> None:
    if name in options:
        raise SqlSyntaxError("conflicting or redundant options", position=position)
    options[name] = value

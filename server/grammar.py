"""The grammar of the statements a session answers itself: text -> statement (server/statements.py), or None for what
the engine plans.

Between hops 1 and 2 of a query's way. Clients send hundreds of forms of SET, BEGIN, DECLARE, DISCARD ... that no SQL
parser for queries understands, so they are recognised here, by their tokens, before the engine sees anything. One
function per first word, found in `_STATEMENTS`.

Spec: PostgreSQL 15 documentation, part VI, the reference page of each statement.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError
from shoal.server.grammar_copy import copy
from shoal.server.lexer import Token, first_word, tokens
from shoal.server.statements import (
    Begin,
    CloseCursor,
    Commit,
    CreateTableExecute,
    Deallocate,
    DeclareCursor,
    Discard,
    ExecutePrepared,
    ExplainExecute,
    Fetch,
    Ignored,
    Listen,
    LockTable,
    Maintenance,
    Notify,
    Prepare,
    Release,
    Reset,
    Rollback,
    RollbackTo,
    Savepoint,
    SetSetting,
    SetTransaction,
    Show,
    TransactionModes,
    Unlisten,
    Utility,
)

_RESERVED = (
    "all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create "
    "current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc "
    "distinct do else end except false fetch for foreign from grant group having in initially intersect into lateral "
    "leading limit localtime localtimestamp not null offset on only or order placing primary references returning "
    "select session_user some symmetric table then to trailing true union unique user using variadic when where window "
    "with")
RESERVED = frozenset(_RESERVED.split())
"""Key words that cannot be names unless they are quoted (PostgreSQL 15 documentation, appendix C)."""


class Scanner:
    """The tokens of one statement with the few moves that these grammars need."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.items = list(tokens(text))
        self.position = 0

    def peek(self, ahead: int = 0) -> Token | None:
        index = self.position + ahead
        return self.items[index] if index < len(self.items) else None

    def next(self) -> Token:
        token = self.peek()
        if token is None:
            raise SqlSyntaxError("syntax error at end of input", position=len(self.text) + 1)
        self.position += 1
        return token

    def accept(self, *words: str) -> bool:
        """Moves past these words (or symbols) if they are all next."""
        for ahead, word in enumerate(words):
            token = self.peek(ahead)
            if token is None or token.kind not in ("word", "symbol") or token.value != word:
                return False
        self.position += len(words)
        return True

    def accept_any(self, *words: str) -> str | None:
        return next((word for word in words if self.accept(word)), None)

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.unexpected()

    def label(self) -> str:
        """An identifier or any key word."""
        token = self.peek()
        if token is not None and token.kind == "word":
            self.position += 1
            return token.value
        return self.name()

    def name(self) -> str:
        """An identifier."""
        token = self.next()
        if token.kind not in ("word", "quoted") or (token.kind == "word" and token.value in RESERVED):
            self.position -= 1
            raise self.unexpected()
        return token.value

    def string(self) -> str:
        token = self.next()
        if token.kind != "string":
            self.position -= 1
            raise self.unexpected()
        return token.value

    def integer(self) -> int:
        sign = -1 if self.accept("-") else (self.accept("+"), 1)[1]
        token = self.next()
        if token.kind != "number" or not token.value.isdigit() or int(token.value) > 2**31 - 1:
            self.position -= 1
            raise self.unexpected()
        return sign * int(token.value)

    def is_integer(self) -> bool:
        token = self.peek()
        return token is not None and (token.kind == "number" or token.value in ("-", "+"))

    def at_end(self) -> bool:
        return self.position >= len(self.items)

    def finish(self) -> None:
        if not self.at_end():
            raise self.unexpected()

    def unexpected(self) -> SqlSyntaxError:
        token = self.peek()
        if token is None:
            return SqlSyntaxError("syntax error at end of input", position=len(self.text) + 1)
        return SqlSyntaxError(f'syntax error at or near "{self.text[token.start:token.end]}"', position=token.start + 1)

    def rest(self) -> tuple[str, int]:
        """The text from here to the end, and its offset."""
        token = self.peek()
        if token is None:
            raise self.unexpected()
        self.position = len(self.items)
        return self.text[token.start:self.items[-1].end], token.start

    def parenthesised(self) -> tuple[str, int]:
        """The text inside the parentheses that open here, and its offset."""
        opening = self.peek()
        self.expect("(")
        assert opening is not None
        depth = 1
        while depth:
            token = self.next()
            depth += (token.kind == "symbol" and token.value == "(") - (token.kind == "symbol" and token.value == ")")
        return self.text[opening.end:token.start], opening.end

    def items_in_parentheses(self) -> tuple[tuple[str, int], ...]:
        """The texts between the top-level commas of the parentheses that open here, and where each stands (1-based).

        There is at least one, and none is empty.
        """
        opening = self.peek()
        self.expect("(")
        assert opening is not None
        depth, found, start = 1, [], opening.end
        while depth:
            token = self.next()
            if token.kind != "symbol":
                continue
            depth += (token.value in "([") - (token.value in ")]")
            if (token.value == "," and depth == 1) or depth == 0:
                text = self.text[start:token.start]
                if not text.strip():
                    self.position -= 1
                    raise self.unexpected()
                found.append((text.strip(), start + len(text) - len(text.lstrip()) + 1))
                start = token.end
        return tuple(found)


def parse(sql: str) -> Utility | None:
    """The utility statement `sql` is, or None. Raises: SqlSyntaxError (42601) with a position within `sql`."""
    handler = _STATEMENTS.get(first_word(sql))
    if handler is None or (handler is _create and "execute" not in sql.lower()):
        return None
    scanner = Scanner(sql)
    scanner.position = 1
    if scanner.items[0].kind != "word":  # an opening parenthesis: a query
        return None
    statement = handler(scanner)
    if statement is not None:
        scanner.finish()
    return statement


_ISOLATION_LEVELS = (("serializable",), ("repeatable", "read"), ("read", "committed"), ("read", "uncommitted"))


def _modes(scanner: Scanner) -> TransactionModes:
    isolation: str | None = None
    read_only: bool | None = None
    deferrable: bool | None = None
    while not scanner.at_end():
        if scanner.accept("isolation", "level"):
            level = next((words for words in _ISOLATION_LEVELS if scanner.accept(*words)), None)
            if level is None:
                raise scanner.unexpected()
            isolation = " ".join(level)
        elif scanner.accept("read", "only"):
            read_only = True
        elif scanner.accept("read", "write"):
            read_only = False
        elif scanner.accept("not", "deferrable"):
            deferrable = False
        elif scanner.accept("deferrable"):
            deferrable = True
        else:
            raise scanner.unexpected()
        scanner.accept(",")
    return TransactionModes(isolation, read_only, deferrable)


def _begin(scanner: Scanner) -> Utility:
    scanner.accept_any("work", "transaction")
    return Begin(_modes(scanner))


def _start(scanner: Scanner) -> Utility:
    scanner.expect("transaction")
    return Begin(_modes(scanner), "START TRANSACTION")


def _chain(scanner: Scanner) -> bool:
    if scanner.accept("and", "no", "chain"):
        return False
    return scanner.accept("and", "chain")


def _commit(scanner: Scanner) -> Utility:
    if scanner.accept("prepared"):
        raise FeatureNotSupported("prepared transactions are not supported")
    scanner.accept_any("work", "transaction")
    return Commit(_chain(scanner))


def _rollback(scanner: Scanner) -> Utility:
    if scanner.accept("prepared"):
        raise FeatureNotSupported("prepared transactions are not supported")
    scanner.accept_any("work", "transaction")
    if scanner.accept("to"):
        scanner.accept("savepoint")
        return RollbackTo(scanner.name())
    return Rollback(_chain(scanner))


def _savepoint(scanner: Scanner) -> Utility:
    return Savepoint(scanner.name())


def _release(scanner: Scanner) -> Utility:
    scanner.accept("savepoint")
    return Release(scanner.name())


def _setting_name(scanner: Scanner) -> str:
    name = scanner.name()
    while scanner.accept("."):
        name += "." + scanner.label()
    return name


def _set(scanner: Scanner) -> Utility:
    if scanner.accept("constraints"):
        scanner.rest()
        return Ignored("SET CONSTRAINTS")
    if scanner.accept("session", "characteristics", "as", "transaction"):
        return SetTransaction(_modes(scanner), session=True)
    local = scanner.accept("local")
    if not local and scanner.peek(1) is not None and scanner.peek(1).value not in ("=", "to", "authorization"):  # type: ignore[union-attr]
        scanner.accept("session")
    if scanner.accept("transaction"):
        if scanner.accept("snapshot"):
            raise FeatureNotSupported("SET TRANSACTION SNAPSHOT is not supported")
        return SetTransaction(_modes(scanner))
    if scanner.accept("time", "zone"):
        span = scanner.accept("interval")
        values = _values(scanner)
        if span:
            values = (f"INTERVAL '{values[0]}'",)
        if scanner.accept_any("hour", "minute"):
            scanner.accept("to", "minute")
        return SetSetting("timezone", None if values in (("default",), ("local",)) else values, local)
    if scanner.accept("session", "authorization"):
        return SetSetting("session_authorization", _default(_values(scanner)), local)
    for keyword, setting in (("role", "role"), ("names", "client_encoding"), ("schema", "search_path")):
        following = scanner.peek(1)
        if following is not None and following.value not in ("=", "to") and scanner.accept(keyword):
            return SetSetting(setting, _default(_values(scanner)), local)
    if scanner.accept("xml", "option"):
        return SetSetting("xmloption", _values(scanner), local)
    name = _setting_name(scanner)
    if scanner.accept_any("=", "to") is None:
        raise scanner.unexpected()
    if scanner.accept("default"):
        return SetSetting(name, None, local)
    return SetSetting(name, _values(scanner), local)


def _default(values: tuple[str, ...]) -> tuple[str, ...] | None:
    return None if values == ("default",) else values


def _values(scanner: Scanner) -> tuple[str, ...]:
    found = []
    while True:
        sign = "-" if scanner.accept("-") else (scanner.accept("+"), "")[1]
        token = scanner.next()
        if (token.kind in ("symbol", "parameter") or (sign and token.kind != "number")
                or (token.kind == "word" and token.value in RESERVED - {"true", "false", "on", "default"})):
            scanner.position -= 1
            raise scanner.unexpected()
        found.append(sign + token.value)
        if not scanner.accept(","):
            return tuple(found)


def _shown_name(scanner: Scanner) -> str:
    if scanner.accept("time", "zone"):
        return "timezone"
    if scanner.accept("transaction", "isolation", "level"):
        return "transaction_isolation"
    if scanner.accept("session", "authorization"):
        return "session_authorization"
    return "all" if scanner.accept("all") else _setting_name(scanner)


def _reset(scanner: Scanner) -> Utility:
    name = _shown_name(scanner)
    return Reset(None if name == "all" else name)


def _show(scanner: Scanner) -> Utility:
    return Show(_shown_name(scanner))


def _discard(scanner: Scanner) -> Utility:
    what = scanner.accept_any("all", "plans", "sequences", "temporary", "temp")
    if what is None:
        raise scanner.unexpected()
    return Discard({"temporary": "temp"}.get(what, what))


def _deallocate(scanner: Scanner) -> Utility:
    scanner.accept("prepare")
    return Deallocate(None if scanner.accept("all") else scanner.name())


def _prepare(scanner: Scanner) -> Utility:
    if scanner.accept("transaction"):
        raise FeatureNotSupported("prepared transactions are not supported")
    name = scanner.name()
    token = scanner.peek()
    types = scanner.items_in_parentheses() if token is not None and token.value == "(" else ()
    scanner.expect("as")
    return Prepare(name, types, *scanner.rest())


def _execute(scanner: Scanner) -> ExecutePrepared:
    name = scanner.name()
    arguments = () if scanner.at_end() else scanner.items_in_parentheses()
    return ExecutePrepared(name, arguments)


def _explain(scanner: Scanner) -> Utility | None:
    """EXPLAIN EXECUTE; the engine explains other statements."""
    opening = scanner.peek()
    words = []
    if opening is not None and opening.value == "(":
        while (token := scanner.peek()) is not None:
            words.append(token.value)
            scanner.position += 1
            if token.kind == "symbol" and token.value == ")":  # options hold no parentheses
                break
    else:
        scanner.accept_any("analyze", "analyse")
        scanner.accept("verbose")
    json = ("format", "json") in pairwise(words)
    if scanner.accept("create"):
        made = _create(scanner)
        return None if made is None else ExplainExecute(made.before, json, made.executed, made.after)
    execute = scanner.peek()
    if execute is None or not scanner.accept("execute"):
        return None
    return ExplainExecute(scanner.text[:execute.start], json, _execute(scanner))


def _create(scanner: Scanner) -> CreateTableExecute | None:
    """CREATE TABLE ... AS EXECUTE; the engine makes other things."""
    scanner.accept_any("local", "global")
    scanner.accept_any("temporary", "temp", "unlogged")
    if not scanner.accept("table"):
        return None
    depth = 0
    while (token := scanner.peek()) is not None:
        if not depth and scanner.accept("as"):
            break
        if token.kind == "symbol":
            depth += (token.value == "(") - (token.value == ")")
        scanner.position += 1
    execute = scanner.peek()
    if execute is None or not scanner.accept("execute"):
        return None
    name, following = scanner.name(), scanner.peek()
    arguments = scanner.items_in_parentheses() if following is not None and following.value == "(" else ()
    after, rest = "", scanner.peek()
    if rest is not None:
        scanner.expect("with")
        scanner.accept("no")
        scanner.expect("data")
        after = "\n" + scanner.text[rest.start:]
    return CreateTableExecute(scanner.text[:execute.start], ExecutePrepared(name, arguments), after)


def _declare(scanner: Scanner) -> Utility:
    name = scanner.name()
    binary, scroll, hold = False, None, False
    while not scanner.accept("cursor"):
        if scanner.accept("binary"):
            binary = True
        elif scanner.accept("no", "scroll"):
            scroll = False
        elif scanner.accept("scroll"):
            scroll = True
        elif scanner.accept_any("insensitive", "asensitive") is None:
            raise scanner.unexpected()
    if scanner.accept("with", "hold"):
        hold = True
    else:
        scanner.accept("without", "hold")
    scanner.expect("for")
    sql, offset = scanner.rest()
    return DeclareCursor(name, sql, offset, binary, scroll, hold)


def _fetch(scanner: Scanner, move: bool = False) -> Utility:
    direction: Literal["forward", "backward", "absolute", "relative"] = "forward"
    count: int | None = 1
    following = scanner.peek(1)
    if following is None or scanner.accept("next"):  # FETCH c, where c may be any word
        pass
    elif scanner.accept("prior"):
        direction = "backward"
    elif scanner.accept("first"):
        direction = "absolute"
    elif scanner.accept("last"):
        direction, count = "absolute", -1
    elif scanner.accept("all"):
        count = None
    elif scanner.accept("absolute"):
        direction, count = "absolute", scanner.integer()
    elif scanner.accept("relative"):
        direction, count = "relative", scanner.integer()
    elif (word := scanner.accept_any("forward", "backward")) is not None:
        direction = "forward" if word == "forward" else "backward"
        if scanner.accept("all"):
            count = None
        elif scanner.is_integer():
            count = scanner.integer()
    elif scanner.is_integer():
        count = scanner.integer()
    scanner.accept_any("from", "in")
    return Fetch(scanner.name(), direction, count, move)


def _move(scanner: Scanner) -> Utility:
    return _fetch(scanner, move=True)


def _close(scanner: Scanner) -> Utility:
    return CloseCursor(None if scanner.accept("all") else scanner.name())


def _listen(scanner: Scanner) -> Utility:
    return Listen(scanner.name())


def _unlisten(scanner: Scanner) -> Utility:
    return Unlisten(None if scanner.accept("*") else scanner.name())


def _notify(scanner: Scanner) -> Utility:
    channel = scanner.name()
    return Notify(channel, scanner.string() if scanner.accept(",") else "")


def _table_name(scanner: Scanner) -> str:
    """A table's name as it is written."""
    start = scanner.peek()
    _setting_name(scanner)
    assert start is not None
    return scanner.text[start.start:scanner.items[scanner.position - 1].end]


def _lock(scanner: Scanner) -> Utility:
    scanner.accept("table")
    scanner.accept("only")
    tables = []
    while True:
        tables.append(_table_name(scanner))
        scanner.accept("*")
        if not scanner.accept(","):
            break
    if scanner.accept("in") and not any(scanner.accept(*mode, "mode") for mode in _LOCK_MODES):
        raise scanner.unexpected()
    scanner.accept("nowait")
    return LockTable(tuple(tables))


_LOCK_MODES = (("access", "share"), ("row", "share"), ("row", "exclusive"), ("share", "update", "exclusive"), ("share",),
               ("share", "row", "exclusive"), ("exclusive",), ("access", "exclusive"))


def _checkpoint(scanner: Scanner) -> Utility:
    return Ignored("CHECKPOINT")


def _vacuum(scanner: Scanner) -> Utility:
    if scanner.accept("("):
        _maintenance_options(scanner, "VACUUM", _VACUUM_OPTIONS)
    else:
        for word in ("full", "freeze", "verbose"):
            scanner.accept(word)
        scanner.accept_any("analyze", "analyse")
    return Maintenance("VACUUM", _maintained_tables(scanner))


def _analyze(scanner: Scanner) -> Utility:
    if scanner.accept("("):
        _maintenance_options(scanner, "ANALYZE", _ANALYZE_OPTIONS)
    else:
        scanner.accept("verbose")
    return Maintenance("ANALYZE", _maintained_tables(scanner))


_ANALYZE_OPTIONS = frozenset({"verbose", "skip_locked"})
_VACUUM_OPTIONS = _ANALYZE_OPTIONS | {"full", "freeze", "analyze", "analyse", "disable_page_skipping", "index_cleanup",
                                      "process_toast", "truncate", "parallel"}


def _maintenance_options(scanner: Scanner, statement: str, known: frozenset[str]) -> None:
    while True:
        token = scanner.next()
        if token.value not in known:
            raise SqlSyntaxError(f'unrecognized {statement} option "{token.value}"', position=token.start + 1)
        if scanner.accept(")"):
            return
        if not scanner.accept(","):
            scanner.next()  # the option's value
            if scanner.accept(")"):
                return
            scanner.expect(",")


def _maintained_tables(scanner: Scanner) -> tuple[tuple[str, tuple[str, ...]], ...]:
    tables: list[tuple[str, tuple[str, ...]]] = []
    while scanner.peek() is not None and (not tables or scanner.accept(",")):
        name, columns = _table_name(scanner), []
        if scanner.accept("("):
            columns.append(scanner.name())
            while scanner.accept(","):
                columns.append(scanner.name())
            scanner.expect(")")
        tables.append((name, tuple(columns)))
    return tuple(tables)


_STATEMENTS: dict[str, Callable[[Scanner], Utility | None]] = {
    "begin": _begin, "start": _start, "commit": _commit, "end": _commit, "rollback": _rollback, "abort": _rollback,
    "savepoint": _savepoint, "release": _release, "set": _set, "reset": _reset, "show": _show, "discard": _discard,
    "deallocate": _deallocate, "prepare": _prepare, "execute": _execute, "explain": _explain, "create": _create,
    "declare": _declare, "fetch": _fetch, "move": _move, "close": _close, "listen": _listen, "unlisten": _unlisten,
    "notify": _notify,
    "lock": _lock, "checkpoint": _checkpoint, "copy": copy, "vacuum": _vacuum, "analyze": _analyze, "analyse": _analyze,
}

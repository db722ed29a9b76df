"""The grammar of the statements a session answers itself: text -> statement (server/statements.py), or None for what
the engine plans.

Between hops 1 and 2 of a query's way. Clients send hundreds of forms of SET, BEGIN, DECLARE, DISCARD ... that no SQL
parser for queries understands, so they are recognised here, by their tokens, before the engine sees anything. One
function per first word, found in `_STATEMENTS`.

Spec: PostgreSQL 15 documentation, part VI, the reference page of each statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError
from shoal.server.lexer import Token, first_word, tokens
from shoal.server.statements import (
    Begin,
    CloseCursor,
    Commit,
    Copy,
    Deallocate,
    DeclareCursor,
    Discard,
    ExecutePrepared,
    Fetch,
    Ignored,
    Listen,
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


class _Scanner:
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

    def name(self) -> str:
        """An identifier."""
        token = self.next()
        if token.kind not in ("word", "quoted"):
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
        if token.kind != "number" or not token.value.isdigit():
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

    def items_in_parentheses(self) -> tuple[str, ...]:
        """The texts between the top-level commas of the parentheses that open here."""
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
                found.append(self.text[start:token.start].strip())
                start = token.end
        return tuple(found)


def parse(sql: str) -> Utility | None:
    """The utility statement `sql` is, or None. Raises: SqlSyntaxError (42601) with a position within `sql`."""
    handler = _STATEMENTS.get(first_word(sql))
    if handler is None:
        return None
    scanner = _Scanner(sql)
    scanner.position = 1
    if scanner.items[0].kind != "word":  # an opening parenthesis: a query
        return None
    statement = handler(scanner)
    if statement is not None:
        scanner.finish()
    return statement


_ISOLATION_LEVELS = (("serializable",), ("repeatable", "read"), ("read", "committed"), ("read", "uncommitted"))


def _modes(scanner: _Scanner) -> TransactionModes:
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


def _begin(scanner: _Scanner) -> Utility:
    scanner.accept_any("work", "transaction")
    return Begin(_modes(scanner))


def _start(scanner: _Scanner) -> Utility:
    scanner.expect("transaction")
    return Begin(_modes(scanner), "START TRANSACTION")


def _chain(scanner: _Scanner) -> bool:
    if scanner.accept("and", "no", "chain"):
        return False
    return scanner.accept("and", "chain")


def _commit(scanner: _Scanner) -> Utility:
    if scanner.accept("prepared"):
        raise FeatureNotSupported("prepared transactions are not supported")
    scanner.accept_any("work", "transaction")
    return Commit(_chain(scanner))


def _rollback(scanner: _Scanner) -> Utility:
    if scanner.accept("prepared"):
        raise FeatureNotSupported("prepared transactions are not supported")
    scanner.accept_any("work", "transaction")
    if scanner.accept("to"):
        scanner.accept("savepoint")
        return RollbackTo(scanner.name())
    return Rollback(_chain(scanner))


def _savepoint(scanner: _Scanner) -> Utility:
    return Savepoint(scanner.name())


def _release(scanner: _Scanner) -> Utility:
    scanner.accept("savepoint")
    return Release(scanner.name())


def _setting_name(scanner: _Scanner) -> str:
    name = scanner.name()
    while scanner.accept("."):
        name += "." + scanner.name()
    return name


def _set(scanner: _Scanner) -> Utility:
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
        scanner.accept("interval")
        values = _values(scanner)
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


def _values(scanner: _Scanner) -> tuple[str, ...]:
    found = []
    while True:
        sign = "-" if scanner.accept("-") else (scanner.accept("+"), "")[1]
        token = scanner.next()
        if token.kind in ("symbol", "parameter") or (sign and token.kind != "number"):
            scanner.position -= 1
            raise scanner.unexpected()
        found.append(sign + token.value)
        if not scanner.accept(","):
            return tuple(found)


def _shown_name(scanner: _Scanner) -> str:
    if scanner.accept("time", "zone"):
        return "timezone"
    if scanner.accept("transaction", "isolation", "level"):
        return "transaction_isolation"
    if scanner.accept("session", "authorization"):
        return "session_authorization"
    return _setting_name(scanner)


def _reset(scanner: _Scanner) -> Utility:
    name = _shown_name(scanner)
    return Reset(None if name == "all" else name)


def _show(scanner: _Scanner) -> Utility:
    return Show(_shown_name(scanner))


def _discard(scanner: _Scanner) -> Utility:
    what = scanner.accept_any("all", "plans", "sequences", "temporary", "temp")
    if what is None:
        raise scanner.unexpected()
    return Discard({"temporary": "temp"}.get(what, what))


def _deallocate(scanner: _Scanner) -> Utility:
    scanner.accept("prepare")
    return Deallocate(None if scanner.accept("all") else scanner.name())


def _prepare(scanner: _Scanner) -> Utility:
    if scanner.accept("transaction"):
        raise FeatureNotSupported("prepared transactions are not supported")
    name = scanner.name()
    token = scanner.peek()
    types = scanner.items_in_parentheses() if token is not None and token.value == "(" else ()
    scanner.expect("as")
    return Prepare(name, types, *scanner.rest())


def _execute(scanner: _Scanner) -> Utility:
    name = scanner.name()
    arguments = () if scanner.at_end() else scanner.items_in_parentheses()
    return ExecutePrepared(name, arguments)


def _declare(scanner: _Scanner) -> Utility:
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


def _fetch(scanner: _Scanner, move: bool = False) -> Utility:
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


def _move(scanner: _Scanner) -> Utility:
    return _fetch(scanner, move=True)


def _close(scanner: _Scanner) -> Utility:
    return CloseCursor(None if scanner.accept("all") else scanner.name())


def _listen(scanner: _Scanner) -> Utility:
    return Listen(scanner.name())


def _unlisten(scanner: _Scanner) -> Utility:
    return Unlisten(None if scanner.accept("*") else scanner.name())


def _notify(scanner: _Scanner) -> Utility:
    channel = scanner.name()
    return Notify(channel, scanner.string() if scanner.accept(",") else "")


def _lock(scanner: _Scanner) -> Utility:
    scanner.rest()
    return Ignored("LOCK TABLE")


def _checkpoint(scanner: _Scanner) -> Utility:
    return Ignored("CHECKPOINT")


def _copy(scanner: _Scanner) -> Utility:
    options: dict[str, Any] = {}
    positions: dict[str, int] = {}
    if scanner.accept("binary"):
        options["format"] = "binary"
    token = scanner.peek()
    table: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    sql: str | None = None
    offset = 0
    if token is not None and token.value == "(" and token.kind == "symbol":
        sql, offset = scanner.parenthesised()
    else:
        start = scanner.peek()
        assert start is not None or scanner.next()
        parts = [scanner.name()]
        while scanner.accept("."):
            parts.append(scanner.name())
        table = tuple(parts)
        named = scanner.text[start.start:scanner.items[scanner.position - 1].end]  # type: ignore[union-attr]
        listed = "*"
        if (token := scanner.peek()) is not None and token.value == "(":
            listed = ", ".join(columns := scanner.items_in_parentheses())
        sql, offset = f"SELECT {listed} FROM {named}", 0
    word = scanner.accept_any("to", "from")
    if word is None or (word == "from" and not table):
        raise scanner.unexpected()
    target: str | None = None
    if scanner.accept_any("stdout", "stdin") is None:
        scanner.accept("program")
        target = scanner.string()
    scanner.accept("with")
    token = scanner.peek()
    if token is not None and token.value == "(" and token.kind == "symbol":
        _copy_options(scanner, options, positions)
    else:
        _old_copy_options(scanner, options)
    return Copy(word == "to", sql if word == "to" else None, offset, target, options, table, columns, positions)


def _copy_options(scanner: _Scanner, options: dict[str, Any], positions: dict[str, int]) -> None:
    scanner.expect("(")
    while True:
        start = scanner.peek()
        name = scanner.name()
        assert start is not None
        token = scanner.peek()
        value: Any = True
        if token is not None and token.kind in ("word", "quoted", "string", "number"):
            value = scanner.next().value
        elif token is not None and token.value == "(":
            value = scanner.items_in_parentheses()
        elif scanner.accept("*"):
            value = "*"
        if name in options:
            raise SqlSyntaxError("conflicting or redundant options", position=start.start + 1)
        options[name], positions[name] = value, start.start + 1
        if not scanner.accept(","):
            break
    scanner.expect(")")


def _old_copy_options(scanner: _Scanner, options: dict[str, Any]) -> None:
    while not scanner.at_end():
        if scanner.accept("binary"):
            options["format"] = "binary"
        elif scanner.accept("csv"):
            options["format"] = "csv"
        elif scanner.accept("header"):
            options["header"] = True
        elif scanner.accept("freeze"):
            options["freeze"] = True
        elif (word := scanner.accept_any("delimiter", "null", "quote", "escape", "encoding")) is not None:
            scanner.accept("as")
            options[word] = scanner.string()
        elif scanner.accept("force", "quote"):
            if scanner.accept("*"):
                options["force_quote"] = "*"
            else:
                names = [scanner.name()]
                while scanner.accept(","):
                    names.append(scanner.name())
                options["force_quote"] = tuple(names)
        else:
            raise scanner.unexpected()


_STATEMENTS: dict[str, Callable[[_Scanner], Utility | None]] = {
    "begin": _begin, "start": _start, "commit": _commit, "end": _commit, "rollback": _rollback, "abort": _rollback,
    "savepoint": _savepoint, "release": _release, "set": _set, "reset": _reset, "show": _show, "discard": _discard,
    "deallocate": _deallocate, "prepare": _prepare, "execute": _execute, "declare": _declare, "fetch": _fetch,
    "move": _move, "close": _close, "listen": _listen, "unlisten": _unlisten, "notify": _notify, "lock": _lock,
    "checkpoint": _checkpoint, "copy": _copy,
}

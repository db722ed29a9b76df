"""PostgreSQL's lexical rules: statement text to sqlglot tokens, and a script to its statements (hop 2, first step).

sqlglot's own tokenizer serves thirty dialects; this one follows PostgreSQL alone: its operator characters, its
string forms, its keyword classes, and the exact place of every token, which errors are reported with. It also stops
statements that nest too deeply before any recursive code sees them.

Spec: PostgreSQL 15 documentation, 4.1 "Lexical Structure"; appendix C "SQL Key Words".
"""

from __future__ import annotations

import re

from sqlglot.tokens import Token, TokenType

from shoal.catalog.errors import SqlSyntaxError, StatementTooComplex
from shoal.exec.sql.constants import LEAST_TEXT, list_end, rows_end
from shoal.exec.sql.escapes import unescape, unescape_unicode

MAX_NESTING = 400
"""Brackets, subqueries and CASEs inside each other; deeper is 54001."""

RESERVED = frozenset({
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "both", "case", "cast", "check",
    "collate", "column", "constraint", "create", "current_catalog", "current_date", "current_role", "current_time",
    "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except",
    "false", "fetch", "for", "foreign", "from", "grant", "group", "having", "in", "initially", "intersect", "into",
    "lateral", "leading", "limit", "localtime", "localtimestamp", "not", "null", "offset", "on", "only", "or", "order",
    "placing", "primary", "references", "returning", "select", "session_user", "some", "symmetric", "system_user",
    "table", "then", "to", "trailing", "true", "union", "unique", "user", "using", "variadic", "when", "where", "window",
    "with"})
"""Words that are never a name unless quoted (but may be an AS label)."""
TYPE_OR_FUNCTION = frozenset({
    "authorization", "binary", "collation", "concurrently", "cross", "current_schema", "freeze", "full", "ilike",
    "inner", "is", "isnull", "join", "left", "like", "natural", "notnull", "outer", "overlaps", "right", "similar",
    "tablesample", "verbose"})
"""Reserved words that may name a function or type."""
COLUMN_ONLY = frozenset({
    "between", "bigint", "bit", "boolean", "char", "character", "coalesce", "dec", "decimal", "exists", "extract",
    "float", "greatest", "grouping", "inout", "int", "integer", "interval", "least", "national", "nchar", "none",
    "normalize", "nullif", "numeric", "out", "overlay", "position", "precision", "real", "row", "setof", "smallint",
    "substring", "time", "timestamp", "treat", "trim", "values", "varchar", "xmlattributes", "xmlconcat", "xmlelement",
    "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable"})
"""Words that may name a column or table, not a plain function."""
NOT_BARE_LABEL = frozenset({
    "array", "as", "char", "character", "create", "day", "except", "fetch", "filter", "for", "from", "grant", "group",
    "having", "hour", "intersect", "into", "isnull", "limit", "minute", "month", "notnull", "offset", "on", "order",
    "over", "overlaps", "precision", "returning", "second", "to", "union", "varying", "where", "window", "with",
    "within", "without", "year"})
"""Words that label a column only after AS."""

_WORDS: dict[str, TokenType] = {
    "all": TokenType.ALL, "and": TokenType.AND, "any": TokenType.ANY, "array": TokenType.ARRAY, "as": TokenType.ALIAS,
    "asc": TokenType.ASC, "between": TokenType.BETWEEN, "case": TokenType.CASE, "collate": TokenType.COLLATE,
    "column": TokenType.COLUMN, "constraint": TokenType.CONSTRAINT, "create": TokenType.CREATE, "cross": TokenType.CROSS,
    "default": TokenType.DEFAULT, "delete": TokenType.DELETE, "desc": TokenType.DESC, "distinct": TokenType.DISTINCT,
    "drop": TokenType.DROP, "else": TokenType.ELSE, "end": TokenType.END, "except": TokenType.EXCEPT,
    "exists": TokenType.EXISTS, "explain": TokenType.DESCRIBE, "false": TokenType.FALSE, "fetch": TokenType.FETCH,
    "for": TokenType.FOR, "from": TokenType.FROM, "full": TokenType.FULL, "group": TokenType.GROUP_BY,
    "group by": TokenType.GROUP_BY,
    "having": TokenType.HAVING, "ilike": TokenType.ILIKE, "in": TokenType.IN, "inner": TokenType.INNER,
    "insert": TokenType.INSERT, "intersect": TokenType.INTERSECT, "into": TokenType.INTO, "is": TokenType.IS,
    "isnull": TokenType.ISNULL, "join": TokenType.JOIN, "lateral": TokenType.LATERAL, "left": TokenType.LEFT,
    "like": TokenType.LIKE, "limit": TokenType.LIMIT, "merge": TokenType.MERGE, "natural": TokenType.NATURAL,
    "not": TokenType.NOT, "notnull": TokenType.NOTNULL, "null": TokenType.NULL, "offset": TokenType.OFFSET,
    "on": TokenType.ON, "only": TokenType.ONLY, "or": TokenType.OR, "order": TokenType.ORDER_BY,
    "order by": TokenType.ORDER_BY,
    "outer": TokenType.OUTER, "partition by": TokenType.PARTITION_BY, "recursive": TokenType.RECURSIVE,
    "replace": TokenType.REPLACE, "returning": TokenType.RETURNING, "right": TokenType.RIGHT, "row": TokenType.ROW,
    "schema": TokenType.SCHEMA, "select": TokenType.SELECT, "set": TokenType.SET, "similar": TokenType.SIMILAR_TO,
    "some": TokenType.SOME, "table": TokenType.TABLE, "temp": TokenType.TEMPORARY, "temporary": TokenType.TEMPORARY,
    "then": TokenType.THEN, "true": TokenType.TRUE, "truncate": TokenType.TRUNCATE, "union": TokenType.UNION,
    "unique": TokenType.UNIQUE, "update": TokenType.UPDATE, "using": TokenType.USING, "values": TokenType.VALUES,
    "view": TokenType.VIEW, "when": TokenType.WHEN, "where": TokenType.WHERE, "window": TokenType.WINDOW,
    "with": TokenType.WITH,
}
"""Words that the grammar meets by token type; every other word is a VAR and is met by its text. ORDER and GROUP without BY
are mistakes where the clauses may stand, found there."""
_PAIRS = {"group": "group by", "order": "order by", "partition": "partition by"}
_PAIR_TYPES = frozenset({TokenType.VAR, TokenType.GROUP_BY, TokenType.ORDER_BY})

_PUNCTUATION: dict[str, TokenType] = {
    "(": TokenType.L_PAREN, ")": TokenType.R_PAREN, "[": TokenType.L_BRACKET, "]": TokenType.R_BRACKET,
    ",": TokenType.COMMA, ";": TokenType.SEMICOLON, ".": TokenType.DOT, ":": TokenType.COLON, "::": TokenType.DCOLON,
    ":=": TokenType.COLON_EQ, "..": TokenType.DOTCOLON}
_OPERATORS: dict[str, TokenType] = {
    "=": TokenType.EQ, "*": TokenType.STAR, "=>": TokenType.FARROW, "+": TokenType.PLUS, "-": TokenType.DASH,
    "/": TokenType.SLASH, "%": TokenType.MOD, "^": TokenType.CARET, "<": TokenType.LT, ">": TokenType.GT,
    "<=": TokenType.LTE, ">=": TokenType.GTE, "<>": TokenType.NEQ}
GENERIC_OPERATOR = TokenType.OPERATOR
CONSTANT_LIST, CONSTANT_ROWS = TokenType.RAW_STRING, TokenType.HEREDOC_STRING
"""Runs of constants (constants.py): what is between IN's or ARRAY's brackets, and the rows after VALUES."""
BODY_SEMICOLON = TokenType.BREAK
"""Ends a statement inside BEGIN ATOMIC ... END, and not the one it stands in."""
MOST_OPERATOR = 63
"""Characters of an operator."""
SYMBOLS = frozenset({*_PUNCTUATION.values(), *_OPERATORS.values(), GENERIC_OPERATOR, BODY_SEMICOLON})
LITERALS = frozenset({TokenType.STRING, TokenType.NUMBER, TokenType.BIT_STRING, TokenType.HEX_STRING, TokenType.PARAMETER,
                      CONSTANT_LIST, CONSTANT_ROWS})
NOT_WORDS = SYMBOLS | LITERALS | {TokenType.IDENTIFIER, TokenType.SENTINEL}
"""Everything but an unquoted word."""

_TOKEN = re.compile(r"""
    (?P<space>(?:[ \t\n\r\f\v]++|--[^\n\r]*+)++)
  | (?P<prefixed>[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*' | [bBxXnN]'[^']*(?:''[^']*)*' | [uU]&'[^']*(?:''[^']*)*'
        | [uU]&"[^"]*(?:""[^"]*)*")
  | (?P<word>[^\W\d][\w$]*)
  | (?P<punct>[(),;\[\]]|::|:=|\.\.|\.(?!\d)|:)
  | (?P<string>'[^']*(?:''[^']*)*')
  | (?P<number>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<quoted>"[^"]*(?:""[^"]*)*")
  | (?P<comment>/\*)
  | (?P<op>(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?]){1,65})
  | (?P<param>\$\d+)
  | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
""", re.VERBOSE | re.DOTALL)
_OPERATOR_RUN = re.compile(r"(?:(?!--|/\*)[-+*/<>=~!@#%^&|`?])+")
_SPECIAL = re.compile(r"[~!@#%^&|`?]")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_CONTINUATION = re.compile(r"[ \t\f\v]*+(?:--[^\n\r]*+)?+[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+)*+'")
_ESCAPED_PART = re.compile(r"'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'", re.DOTALL)
_UNICODE_PART = re.compile(r"'[^']*(?:''[^']*)*'")
_JUNK = re.compile(r"[^\W\d]?[\w$]*")
_UESCAPE = re.compile(r"\s+uescape\s*('(?:[^']|'')*')", re.IGNORECASE)
_NOT_UESCAPE = re.compile(r"[0-9a-fA-F+'\"\s]")


def tokenize(sql: str, tokens: list[Token] | None = None) -> list[Token]:
    """The tokens of one statement; unquoted words are folded to lower case, strings are decoded. They go to `tokens`, which
    has those before a mistake.

    `start` and `end` are character offsets (end inclusive). Raises: SqlSyntaxError (42601), StatementTooComplex (54001).
    """
    tokens = [] if tokens is None else tokens
    add = tokens.append
    match = _TOKEN.match
    position, size = 0, len(sql)
    depth = 0
    atomic = 0  # the depth inside BEGIN ATOMIC
    plain_until = 0  # up to there is a long run of operator characters without a special one
    long = size >= LEAST_TEXT
    while position < size:
        found = match(sql, position)
        if found is None:
            raise _unlexable(sql, position)
        kind, end = found.lastgroup, found.end()
        if kind == "space":
            position = end
            continue
        text = found.group()
        if kind == "word":
            text = fold(text)
            if text == "by" and tokens and tokens[-1].text in _PAIRS and tokens[-1].token_type in _PAIR_TYPES:
                first = tokens.pop()
                text, position = _PAIRS[first.text], first.start
            add(Token(_WORDS.get(text, TokenType.VAR), text, 1, 1, position, end - 1))
            if text == "case":
                depth += 1
            elif text == "end":
                depth -= 1
            elif text == "atomic" and len(tokens) > 1 and tokens[-2].text == "begin":
                depth += 1
                atomic = depth
        elif kind == "punct":
            if text in "([":
                depth += 1
                if depth > MAX_NESTING:
                    raise too_complex()
            elif text in ")]":
                depth -= 1
            elif text == ";" and 0 < atomic <= depth:
                add(Token(BODY_SEMICOLON, text, 1, 1, position, end - 1))
                position = end
                continue
            if long and tokens and text in "([":
                before = tokens[-1].token_type
                if before == TokenType.VALUES:
                    stop = rows_end(sql, position)
                    if stop >= 0:
                        add(Token(CONSTANT_ROWS, text, 1, 1, position, stop - 1))
                        depth -= 1
                        position = stop
                        continue
                elif before == (TokenType.IN if text == "(" else TokenType.ARRAY) and (stop := list_end(sql, end)) >= 0:
                    add(Token(_PUNCTUATION[text], text, 1, 1, position, end - 1))
                    add(Token(CONSTANT_LIST, sql[end], 1, 1, end, stop - 1))
                    position = stop
                    continue
            add(Token(_PUNCTUATION[text], text, 1, 1, position, end - 1))
        elif kind == "op":
            if len(text) > MOST_OPERATOR and position >= plain_until:
                run_end = _OPERATOR_RUN.match(sql, position).end()  # type: ignore[union-attr]
                if _SPECIAL.search(sql, position, run_end) is not None or len(_operator(text)) > MOST_OPERATOR:
                    raise SqlSyntaxError(f'operator too long at or near "{sql[position:run_end]}"', position=position + 1)
                plain_until = run_end
            text = _operator(text)
            end = position + len(text)
            if text == "!=":
                text = "<>"
            add(Token(_OPERATORS.get(text, GENERIC_OPERATOR), text, 1, 1, position, end - 1))
        elif kind == "number":
            if end < size and (sql[end].isalpha() or sql[end] == "_"):
                junk = text + _JUNK.match(sql, end).group()  # type: ignore[union-attr]
                raise SqlSyntaxError(f'trailing junk after numeric literal at or near "{junk}"',
                                     position=position + 1)
            add(Token(TokenType.NUMBER, text, 1, 1, position, end - 1))
        elif kind == "string":
            value = text[1:-1].replace("''", "'")
            while (more := _CONTINUATION.match(sql, end)) is not None:
                part = match(sql, more.end() - 1)
                if part is None or part.lastgroup != "string":
                    raise _unlexable(sql, more.end() - 1)
                value += part.group()[1:-1].replace("''", "'")
                end = part.end()
            add(Token(TokenType.STRING, value, 1, 1, position, end - 1))
        elif kind == "quoted":
            if len(text) == 2:
                raise SqlSyntaxError('zero-length delimited identifier at or near """"', position=position + 1)
            add(Token(TokenType.IDENTIFIER, text[1:-1].replace('""', '"'), 1, 1, position, end - 1))
        elif kind == "param":
            add(Token(TokenType.PARAMETER, text[1:], 1, 1, position, end - 1))
        elif kind == "dollar":
            close = sql.find(text, end)
            if close < 0:
                raise SqlSyntaxError(f'unterminated dollar-quoted string at or near "{sql[position:]}"',
                                     position=position + 1)
            value, end = sql[end:close], close + len(text)
            add(Token(TokenType.STRING, value, 1, 1, position, end - 1))
        elif kind == "prefixed":
            escape = "\\"
            if text[0] in "nN":
                add(Token(TokenType.VAR, "nchar", 1, 1, position, position))
            while text[-1] == "'" and text[0] in "eEuU" and (more := _CONTINUATION.match(sql, end)) is not None:
                part = (_ESCAPED_PART if text[0] in "eE" else _UNICODE_PART).match(sql, more.end() - 1)
                if part is None:
                    raise _unlexable(sql, more.end() - 1)
                text, end = text[:-1] + part.group()[1:], part.end()
            if text[0] in "uU" and (uescape := _UESCAPE.match(sql, end)) is not None:
                escape, end = uescape.group(1)[1:-1], uescape.end()
                if len(escape) != 1 or _NOT_UESCAPE.match(escape):
                    raise SqlSyntaxError(f'invalid Unicode escape character at or near "{uescape.group(1)}"',
                                         position=uescape.start(1) + 1)
            add(_prefixed(text, position, end, escape))
        else:
            end = _comment_end(sql, position)
            if end < 0:
                raise _unlexable(sql, position)
        position = end
    return tokens


def fold(name: str) -> str:
    """An unquoted identifier as PostgreSQL folds it: ASCII letters and, in UTF-8, the others to lower case too."""
    return name.lower()


def too_complex() -> StatementTooComplex:
    return StatementTooComplex("stack depth limit exceeded", hint=f"Expressions and subqueries may nest {MAX_NESTING} deep.")


def split_statements(sql: str) -> list[tuple[str, int]]:
    """The statements of a script with the character offset of each; empty ones are left out.

    Text that cannot be lexed stays in its statement, so that `parse` reports it.
    """
    statements: list[tuple[str, int]] = []
    start = position = 0
    first = -1  # offset of the first token of the statement, -1 while there was only space
    size = len(sql)
    last = sql.rfind(";")  # nothing ends after it
    depth = 0
    match = _TOKEN.match
    while position < size:
        found = match(sql, position)
        kind = found.lastgroup if found else None
        end = found.end() if found else size
        if kind == "comment":
            end = _comment_end(sql, position)
            if end < 0:
                first = position if first < 0 else first
                break
        elif kind == "dollar":
            close = sql.find(sql[position:end], end)
            first = position if first < 0 else first
            if close < 0:
                break
            end = close + end - position
        elif kind == "punct":
            mark = sql[position]
            depth += (mark == "(") - (mark == ")")
            if mark == ";" and depth <= 0:
                if first >= 0:
                    statements.append((sql[first:position].rstrip(), first))
                start, first, depth = end, -1, 0
            elif first < 0:
                first = position
        elif kind != "space" and first < 0:
            first = position
        position = end
        if first >= 0 and position > last:
            break
    if first >= 0 and sql[first:].strip():
        statements.append((sql[first:].rstrip(), first))
    elif not statements and start == 0:
        return []
    return statements


def _operator(text: str) -> str:
    """The longest prefix that is one operator: a trailing + or - belongs to it only beside ~ ! @ # % ^ & | ` ?"""
    if len(text) > 1 and text[-1] in "+-" and _SPECIAL.search(text) is None:
        return text.rstrip("+-") or text[0]
    return text


def _comment_end(sql: str, start: int) -> int:
    """The offset after a block comment, which may hold others; -1 when it never ends."""
    depth, position = 0, start
    while True:
        edge = _COMMENT_EDGE.search(sql, position)
        if edge is None:
            return -1
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
        if depth == 0:
            return position


def _prefixed(text: str, start: int, end: int, escape: str) -> Token:
    mark = text[0].lower()
    body = text[text.index("'" if "'" in text[:3] else '"') + 1:-1]
    if mark == "e":
        return Token(TokenType.STRING, unescape(body, start + 2), 1, 1, start, end - 1)
    if mark == "u":
        quoted = text[2] == '"'
        body = body.replace('""', '"') if quoted else body.replace("''", "'")
        return Token(TokenType.IDENTIFIER if quoted else TokenType.STRING, unescape_unicode(body, start + 3, escape),
                     1, 1, start, end - 1)
    kind = {"b": TokenType.BIT_STRING, "x": TokenType.HEX_STRING, "n": TokenType.STRING}[mark]
    return Token(kind, body.replace("''", "'"), 1, 1, start, end - 1)


def _unlexable(sql: str, position: int) -> SqlSyntaxError:
    """The error for text at `position` that starts no token."""
    rest = sql[position:]
    if rest.startswith("/*"):
        what = "unterminated /* comment"
    elif rest[0] == '"' or rest[:3].lower() == 'u&"':
        what = "unterminated quoted identifier"
    elif rest[0] == "'" or (rest[0] in "eEnN" and rest[1:2] == "'"):
        what = "unterminated quoted string"
    else:
        return SqlSyntaxError(f'syntax error at or near "{rest[0]}"', position=position + 1)
    return SqlSyntaxError(f'{what} at or near "{rest}"', position=position + 1)

from __future__ import annotations

import pytest
from sqlglot.tokens import TokenType

from shoal.catalog.errors import SqlSyntaxError, StatementTooComplex
from shoal.exec.sql.lexer import MAX_NESTING, split_statements, tokenize


def texts(sql: str) -> list[str]:
    return [token.text for token in tokenize(sql)]


@pytest.mark.parametrize(("sql", "expected"), [
    ("select A, \"B c\"", ["select", "a", ",", "B c"]),
    ("a<-1", ["a", "<", "-", "1"]),
    ("a @-1", ["a", "@-", "1"]),
    ("a->>'x'#>>'{y}'", ["a", "->>", "x", "#>>", "{y}"]),
    ("a!=b", ["a", "<>", "b"]),
    ("1.5e-3 .5 5. 1..2", ["1.5e-3", ".5", "5.", "1", "..", "2"]),
    ("a--b\n+c", ["a", "+", "c"]),
    ("a/* x /* y */ z */b", ["a", "b"]),
    ("'it''s'", ["it's"]),
    ("'a'\n  'b'", ["ab"]),
    ("'a' 'b'", ["a", "b"]),
    (r"E'a\tb\\\'\x41\u00e9\101'", ["a\tb\\'A\u00e9A"]),
    (r"U&'d\0061t\+000061'", ["data"]),
    ("U&'d!0061t' uescape '!'", ["dat"]),
    ("$$it's$$ $tag$a$$b$tag$", ["it's", "a$$b"]),
    ("$1+$23", ["1", "+", "23"]),
    ("group by order  by", ["group by", "order by"]),
    ("x::int[]", ["x", "::", "int", "[", "]"]),
])
def test_tokens(sql: str, expected: list[str]) -> None:
    assert texts(sql) == expected


def test_places_are_character_offsets() -> None:
    tokens = tokenize("sélect  'ü' , x")
    assert [(t.start, t.end) for t in tokens] == [(0, 5), (8, 10), (12, 12), (14, 14)]
    assert tokens[1].token_type == TokenType.STRING


@pytest.mark.parametrize(("sql", "message", "position"), [
    ("select 'abc", "unterminated quoted string at or near \"'abc\"", 8),
    ('select "abc', 'unterminated quoted identifier at or near ""abc"', 8),
    ("select /* abc", 'unterminated /* comment at or near "/* abc"', 8),
    ("select $x$abc", 'unterminated dollar-quoted string at or near "$x$abc"', 8),
    ('select ""', 'zero-length delimited identifier at or near """"', 8),
    ("select 12abc", 'trailing junk after numeric literal at or near "12abc"', 8),
    ("select \\x", 'syntax error at or near "\\"', 8),
])
def test_what_cannot_be_lexed(sql: str, message: str, position: int) -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        tokenize(sql)
    assert (caught.value.message, caught.value.position) == (message, position)


def test_nesting_is_stopped_before_anything_recurses() -> None:
    tokenize("(" * MAX_NESTING + ")" * MAX_NESTING)
    with pytest.raises(StatementTooComplex):
        tokenize("(" * 10_000 + "1" + ")" * 10_000)


@pytest.mark.parametrize(("script", "expected"), [
    ("", []), (" ; ;\n", []), ("-- nothing\n", []),
    ("select 1", [("select 1", 0)]),
    (" select 1 ; select 2;", [("select 1", 1), ("select 2", 12)]),
    ("select ';' ; select $$;$$; select \";\"", [("select ';'", 0), ("select $$;$$", 13), ('select ";"', 27)]),
    ("select 1 -- a;b\n; select /* ; */ 2", [("select 1 -- a;b", 0), ("select /* ; */ 2", 18)]),
    ("select 'open; select 2", [("select 'open; select 2", 0)]),
    ("select 1; /* open", [("select 1", 0), ("/* open", 10)]),
])
def test_split(script: str, expected: list[tuple[str, int]]) -> None:
    assert split_statements(script) == expected


def test_long_statements_are_lexed_in_linear_time() -> None:
    sql = "select 1 where x in (" + ",".join(f"'{i}'  -- item\n  " for i in range(20_000)) + ")"
    assert len(tokenize(sql)) == 40_006

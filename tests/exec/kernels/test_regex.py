"""Regular expressions: which engine may answer, what our own finds, and that none takes for ever."""

from __future__ import annotations

import random
import time

import pyarrow as pa
import pytest

from shoal.catalog.errors import InvalidRegularExpression
from shoal.exec.kernels import regex
from shoal.exec.kernels.regex_matcher import Matcher
from shoal.exec.kernels.regex_shapes import alike
from shoal.exec.kernels.regex_syntax import Options, parse


@pytest.mark.parametrize(("pattern", "same"), [
    (r"^(\w+)\s+(.*)$", True), (r"a*b+c?", True), (r"^https?://(?:www\.)?([^/]+)/.*$", True), (r"x(foo|bar)y*", True),
    (r"<.*?>", True), (r"a.*?b.*c", False), (r"a|ab", False), (r"foo|bar", True), (r"a*(ab)?", False), (r"(a+)+", False),
    (r"(a)\1", False), (r"a(?=b)", False), (r"(a*?){1,1}b", False), (r"\m\w+", False), (r"(?:jpe?g|png)", False),
    (r"\.(jpg|png|html)$", True), (r"(a|b)*", False)])
def test_other_engines_answer_only_where_they_provably_agree(pattern: str, same: bool) -> None:
    assert (alike(parse(pattern, Options()).tree) is not None) is same


def _random_alike(rng: random.Random) -> str:
    """Mostly of the provable shape."""
    items = [rng.choice(["a", "b", ".", "[ab]", "[^a]", "(ab|cd)", "(a[bc])", "(?:abc|bd)", "(b*)", "(.)"])
             + rng.choice(["", "", "*", "+", "?", "{2}", "{1,3}"]) for _ in range(rng.randint(1, 5))]
    return rng.choice(["", "^"]) + "".join(items) + rng.choice(["", "$"])


def test_python_and_our_matcher_find_the_same_in_provable_shapes() -> None:
    rng = random.Random(5)
    seen = 0
    for _ in range(1500):
        pattern = _random_alike(rng)
        syntax = parse(pattern, Options())
        if alike(syntax.tree) is None:
            continue
        seen += 1
        other, own = regex.Pattern(pattern, Options()), Matcher(syntax)
        for _ in range(4):
            text = "".join(rng.choice("aabbcd") for _ in range(rng.randint(0, 9)))
            found, spans = other.search(text), own.search(own.reader(text), 0)
            mine = None if found is None else [(found.start(g), found.end(g)) for g in range(other.groups + 1)]
            assert mine == spans, (pattern, text)
    assert seen > 400


def test_no_text_takes_for_ever() -> None:
    started = time.monotonic()
    with pytest.raises(InvalidRegularExpression, match="too complex"):
        regex.compiled(r"^(.*)(.*)(.*)(.*)\1\2\3\4x$").found("abcdefghij" * 30 + "x")
    assert not regex.compiled(r"^(\w+\s?)+$").found("word " * 400 + "!")
    assert regex.compiled(r"(x+x+)+y").search("x" * 3000) is None
    assert time.monotonic() - started < 15


def test_words_beyond_ascii_are_words_for_every_engine() -> None:
    column = pa.array(["größe", "a b", "日本 x", "²", None])
    assert regex.matches(column, regex.compiled(r"^\w+$")).tolist()[:4] == [True, False, False, False]
    assert regex.replace(column, regex.compiled(r"\w+"), "<\\&>", occurrence=0).to_pylist() == [
        "<größe>", "<a> <b>", "<日本> <x>", "²", None]
    assert regex.compiled(r"\y\w").search("é") is not None


@pytest.mark.parametrize(("pattern", "reason"), [
    ("(", "parentheses () not balanced"), ("[a", "brackets [] not balanced"), ("a{1", "braces {} not balanced"),
    ("a{2,1}", "invalid repetition count(s)"), ("*a", "quantifier operand invalid"), ("[z-a]", "invalid character range"),
    ("[[:nope:]]", "invalid character class"), ("\\q", "invalid escape \\ sequence"),
    ("(a)\\2", "invalid backreference number"),
    ("(?z)a", "invalid embedded option"), ("x*y*z*" * 1000, "regular expression is too complex")])
def test_faults_have_their_reasons(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidRegularExpression) as raised:
        regex.compiled(pattern)
    assert raised.value.message == f"invalid regular expression: {reason}"

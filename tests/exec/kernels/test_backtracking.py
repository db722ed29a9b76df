"""Regular expressions whose search never ends: they give an error, and nobody else waits for them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import pytest

from shoal.catalog.errors import InvalidRegularExpression
from shoal.exec.kernels import backtracking
from shoal.exec.kernels.backtracking import Found, Guarded, _shape


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    yield
    backtracking.close()


@pytest.mark.parametrize(("source", "shape"), [
    (r"a*b+c?", (2, 1, False)), (r"(a+)+", (2, 0, True)), (r"(?:a|b)*", (1, 1, True)), (r"(ab)*", (1, 0, False)),
    (r"[*+?(]\*", (0, 0, False)), (r"[]*]+", (1, 0, False)), (r"(a?){20}", (1, 1, True)), (r"x{2}y{1,3}", (0, 3, False)),
    (r"(?s)^(\w+\s?)*\Z", (2, 1, True)), (r"((a)b+)c*", (2, 0, False))])
def test_what_a_pattern_may_do_is_seen(source: str, shape: tuple[int, int, bool]) -> None:
    assert _shape(source) == shape


@pytest.mark.parametrize("source", [r"(\w+\s?)+", r"((a|b)*)(x)?", r"(?:a|ab)*?(c|$)"])
def test_the_child_finds_what_python_finds(source: str) -> None:
    text, guarded, plain = "ab abc aab x é abab", Guarded(source), re.compile(source)
    found = list(guarded.finditer(text))
    assert all(isinstance(match, Found) for match in found)
    expected = list(plain.finditer(text))
    assert [(m[0], m.groups(), m.start(), m.end(1)) for m in found] == [
        (m[0], m.groups(), m.start(), m.end(1)) for m in expected]
    first = guarded.search(text)
    assert first is not None and first[0] == expected[0][0]
    assert guarded.sub(lambda match: f"<{match[0]}>", text) == plain.sub(lambda match: f"<{match[0]}>", text)


def test_a_search_without_end_is_an_error_and_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[BaseException] = []

    def search() -> None:
        try:
            Guarded(r"^(a|a)*\1c$").search("a" * 60 + "b")
        except InvalidRegularExpression as error:
            failed.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    turns, started = 0, time.monotonic()
    while thread.is_alive():
        time.sleep(0.01)
        turns += 1
    assert len(failed) == 1 and turns > 100 and time.monotonic() - started < 5
    assert Guarded(r"(b+)+").search("aaaaaaaabbb") is not None

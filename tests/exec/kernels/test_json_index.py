"""Members found over a whole column are those that the parser finds row by row."""

from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
import pytest

from shoal.exec.functions.json_access import member_column
from shoal.exec.functions.json_text import canonical_jsonb, load
from shoal.exec.kernels import json_index

KEYS = ("a", "name", "b c", "x1", "tags")
SCALARS = (1, 1.5, True, None, "x", "name", "a{b", "]}", "\\", "é☃", 'q"', "", 'a, "name": ')
LAYOUTS: tuple[dict[str, Any], ...] = ({}, {"separators": (",", ":")}, {"separators": (" , ", " : ")}, {"indent": 1})


def _value(random_: random.Random, depth: int) -> Any:
    chance = random_.random()
    if depth and chance < 0.2:
        return {random_.choice((*KEYS, 'q"x')): _value(random_, depth - 1) for _ in range(random_.randint(0, 4))}
    if depth and chance < 0.35:
        return [_value(random_, depth - 1) for _ in range(random_.randint(0, 3))]
    return random_.choice(SCALARS)


def _expected(text: str | None, key: str, as_text: bool) -> Any:
    value = None if text is None else load(text)
    if not isinstance(value, dict) or key not in value:
        return None
    found = value[key]
    if as_text and (found is None or isinstance(found, str)):
        return found
    return ("json", found)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_members_are_those_that_the_parser_finds(seed: int, binary: bool) -> None:
    random_ = random.Random(seed)
    rows: list[str | None] = []
    for _ in range(40):
        top = _value(random_, 3) if random_.random() < 0.2 else {random_.choice(KEYS): _value(random_, 2) for _ in range(5)}
        text = json.dumps(top, ensure_ascii=False, **random_.choice(LAYOUTS))
        rows.append(None if random_.random() < 0.1 else canonical_jsonb(text) if binary else text)
    column = pa.array([None, *rows, None], pa.string()).slice(1, len(rows))
    for key in KEYS:
        for as_text in (False, True):
            found = member_column(column, key, binary, as_text).to_pylist()
            for text, one in zip(rows, found, strict=True):
                wanted = _expected(text, key, as_text)
                assert (("json", load(one)) if isinstance(wanted, tuple) and one is not None else one) == wanted


def test_values_under_null_are_not_looked_at() -> None:
    texts = pa.array(['{"a": 1}', "{broken", '{"a": "x"}'])
    held = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), *texts.buffers()[1:]])
    assert member_column(held, "a", True, True).to_pylist() == ["1", None, "x"]


def test_escapes_are_read() -> None:
    texts = pa.array(['{"x\\"a": 1, "b": "\\\\", "a": "\\n{"}', '{"\\u0061": [1, "]\\\\\\""], "b": {"a": 3}}',
                      '{"b": "\\"a\\": 2", "a": 4}'])
    assert member_column(texts, "a", False, True).to_pylist() == ["\n{", '[1, "]\\\\\\""]', "4"]
    assert member_column(texts, "a", False, False).to_pylist() == ['"\\n{"', '[1, "]\\\\\\""]', "4"]
    assert member_column(texts, "b", False, True).to_pylist() == ["\\", '{"a": 3}', '"a": 2']


@pytest.mark.parametrize("length", [1, 40, 62, 63, 64, 65, 127, 128, 500])
def test_values_may_be_of_any_length(length: int) -> None:
    text, nested = "[" * length, ["]{", {"a": [1] * length}]
    column = pa.array([json.dumps({"b": text, "a": nested, "c": {"a": 1}}), '{"a": 1}'] * 3)
    assert member_column(column, "b", True, True).to_pylist() == [text, None] * 3
    assert member_column(column, "a", True, False).to_pylist() == [json.dumps(nested), "1"] * 3
    assert member_column(column, "c", True, False).to_pylist() == ['{"a": 1}', None] * 3


def test_names_that_bytes_cannot_tell() -> None:
    assert json_index.is_plain("user_id") and json_index.is_plain("a b")
    assert not any(map(json_index.is_plain, ("", ', "a', 'a"b', "a\\b", ":")))

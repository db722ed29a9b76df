"""Elements of JSON arrays found in whole columns are those that the row by row reader finds."""

from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
import pytest

from shoal.exec.functions.json_sets import parts_of
from shoal.exec.functions.json_text import unquoted
from shoal.exec.kernels import json_elements


def _value(draw: random.Random, depth: int) -> Any:
    kind = draw.randrange(9 if depth < 3 else 6)
    if kind < 6:
        return [None, True, draw.randrange(-5, 500), 1.5, "", draw.choice(["a,b", "[x]", "{", " }", "é", "a: [1, 2]"])][kind]
    items = [_value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return {f"k{at},": item for at, item in enumerate(items)} if kind == 6 else items


def _text(draw: random.Random, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=draw.choice([(",", ":"), (", ", ": "), (" ,\n ", " :\t")]))
    return draw.choice(["", " ", "\n\t"]) + text + draw.choice(["", " ", "\r\n"])


@pytest.mark.parametrize("seed", range(30))
def test_elements_are_those_of_the_row_by_row_reader(seed: int) -> None:
    draw = random.Random(seed)
    texts = [None if draw.random() < 0.1 else _text(draw, _value(draw, draw.randrange(2))) for _ in range(60)]
    texts += [_text(draw, [_value(draw, 1) for _ in range(draw.randrange(5))]) for _ in range(60)]
    draw.shuffle(texts)
    found = json_elements.elements(pa.array(texts).slice(7))
    assert found is not None
    parts = [[] if text is None else parts_of(text)[1] if parts_of(text)[0] == "array" else [] for text in texts[7:]]
    values = [value for row in parts for _, value in row]
    assert found.counts.tolist() == [len(row) for row in parts]
    assert found.texts(False).to_pylist() == values
    assert found.texts(True).to_pylist() == [unquoted(value) for value in values]
    for index in (0, 1, -1, -3, 40):
        made = found.at(index, False)
        if made is not None:
            assert made.to_pylist() == [row[index][1] if -len(row) <= index < len(row) else None for row in parts]


def test_escapes_and_scalars_are_left_to_the_reader() -> None:
    assert json_elements.elements(pa.array(['["a\\"]"]'])) is None
    found = json_elements.elements(pa.array(['[1]', '2']))
    assert found is not None and not found.only_arrays and found.at(0, True) is None


@pytest.mark.parametrize("texts", [[], [None], ["[]", "[ ]", "{}"], [None, "[[], {}]"]])
def test_columns_with_little_in_them(texts: list[str | None]) -> None:
    found = json_elements.elements(pa.array(texts, pa.string()))
    assert found is not None
    assert found.texts(False).to_pylist() == (["[]", "{}"] if texts and texts[-1] == "[[], {}]" else [])
    made = found.at(1, False)
    assert made is not None and made.to_pylist() == [None if text != "[[], {}]" else "{}" for text in texts]

"""A member of many JSON objects at once: where a name's value begins and ends, found over the bytes of a whole column.

Rows are taken apart by numpy: quotes outside escapes, the depth of braces outside strings, names that are as long as the
one wanted. What this cannot tell (escapes, odd blanks, a name twice) is left to the caller's parser, row by row. The texts
are known to be JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from shoal.exec.kernels import nulls, views

_PLAIN = re.compile(r'[A-Za-z0-9_][^"\\\x00-\x1f]*')
_QUOTE, _BACKSLASH, _COLON, _SPACE = 34, 92, 58, 32
_OBJECT = 123
_MARKS = bytes(chr(byte) in '"\\,[]{}' for byte in range(256))
"""What bytes.translate makes of texts: 1 for the bytes that say something (many times faster than numpy's indexing)."""
_BLANKS = np.zeros(256, np.bool_)
_BLANKS[[9, 10, 13, 32]] = True


def is_plain(key: str) -> bool:
    """Whether the name can be looked for: its bytes between quotes are always it."""
    return _PLAIN.fullmatch(key) is not None


def member(texts: pa.Array, key: str, as_text: bool, parse: Callable[[str], str | None]) -> pa.Array:
    """For each JSON text the text of its member `key`; as_text: strings without quotes, null as NULL. `parse` answers for
    rows that the index does not understand."""
    rows = len(texts)
    valid = nulls.validity(texts)
    if rows == 0:
        return pa.nulls(0, pa.string())
    offsets = np.frombuffer(texts.buffers()[1], np.int32, rows + 1, texts.offset * 4).astype(np.int64)
    base = int(offsets[0])
    buffer = texts.buffers()[2]
    held = buffer.slice(base, int(offsets[-1]) - base).to_pybytes() if buffer is not None else b""
    data = np.frombuffer(held, np.uint8)
    offsets -= base
    if b"\\" not in held and f'"{key}"'.encode() not in held:
        return pa.nulls(rows, pa.string())
    places = np.flatnonzero(np.frombuffer(held.translate(_MARKS), np.bool_))
    marks = data[places]
    odd = _rows_of(offsets, places[marks == _BACKSLASH])
    unclear = np.zeros(rows, np.bool_)
    unclear[odd] = True
    if valid is not None:
        unclear[~valid] = False
        if len(data) and (np.diff(offsets)[~valid] != 0).any():
            unclear[:] = valid  # what lies under NULL is anything
    if unclear.any() and 4 * int(unclear.sum()) > rows:
        starts = ends = np.zeros(rows, np.int64)
        unclear = np.ones(rows, np.bool_) if valid is None else valid.copy()
        found = np.zeros(rows, np.bool_)
    elif unclear.any():
        kept = np.flatnonzero(~unclear)
        part = texts.take(pa.array(kept))
        answered = member(part, key, as_text, parse).to_pylist()
        out: list[str | None] = [None] * rows
        for row, value in zip(kept.tolist(), answered, strict=True):
            out[row] = value
        for row in np.flatnonzero(unclear).tolist():
            out[row] = parse(texts[row].as_py())
        return pa.array(out, pa.string())
    else:
        starts, ends, found, unclear = _spans(data, offsets, key.encode(), places, marks)
        if valid is not None:
            unclear &= valid
    if as_text:
        starts, ends, found = _without_quotes(data, starts, ends, found & ~unclear)
    result = _gathered(data, starts, ends, found & ~unclear)
    if not unclear.any():
        return result
    values = result.to_pylist()
    for row in np.flatnonzero(unclear).tolist():
        values[row] = parse(texts[row].as_py())
    return pa.array(values, pa.string())


def _rows_of(offsets: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The rows that hold these bytes."""
    return np.searchsorted(offsets, positions, side="right") - 1


def _spans(data: np.ndarray, offsets: np.ndarray, key: bytes, places: np.ndarray,
           marks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(start, end, found, unclear) of each row's member; no byte of `data` is a backslash. `marks`: the quotes, commas and
    braces, which are at `places`."""
    rows = len(offsets) - 1
    starts, ends = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    found, unclear = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    quotes = places[marks == _QUOTE]
    openings, closings = quotes[0::2], quotes[1::2]
    named = np.flatnonzero(closings - openings == len(key) + 1)
    for place in (0, len(key) - 1, *range(1, len(key) - 1)):
        if not len(named):
            break
        named = named[data[openings[named] + 1 + place] == key[place]]
    if not len(named):
        return starts, ends, found, unclear
    after = closings[named] + 1
    last = len(data) - 1
    colon = data[np.minimum(after, last)] == _COLON
    hits = _rows_of(offsets, openings[named])
    if not colon.all():  # a string that is not a name, or a blank before the colon
        unclear[hits[~colon & _BLANKS[data[np.minimum(after, last)]]]] = True
        named, hits, after = named[colon], hits[colon], after[colon]
    depths, braces = _braces(places, marks, openings, closings)
    levels = np.concatenate([np.zeros(1, np.int64), np.cumsum(depths)])
    at = np.searchsorted(braces, openings[named])
    top = levels[at] == 1
    named, hits, after, at = named[top], hits[top], after[top], at[top]
    inside = data[np.minimum(braces[np.maximum(np.searchsorted(braces, offsets[hits]), 0)], last)] == _OBJECT
    named, hits, after, at = named[inside], hits[inside], after[inside], at[inside]
    twice = hits[1:][hits[1:] == hits[:-1]]
    unclear[twice] = True
    begin = after + 1
    begin += data[np.minimum(begin, last)] == _SPACE
    unclear[hits[_BLANKS[data[np.minimum(begin, last)]]]] = True
    finish = _ends(data, begin, quotes, places[(marks == 44) | (marks == 125)], braces, levels, at)
    unclear[hits[_BLANKS[data[np.maximum(finish - 1, 0)]]]] = True
    starts[hits], ends[hits], found[hits] = begin, finish, True
    return starts, ends, found, unclear


def _braces(places: np.ndarray, marks: np.ndarray, openings: np.ndarray,
            closings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """+1 and -1 of the braces and brackets outside strings, and their places."""
    opens = (marks == _OBJECT) | (marks == 91)
    chosen = opens | (marks == 125) | (marks == 93)
    places, depths = places[chosen], np.where(opens[chosen], 1, -1)
    string = np.searchsorted(openings, places) - 1
    outside = (string < 0) | (closings[np.maximum(string, 0)] < places) if len(closings) else np.ones(len(places), np.bool_)
    return depths[outside], places[outside]


def _ends(data: np.ndarray, begin: np.ndarray, quotes: np.ndarray, stops: np.ndarray, braces: np.ndarray,
          levels: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Where the values that begin at `begin` end. `at`: the number of braces before each; `stops`: commas and }."""
    finish = np.zeros(len(begin), np.int64)
    first = data[np.minimum(begin, len(data) - 1)]
    strings = first == _QUOTE
    finish[strings] = quotes[np.searchsorted(quotes, begin[strings]) + 1] + 1
    nested = (first == _OBJECT) | (first == 91)
    closing = np.flatnonzero((levels[1:] == 1) & (levels[:-1] == 2))  # braces that come back to the first level
    finish[nested] = braces[closing[np.searchsorted(closing, at[nested])]] + 1
    scalars = ~strings & ~nested
    finish[scalars] = stops[np.searchsorted(stops, begin[scalars])]
    return finish


def _without_quotes(data: np.ndarray, starts: np.ndarray, ends: np.ndarray,
                    found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strings lose their quotes; null is not found."""
    first = data[np.minimum(np.where(found, starts, 0), max(len(data) - 1, 0))] if len(data) else np.zeros(len(starts))
    quoted = found & (first == _QUOTE)
    return starts + quoted, ends - quoted, found & (first != ord("n"))


def _gathered(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, found: np.ndarray) -> pa.Array:
    """A string array of these pieces of `data`."""
    lengths = np.where(found, ends - starts, 0)
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    source = np.repeat(starts - offsets[:-1], lengths) + np.arange(int(offsets[-1]))
    taken = data[source]
    return pa.Array.from_buffers(pa.string(), len(starts), [
        None if found.all() else views.bitmap(found), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(taken)])

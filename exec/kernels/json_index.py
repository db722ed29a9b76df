"""A member of many JSON objects at once: where a name's value begins and ends, found over the bytes of a whole column.

The name is found by its bytes, wherever it stands. A bit for each byte then says what is a quote and what lies inside a
string (the parity of the quotes before it, 64 bytes a word, as simdjson does), so that the depth of a place is a count of
bits. What this cannot tell (a name that may be written with escapes, odd blanks, a name twice) is left to the caller's
parser, row by row. The texts are known to be JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.exec.kernels import views

_PLAIN = re.compile(r'[A-Za-z0-9_][^"\\\x00-\x1f]*')
_QUOTE, _BACKSLASH, _COLON, _SPACE, _COMMA = 34, 92, 58, 32, 44
_OBJECT, _OBJECT_END, _ARRAY = 123, 125, 91
_BRACKET = 32
"""The bit that [ and {, and ] and } differ in."""
BLANKS = np.zeros(256, np.bool_)
BLANKS[[9, 10, 13, 32]] = True


def is_plain(key: str) -> bool:
    """Whether the name can be looked for: its bytes between quotes are always it, but for escapes that need not be."""
    return _PLAIN.fullmatch(key) is not None


def member(texts: pa.Array, key: str, as_text: bool, parse: Callable[[str], str | None],
           canonical: bool = False) -> pa.Array:
    """For each JSON text the text of its member `key`; as_text: strings without quotes, null as NULL. `parse` answers for
    rows that the index does not understand. canonical: no name has an escape that it could be written without (jsonb)."""
    if texts.null_count:
        texts = texts.fill_null("")  # nothing lies under NULL then
    structure = Structure.of(texts)
    starts, ends, found, unclear = _spans(structure, key.encode())
    escapes = structure.escapes
    if len(escapes) and not canonical:  # a plain name can be written with these
        letters = structure.data[escapes + 1]
        unclear[rows_of(structure.offsets, escapes[(letters == ord("u")) | (letters == ord("/"))])] = True
    if len(escapes) and as_text:  # strings are to be read
        strings = found & (structure.data.take(starts, mode="clip") == _QUOTE)
        unclear |= strings & (np.searchsorted(escapes, starts) != np.searchsorted(escapes, ends))
    found &= ~unclear
    if as_text:
        starts, ends, found = without_quotes(structure.data, starts, ends, found)
    result = gathered(structure.data, starts, ends, found)
    if unclear.any():
        parsed = [parse(text) for text in texts.filter(views.array_of(unclear, pa.bool_())).to_pylist()]
        result = pc.replace_with_mask(result, views.array_of(unclear, pa.bool_()), pa.array(parsed, pa.string()))
    return result


@dataclass(frozen=True)
class Structure:
    """What the bytes of a column of JSON texts are; `offsets`: where each row begins, and where the last ends."""

    data: np.ndarray
    offsets: np.ndarray
    quotes: np.ndarray
    """A bool for each byte: whether it begins or ends a string."""
    escapes: np.ndarray
    """The places of backslashes."""

    @classmethod
    def of(cls, texts: pa.Array) -> Structure:
        """Texts without NULLs."""
        offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
        held, base = texts.buffers()[2], int(offsets[0])
        data = np.frombuffer(held, np.uint8)[base:int(offsets[-1])] if held is not None else np.zeros(0, np.uint8)
        offsets -= base
        quotes = data == _QUOTE
        escapes = np.flatnonzero(data == _BACKSLASH)
        if len(escapes):  # of a run of backslashes each second one is escaped, and after an odd run what follows
            begins = np.flatnonzero(np.diff(escapes, prepend=-2) != 1)
            lengths = np.diff(begins, append=len(escapes))
            quotes[escapes[begins[lengths % 2 == 1]] + lengths[lengths % 2 == 1]] = False
        return cls(data, offsets, quotes, escapes)

    @cached_property
    def quote_bits(self) -> np.ndarray:
        return _bits(self.quotes)

    @cached_property
    def _inside(self) -> np.ndarray:
        """Bits of the bytes inside strings, with the opening quote."""
        inside = self.quote_bits.copy()
        for shift in (1, 2, 4, 8, 16, 32):
            inside ^= inside << np.uint64(shift)
        carried = np.logical_xor.accumulate((inside >> np.uint64(63)).astype(np.bool_))
        inside[1:][carried[:-1]] ^= np.uint64(0xFFFFFFFFFFFFFFFF)
        return inside

    @cached_property
    def _braces(self) -> tuple[np.ndarray, np.ndarray]:
        """Bits of the opening and of the closing braces and brackets outside strings."""
        lower = self.data | np.uint8(_BRACKET)
        return _bits(lower == _OBJECT) & ~self._inside, _bits(lower == _OBJECT_END) & ~self._inside

    @cached_property
    def _depths(self) -> np.ndarray:
        """The depth before each word."""
        opening, closing = self._braces
        depths = np.zeros(len(opening) + 1, np.int64)
        np.cumsum(np.bitwise_count(opening).astype(np.int8) - np.bitwise_count(closing).astype(np.int8), out=depths[1:])
        return depths

    def depth(self, at: np.ndarray) -> np.ndarray:
        """How many objects and arrays hold these places."""
        words, below = at >> 6, (np.uint64(1) << (at & 63).astype(np.uint64)) - np.uint64(1)
        opening, closing = self._braces
        return self._depths[words] + np.bitwise_count(opening[words] & below) - np.bitwise_count(closing[words] & below)

    @cached_property
    def closings(self) -> np.ndarray:
        """The places where a value of the first level ends that is an object or array."""
        opening, closing = self._braces
        places = _places(opening | closing)
        steps = np.where(self.data[places] | _BRACKET == _OBJECT, np.int64(1), np.int64(-1))
        return places[(np.cumsum(steps) == 1) & (steps < 0)]

    def bounds(self) -> np.ndarray:
        """The places of commas, braces and brackets outside strings."""
        opening, closing = self._braces
        return _places(opening | closing | (_bits(self.data == _COMMA) & ~self._inside))

    def stop_bits(self) -> np.ndarray:
        """Bits of all that ends a number, true, false or null."""
        return _bits((self.data == _COMMA) | (self.data == _OBJECT_END))


def rows_of(offsets: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The rows that hold these bytes, which ascend."""
    rows = len(offsets) - 1
    if len(positions) == rows and (positions >= offsets[:-1]).all() and (positions < offsets[1:]).all():
        return np.arange(rows)  # one in each
    return np.searchsorted(offsets, positions, side="right") - 1


def _bits(mask: np.ndarray) -> np.ndarray:
    """A bit for each bool, in words of 64; at least one word more than needed."""
    words = np.zeros(len(mask) // 64 + 2, np.uint64)
    words.view(np.uint8)[:(len(mask) + 7) // 8] = np.packbits(mask, bitorder="little")
    return words


def _places(words: np.ndarray) -> np.ndarray:
    """The places of the set bits."""
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little").view(np.bool_))


def _next(words: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The first set bit from each of these places on; there must be one."""
    which = at >> 6
    held = words[which] & (np.uint64(0xFFFFFFFFFFFFFFFF) << (at & 63).astype(np.uint64))
    later = np.flatnonzero(held == 0)
    if len(later):
        filled = np.flatnonzero(words)
        which[later] = filled.take(np.searchsorted(filled, which[later] + 1), mode="clip")
        held[later] = words[which[later]]
    return (which << 6) + np.bitwise_count((held & -held) - np.uint64(1))


def _spans(structure: Structure, key: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(start, end, found, unclear) of each row's member."""
    data, offsets = structure.data, structure.offsets
    rows = len(offsets) - 1
    starts, ends = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    found, unclear = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    span = len(key) + 1
    if len(data) <= span + 1:
        return starts, ends, found, unclear
    named = np.flatnonzero(structure.quotes[:-span] & structure.quotes[span:] & (data[1:1 - span] == key[0]))
    for place in range(len(key) - 1, 0, -1):
        if not len(named):
            break
        named = named[data[named + 1 + place] == key[place]]
    after = data.take(named + span + 1, mode="clip")
    blank = BLANKS[after]
    if blank.any():  # a blank before the colon, or a string that is not a name
        unclear[rows_of(offsets, named[blank])] = True
    named = named[after == _COLON]
    if not len(named):
        return starts, ends, found, unclear
    hits = rows_of(offsets, named)
    top = named == offsets[hits] + 1  # the row's first name; others need a look at what holds them
    if not top.all():
        top = structure.depth(named) == 1
        named, hits = named[top], hits[top]
    unclear[hits[1:][hits[1:] == hits[:-1]]] = True
    begin = named + span + 2
    begin += data[begin] == _SPACE
    unclear[hits[BLANKS[data[begin]]]] = True
    first = data[begin]
    finish = np.zeros(len(begin), np.int64)
    strings, nested = first == _QUOTE, (first == _OBJECT) | (first == _ARRAY)
    scalars = ~strings & ~nested
    if strings.any():
        finish[strings] = _next(structure.quote_bits, begin[strings] + 1) + 1
    if nested.any():
        finish[nested] = structure.closings[np.searchsorted(structure.closings, begin[nested])] + 1
    if scalars.any():
        finish[scalars] = _next(structure.stop_bits(), begin[scalars])
    unclear[hits[BLANKS[data[finish - 1]]]] = True
    starts[hits], ends[hits], found[hits] = begin, finish, True
    return starts, ends, found, unclear


def without_quotes(data: np.ndarray, starts: np.ndarray, ends: np.ndarray,
                    found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strings lose their quotes; null is not found."""
    first = data[np.minimum(np.where(found, starts, 0), max(len(data) - 1, 0))] if len(data) else np.zeros(len(starts))
    quoted = found & (first == _QUOTE)
    return starts + quoted, ends - quoted, found & (first != ord("n"))


def gathered(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, found: np.ndarray) -> pa.Array:
    """A string array of these pieces of `data`, which lie one after another: each second one of pieces without gaps."""
    rows = len(starts)
    bounds = np.zeros(2 * rows + 2, np.int32)
    bounds[1:-1:2], bounds[2::2] = np.where(found, starts, 0), np.where(found, ends, 0)
    np.maximum.accumulate(bounds, out=bounds)
    pieces = pa.Array.from_buffers(pa.string(), 2 * rows + 1, [None, pa.py_buffer(bounds), pa.py_buffer(data)])
    return pieces.take(pa.array(np.arange(1, 2 * rows + 1, 2, dtype=np.int32), mask=None if found.all() else ~found))

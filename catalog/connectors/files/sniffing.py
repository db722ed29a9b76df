"""How a delimited text file is written, found out from a sample of it: delimiter, quote, header, column types.

Follows what DuckDB's CSV reader takes for granted, except that a row with too many or too few fields stays an error
instead of making the whole file one column. Types come from whole Arrow columns of the sample, never row by row.

Hop 2 (columns while binding). Spec: RFC 4180, and the many files that do not keep to it.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.connectors.files.formats import distinct_names
from shoal.catalog.errors import BadCopyFileFormat
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT8, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, SqlType, numeric

DELIMITERS = (",", "\t", ";", "|")
_SHAPE_ROWS = 300
"""Records that decide on delimiter, quote and header."""
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
TRUE_VALUES = ("true", "TRUE", "True", "t", "T")
FALSE_VALUES = ("false", "FALSE", "False", "f", "F")
_FEW_VALUES = 1000
csv.field_size_limit(1 << 30)


@dataclass(frozen=True, slots=True)
class Dialect:
    """`start` is where the first record begins, in bytes of the decompressed UTF-8 text; `line` its line number.

    `kinds` say how each column is to be read: see `Kind`.
    """

    delimiter: str
    quote: str
    escape: str
    start: int
    line: int
    names: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    encoding: str = ""
    row_bytes: int = 64


KINDS: dict[str, SqlType] = {
    "text": TEXT, "code": TEXT, "bool": BOOL, "int8": INT8, "float8": FLOAT8, "numeric": numeric(38, 0), "date": DATE,
    "time": TIME, "timestamp": TIMESTAMP, "timestamp_ns": TIMESTAMP, "timestamptz": TIMESTAMPTZ,
    "timestamptz_ns": TIMESTAMPTZ, "null": TEXT,
}
"""How a column of text is understood. "code" is text with few distinct values, read as a dictionary; "_ns" has more
than six digits of a second. A "?" after it: quoted empty strings stand for NULL in the column."""


@dataclass(frozen=True, slots=True)
class _Shape:
    score: float
    width: int
    delimiter: str
    quote: str
    escape: str
    rows: list[list[str]]
    lines: list[int]


def shape(sample: bytes, preferred: str, display: str) -> tuple[Dialect, bool]:
    """(the dialect without kinds, whether there is a header) of the text that `sample` begins.

    `sample` ends where a line ends or the file does. Raises: BadCopyFileFormat (22P04) where no way of reading it fits.
    """
    start = 3 if sample.startswith(b"\xef\xbb\xbf") else 0
    lines = _LINE.findall(sample, start, start + (1 << 20))[:4 * _SHAPE_ROWS]
    text = [line.decode("utf-8", "surrogateescape") for line in lines]
    best = max((found for delimiter in sorted(DELIMITERS, key=lambda d: d != preferred) for quote in ('"', "'")
                for escape in ("", "\\") if (found := _try(text, delimiter, quote, escape)) is not None),
               key=lambda s: (round(s.score, 3), s.width > 1, -len(s.escape), s.quote == "'", s.width), default=None)
    if best is None or best.width == 1:
        best = _try(text, _unused(sample), '"', "") or _Shape(0, 0, ",", '"', "", [], [])
    if not best.rows:
        return Dialect(best.delimiter, best.quote, best.escape, len(sample), len(lines) + 1, ()), False
    skipped = _preamble(best)
    rows = best.rows[skipped:]
    has_header = _has_header(rows)
    names = rows[0] if has_header else [f"column{i}" for i in range(best.width)]
    if len(names) != best.width and len(rows) > 1:
        raise BadCopyFileFormat(f'file "{display}", line {best.lines[skipped]}: {len(rows[0])} fields where the other '
                                f"rows have {best.width}")
    first = skipped + has_header
    consumed = best.lines[first - 1] if first else 0  # lines[i]: lines up to and with record i
    offset = start + sum(map(len, lines[:consumed]))
    names = distinct_names([name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip() for name in names])
    return Dialect(best.delimiter, best.quote, best.escape, offset, consumed + 1, tuple(names)), has_header


def _try(lines: Sequence[str], delimiter: str, quote: str, escape: str) -> _Shape | None:
    """The first records read this way, and the share of them that have as many fields as most have."""
    if quote == "'" and not _single_quoted(lines, delimiter):
        return None
    if escape and not any(escape + quote in line for line in lines):
        return None
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, escapechar=escape or None, doublequote=not escape)
    rows: list[list[str]] = []
    ends: list[int] = []
    try:
        for row in reader:
            if row or delimiter == "\x1f":
                rows.append(row or [""])
                ends.append(reader.line_num)
            if len(rows) == _SHAPE_ROWS:
                break
    except csv.Error:
        return None
    if not rows:
        return None
    widths = Counter(map(len, rows))
    most = max(widths.values())
    width = len(rows[0]) if widths[len(rows[0])] == most else max(w for w, n in widths.items() if n == most)
    body = [len(row) for row in rows[next(i for i, row in enumerate(rows) if len(row) == width):]]
    score = body.count(width) / len(body) if width > 1 else 0.5
    if width > 1 and score < 0.9 and len(rows[0]) == 1:
        score = 0.4  # rather one column of sentences with commas in them
    return _Shape(score, width, delimiter, quote, escape, rows, ends)


def _single_quoted(lines: Sequence[str], delimiter: str) -> bool:
    """Whether apostrophes are quotes: some fields start with one, all of those end with one, and no '"' is a quote."""
    edge = re.escape(delimiter)
    opened = whole = 0
    for line in lines:
        if re.search(rf'(?:^|{edge})"', line):
            return False
        opened += len(re.findall(rf"(?:^|{edge})'", line))
        whole += len(re.findall(rf"(?:^|{edge})'(?:[^']|'')*'(?=\s*$|{edge})", line))
    return 0 < opened == whole


def _unused(sample: bytes) -> str:
    """A delimiter for a file of one column: one that is not in it."""
    return "," if b"," not in sample else "\x1f"


def _preamble(found: _Shape) -> int:
    """How many records at the start are remarks: shorter than all that follow, which agree with each other."""
    first = next(i for i, row in enumerate(found.rows) if len(row) == found.width)
    body = found.rows[first:]
    agree = sum(len(row) == found.width for row in body)
    return first if len(body) >= 2 and agree >= 0.9 * len(body) and all(
        len(row) < found.width for row in found.rows[:first]) else 0


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names the columns: it does not fit their types, or all are text and it is complete."""
    first = rows[0]
    width = len(first)
    if len(rows) == 1:
        return all(kind_of(_strings([cell])) == "text" for cell in first)
    body = [row for row in rows[1:] if len(row) == width]
    all_text = True
    for i in range(width):
        kind = kind_of(_strings(row[i] for row in body))
        if kind not in ("text", "null"):
            all_text = False
            if first[i].strip() and kind_of(_strings(row[i] for row in (first, *body))) == "text":
                return True
    return all_text and all(cell.strip() for cell in first) and len(set(first)) == width


def _strings(cells: Iterable[str]) -> pa.Array:
    return pa.array([cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for cell in cells], pa.string())


_INTEGER = r"^-?(?:0|[1-9][0-9]*)$"
_FLOAT = r"^-?(?:(?:0|[1-9][0-9]*)?\.[0-9]+|(?:0|[1-9][0-9]*)\.?)(?:[eE][-+]?[0-9]+)?$|^-?(?i:inf|infinity|nan)$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
_TIME = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?$"
_TIMESTAMP = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[ T]{_CLOCK})?$"
_TIMESTAMPTZ = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]{_CLOCK}(?:Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)$"


def kind_of(values: pa.Array) -> str:
    """The narrowest of `KINDS` that all values (strings) can be read as; empty ones are NULL. "null" if none are left.

    The patterns settle the form, the casts that the values exist (2024-02-30 does not).
    """
    values = pc.utf8_trim_whitespace(values).unique()
    values = values.filter(pc.not_equal(values, ""))
    if len(values) == 0:
        return "null"
    if pc.all(pc.is_in(values, pa.array(TRUE_VALUES + FALSE_VALUES))).as_py():
        return "bool"
    if _all(values, _INTEGER) and not pc.any(pc.equal(values, "-0")).as_py():
        if _casts(values, pa.int64()):
            return "int8"
        return "numeric" if pc.max(pc.utf8_length(pc.utf8_ltrim(values, "-"))).as_py() <= 38 else "float8"
    if _all(values, _FLOAT) and pc.any(pc.match_substring_regex(values, "[0-9]")).as_py() and _casts(values, pa.float64()):
        return "float8"
    if _all(values, _DATE):
        return "date" if _casts(values, pa.date32()) else "text"
    fine = "_ns" if pc.any(pc.match_substring_regex(values, r"\.[0-9]{7,9}")).as_py() else ""
    unit = "ns" if fine else "us"
    if _all(values, _TIMESTAMP):
        return "timestamp" + fine if _casts(values, pa.timestamp(unit)) else "text"
    if _all(values, _TIMESTAMPTZ):
        return "timestamptz" + fine if _casts(values, pa.timestamp(unit, "UTC")) else "text"
    return "time" if _all(values, _TIME) else "text"


def column_kind(values: pa.Array) -> str:
    """`kind_of` with the finer points that a whole sample shows: "code" and "?" (see KINDS)."""
    kind = kind_of(values)
    if kind == "text":
        known = values.drop_null()
        few = len(known) >= 100 and pc.count_distinct(known).as_py() <= min(len(known) // 10, _FEW_VALUES)
        return "code" if few else "text"
    if not pc.any(pc.equal(values, "")).as_py():
        return kind
    return "text" if kind in ("null", *_NEVER_DOUBTFUL) else kind + "?"


_NEVER_DOUBTFUL = ("time", "numeric")
"""Kinds that only the CSV reader itself parses well: Arrow's cast from text lacks the one and overflows in the other."""
_WIDER = {
    frozenset(("int8", "float8")): "float8", frozenset(("int8", "numeric")): "numeric",
    frozenset(("numeric", "float8")): "float8", frozenset(("date", "timestamp")): "timestamp",
    frozenset(("date", "timestamp_ns")): "timestamp_ns", frozenset(("timestamp", "timestamp_ns")): "timestamp_ns",
    frozenset(("timestamptz", "timestamptz_ns")): "timestamptz_ns",
}


def wider_kind(a: str, b: str) -> str:
    """The kind that reads what both read."""
    left, right = a.rstrip("?"), b.rstrip("?")
    if left == right or right == "null":
        found = left
    elif left == "null":
        found = right
    else:
        found = _WIDER.get(frozenset((left, right)), "text")
    if "?" in a + b and found not in ("text", "code"):
        return "text" if found in _NEVER_DOUBTFUL else found + "?"
    return found


def _all(values: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _casts(values: pa.Array, arrow: pa.DataType) -> bool:
    try:
        pc.cast(values, arrow)
    except pa.ArrowInvalid:
        return False
    return True

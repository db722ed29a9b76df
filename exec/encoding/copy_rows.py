"""CopyData messages, column by column like DataRow (datarow.py): rows as text, csv or binary, one message a row.

Hop 7 of a query's way. What stands before the first row and after the last is the session's (server/copy.py).
Spec: PostgreSQL 15 documentation, COPY, "File Formats"; 55.2.6 "COPY Operations".
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.types import SqlType
from shoal.exec.encoding.assembling import Fields, assemble
from shoal.exec.encoding.binary import binary_form, varying
from shoal.exec.encoding.datarow import MAX_BLOCK_BYTES, join, row_sizes
from shoal.exec.evaluator import Names
from shoal.exec.functions.text_output import to_text
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.result import CopyStyle

_HEADER_BYTES = 5
_ESCAPES = (("\\", "\\\\"), ("\b", "\\b"), ("\f", "\\f"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\v", "\\v"))
_PLAIN_TYPES = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric", "bool", "oid", "date", "time", "timestamp",
                          "timestamptz", "uuid"})
_PLAIN_CHARACTERS = frozenset(string.ascii_letters + string.digits + "+-.:/ ")
"""All that texts of these types are made of, in any style."""


def _header(sizes: np.ndarray) -> Fields:
    return [("type", np.dtype("u1"), ord("d")), ("size", np.dtype(">i4"), sizes - 1)]


class CopyEncoder:
    """Encodes batches of one result. `names` gives the text of reg* types."""

    def __init__(self, types: Sequence[SqlType], style: CopyStyle, settings: TaskSettings,
                 names: Names | None = None) -> None:
        self.types, self.style, self.settings, self.names = tuple(types), style, settings, names
        special = {style.delimiter, style.quote} if style.format == "csv" else {style.delimiter}
        confusing = bool(style.null) and _PLAIN_CHARACTERS.issuperset(style.null)
        self._spares_plain = special.isdisjoint(_PLAIN_CHARACTERS) and not confusing
        """Whether values of _PLAIN_TYPES need no quotes or escapes."""

    def header_line(self, columns: Sequence[str]) -> bytes:
        """The columns' names as a line of the file."""
        names = [pa.array([column], pa.string()) for column in columns]
        cells = [self._csv(name, False) if self.style.format == "csv" else self._text(name) for name in names]
        return self.style.delimiter.join(cell[0].as_py() for cell in cells).encode() + b"\n"

    @property
    def looks_up(self) -> bool:
        """Whether encoding may block for names of objects."""
        return self.names is not None

    def encode(self, arrays: Sequence[pa.Array], rows: int) -> list[memoryview]:
        """The CopyData messages of all rows, in pieces that each hold whole messages.

        Raises: FeatureNotSupported (0A000) where a type has no binary format.
        """
        if rows == 0:
            return []
        if rows > 1 and sum(array.nbytes for array in arrays) * 3 > MAX_BLOCK_BYTES:
            half = rows // 2
            return (self.encode([array.slice(0, half) for array in arrays], half)
                    + self.encode([array.slice(half) for array in arrays], rows - half))
        if self.style.format == "binary":
            forms = [binary_form(array, sql_type, self.settings) for array, sql_type in zip(arrays, self.types)]
            sizes = row_sizes(forms, rows) + _HEADER_BYTES + 2
            return [join([*_header(sizes), ("columns", np.dtype(">i2"), len(forms))], forms, sizes)]
        return [self._lines(arrays, rows)]

    def _lines(self, arrays: Sequence[pa.Array], rows: int) -> memoryview:
        csv = self.style.format == "csv"
        cells = []
        flags = self.style.force_quote or (False,) * len(self.types)
        for array, sql_type, forced in zip(arrays, self.types, flags, strict=True):
            text = to_text(array, sql_type, self.settings, self.names)
            if pa.types.is_dictionary(text.type):
                text = text.dictionary_decode()
            if sql_type.name not in _PLAIN_TYPES or forced or not self._spares_plain:
                text = self._csv(text, forced) if csv else self._text(text)
            cells.append(text)
        if not cells:
            cells = [pa.array([""] * rows, pa.string())]
        lines = varying(pc.binary_join_element_wise(*cells, pa.scalar(self.style.delimiter, pa.string()),
                                                    null_handling="replace", null_replacement=self.style.null))
        sizes = lines.lengths + np.int64(_HEADER_BYTES + 1)
        return assemble([_header(sizes), lines.placed(), [("newline", np.dtype("u1"), ord("\n"))]], sizes)

    def _text(self, text: pa.Array) -> pa.Array:
        delimiter = self.style.delimiter
        if not _holds(text, "\\\b\f\n\r\t\v" + delimiter):
            return text
        for raw, escaped in _ESCAPES:
            text = pc.replace_substring(text, raw, escaped)
        return text if delimiter == "\t" else pc.replace_substring(text, delimiter, "\\" + delimiter)

    def _csv(self, text: pa.Array, forced: bool) -> pa.Array:
        style = self.style
        if forced:
            needs = pc.is_valid(text)
        else:
            needs = pc.equal(text, pa.scalar(style.null, pa.string()))
            if _holds(text, style.delimiter + style.quote + "\n\r"):
                needs = pc.or_(needs, pc.match_substring_regex(text, f"[\\{style.delimiter}\\{style.quote}\n\r]"))
            if len(self.types) == 1:
                needs = pc.or_(needs, pc.equal(text, pa.scalar("\\.", pa.string())))
        if not pc.any(needs).as_py():
            return text
        inner = text
        if style.escape != style.quote:
            inner = pc.replace_substring(inner, style.escape, style.escape * 2)
        inner = pc.replace_substring(inner, style.quote, style.escape + style.quote)
        quote = pa.scalar(style.quote, pa.string())
        return pc.if_else(needs, pc.binary_join_element_wise(quote, inner, quote, pa.scalar("", pa.string())), text)


def _holds(text: pa.Array, characters: str) -> bool:
    """Whether any of these (one-byte) characters is in any of the strings: a search of the raw bytes."""
    if len(text) == 0 or text.buffers()[2] is None:
        return False
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset:text.offset + len(text) + 1]
    data = memoryview(text.buffers()[2])[offsets[0]:offsets[-1]].tobytes()
    return any(character.encode() in data for character in characters)

"""COPY ... TO STDOUT: rows as text, csv or binary, column by column like DataRow (server/datarow.py), one CopyData a row.

Hop 7 of a query's way. Spec: PostgreSQL 15 documentation, COPY, "File Formats"; 55.2.6 "COPY Operations".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import FeatureNotSupported, InvalidParameterValue, SqlError, SqlSyntaxError, UndefinedColumn
from shoal.catalog.types import SqlType
from shoal.exec.evaluator import Names
from shoal.exec.plan.fragment import TaskSettings
from shoal.server.binary import NOTHING, binary_form, offsets_of, varying
from shoal.server.cursors import Cursor
from shoal.server.datarow import MAX_BLOCK_BYTES, join, row_sizes
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection

if TYPE_CHECKING:
    from shoal.server.session import Session
    from shoal.server.statements import Copy

_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_BINARY_TRAILER = b"\xff\xff"
_NEWLINE = pa.scalar(b"\n", pa.binary())
_ESCAPES = (("\\", "\\\\"), ("\b", "\\b"), ("\f", "\\f"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\v", "\\v"))


@dataclass(frozen=True, slots=True)
class CopyFormat:
    """COPY's options with their defaults filled in. `force_quote` "*" is every column."""

    format: str = "text"
    delimiter: str = "\t"
    null: str = "\\N"
    header: bool = False
    quote: str = '"'
    escape: str = '"'
    force_quote: tuple[str, ...] | str = ()

    @staticmethod
    def of(options: dict[str, Any], positions: dict[str, int] | None = None) -> CopyFormat:
        """`positions`: where options stand in the statement, for errors.

        Raises: SqlSyntaxError (42601), InvalidParameterValue (22023), FeatureNotSupported (0A000).
        """
        places = positions or {}
        unknown = set(options) - {"format", "delimiter", "null", "header", "quote", "escape", "force_quote", "encoding",
                                  "freeze", "oids"}
        if unknown:
            name = min(unknown, key=lambda name: places.get(name, 0))
            raise SqlSyntaxError(f'option "{name}" not recognized', position=places.get(name, 0))
        kind = str(options.get("format", "text")).lower()
        if kind not in ("text", "csv", "binary"):
            raise InvalidParameterValue(f'COPY format "{kind}" not recognized', position=places.get("format", 0))
        csv = kind == "csv"
        for name in ("quote", "escape", "force_quote"):
            if name in options and not csv:
                raise FeatureNotSupported(f"COPY {name.replace('_', ' ')} available only in CSV mode")
        if kind == "binary":
            for name in ("delimiter", "null", "header"):
                if options.get(name):
                    raise SqlSyntaxError(f"cannot specify {name.upper()} in BINARY mode")
        quote = str(options.get("quote", '"'))
        chosen = CopyFormat(kind, str(options.get("delimiter", "," if csv else "\t")),
                            str(options.get("null", "" if csv else "\\N")), _flag(options.get("header", False)), quote,
                            str(options.get("escape", quote)), options.get("force_quote", ()))
        for name, value in (("delimiter", chosen.delimiter), ("quote", chosen.quote), ("escape", chosen.escape)):
            if len(value.encode()) != 1:
                raise FeatureNotSupported(f"COPY {name} must be a single one-byte character")
        if chosen.delimiter in "\r\n" or set(chosen.null) & {"\r", "\n"}:
            raise InvalidParameterValue("COPY delimiter and null representation cannot use newline or carriage return")
        if not csv and chosen.delimiter in "\\.abcdefghijklmnopqrstuvwxyz0123456789":
            raise InvalidParameterValue(f'COPY delimiter cannot be "{chosen.delimiter}"')
        if csv and chosen.delimiter == chosen.quote:
            raise InvalidParameterValue("COPY delimiter and quote must be different")
        if chosen.delimiter in chosen.null:
            raise InvalidParameterValue("COPY delimiter must not appear in the NULL specification")
        return chosen


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in ("true", "on", "1", "match"):
        return True
    if text in ("false", "off", "0"):
        return False
    raise SqlSyntaxError("header requires a Boolean value or \"match\"")


class CopyEncoder:
    """Encodes batches of one result as CopyData messages."""

    def __init__(self, names: Sequence[str], types: Sequence[SqlType], form: CopyFormat, settings: TaskSettings,
                 object_names: Names | None = None) -> None:
        self.names, self.types, self.form, self.settings = tuple(names), tuple(types), form, settings
        self._object_names = object_names
        forced = form.force_quote
        for name in () if forced == "*" else forced:
            if name not in self.names:
                raise UndefinedColumn(f'column "{name}" does not exist')
        self._begun = False
        self._forced = [forced == "*" or name in forced for name in self.names]

    def start(self) -> bytes:
        """What comes before the first row: the header line. The binary header goes with the first row."""
        if not self.form.header:
            return b""
        names = [pa.array([name], pa.string()) for name in self.names]
        cells = [self._csv(name, False) if self.form.format == "csv" else self._text(name) for name in names]
        line = self.form.delimiter.join(cell[0].as_py() for cell in cells)
        return Connection.send(m.CopyData(line.encode() + b"\n"))

    def end(self) -> bytes:
        """What comes after the last row."""
        if self.form.format != "binary":
            return b""
        return Connection.send(m.CopyData(_BINARY_TRAILER if self._begun else _BINARY_HEADER + _BINARY_TRAILER))

    @property
    def looks_up(self) -> bool:
        """Whether encoding may block for names of objects."""
        return self._object_names is not None

    def encode(self, arrays: Sequence[pa.Array], rows: int) -> list[memoryview]:
        if rows == 0:
            return []
        if rows > 1 and sum(array.nbytes for array in arrays) * 3 > MAX_BLOCK_BYTES:
            half = rows // 2
            return (self.encode([array.slice(0, half) for array in arrays], half)
                    + self.encode([array.slice(half) for array in arrays], rows - half))
        if self.form.format == "binary":
            if not self._begun:  # clients take the header and a row for one message, as PostgreSQL sends them
                self._begun = True
                first = self.encode([array.slice(0, 1) for array in arrays], 1)[0]
                message = Connection.send(m.CopyData(_BINARY_HEADER + bytes(first[5:])))
                return [memoryview(message), *self.encode([array.slice(1) for array in arrays], rows - 1)]
            forms = [binary_form(array, sql_type, self.settings) for array, sql_type in zip(arrays, self.types)]
            return [join([("type", np.dtype("u1"), ord("d")), ("size", np.dtype(">i4"), row_sizes(forms, rows) + 6),
                          ("columns", np.dtype(">i2"), len(forms))], forms, rows)]
        return [self._lines(arrays, rows)]

    def _lines(self, arrays: Sequence[pa.Array], rows: int) -> memoryview:
        from shoal.exec.functions.text_output import to_text
        csv = self.form.format == "csv"
        cells = []
        for array, sql_type, forced in zip(arrays, self.types, self._forced):
            text = to_text(array, sql_type, self.settings, self._object_names)
            if pa.types.is_dictionary(text.type):
                text = text.dictionary_decode()
            cells.append(self._csv(text, forced) if csv else self._text(text))
        if not cells:
            cells = [pa.array([""] * rows, pa.string())]
        lines = pc.binary_join_element_wise(*cells, pa.scalar(self.form.delimiter, pa.string()), null_handling="replace",
                                            null_replacement=self.form.null)
        body = varying(lines)
        header = np.empty(rows, np.dtype([("type", "u1"), ("size", ">i4")]))
        header["type"], header["size"] = ord("d"), body.lengths + 5
        heads = pa.Array.from_buffers(pa.binary(), rows, [None, offsets_of(rows, 5), pa.py_buffer(header)])
        joined = pc.binary_join_element_wise(heads, body.values, _NEWLINE, NOTHING)
        offsets = np.frombuffer(joined.buffers()[1], np.int32)
        return memoryview(joined.buffers()[2])[offsets[0]:offsets[rows]]

    def _text(self, text: pa.Array) -> pa.Array:
        delimiter = self.form.delimiter
        if not _holds(text, "\\\b\f\n\r\t\v" + delimiter):
            return text
        for raw, escaped in _ESCAPES:
            text = pc.replace_substring(text, raw, escaped)
        return text if delimiter == "\t" else pc.replace_substring(text, delimiter, "\\" + delimiter)

    def _csv(self, text: pa.Array, forced: bool) -> pa.Array:
        form = self.form
        if forced:
            needs = pc.is_valid(text)
        else:
            needs = pc.equal(text, pa.scalar(form.null, pa.string()))
            if _holds(text, form.delimiter + form.quote + "\n\r"):
                needs = pc.or_(needs, pc.match_substring_regex(text, f"[\\{form.delimiter}\\{form.quote}\n\r]"))
            if len(self.names) == 1:
                needs = pc.or_(needs, pc.equal(text, pa.scalar("\\.", pa.string())))
        if not pc.any(needs).as_py():
            return text
        inner = text
        if form.escape != form.quote:
            inner = pc.replace_substring(inner, form.escape, form.escape * 2)
        inner = pc.replace_substring(inner, form.quote, form.escape + form.quote)
        quote = pa.scalar(form.quote, pa.string())
        return pc.if_else(needs, pc.binary_join_element_wise(quote, inner, quote, pa.scalar("", pa.string())), text)


def _holds(text: pa.Array, characters: str) -> bool:
    """Whether any of these (one-byte) characters is in any of the strings: a search of the raw bytes."""
    if len(text) == 0 or text.buffers()[2] is None:
        return False
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset:text.offset + len(text) + 1]
    data = memoryview(text.buffers()[2])[offsets[0]:offsets[-1]].tobytes()
    return any(character.encode() in data for character in characters)


async def copy_out(session: Session, utility: Copy) -> str:
    """Runs COPY ... TO STDOUT for a session: everything but the CommandComplete, whose tag it gives."""
    from shoal.server.lexer import StatementText
    form = CopyFormat.of(utility.options, utility.positions)
    assert utility.sql is not None
    try:
        statement = await session.prepare("", StatementText(utility.sql, utility.offset), None, ())
    except SqlError as error:
        error.position += utility.offset if error.position and utility.offset else 0
        raise
    if statement.prepared is None or not statement.prepared.returns_rows:
        raise FeatureNotSupported("COPY query must have a RETURNING clause" if statement.prepared else "COPY needs a query")
    source = await session.start_execution(statement, ())
    try:
        fields = source.fields
        types = [field.type for field in fields]
        encoder = CopyEncoder([field.name for field in fields], types, form, session.context().task_settings(),
                              session.object_names(types))
        wire = 1 if form.format == "binary" else 0
        session.send(m.CopyOutResponse(wire, (wire,) * len(fields)))
        if before := encoder.start():
            await session.output.send_block(before)
        sent = await session.output.send_rows(Cursor(source).forward(), encoder)
        if after := encoder.end():
            await session.output.send_block(after)
        session.send(m.CopyDone())
    finally:
        await source.close()
    return f"COPY {sent}"

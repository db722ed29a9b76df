"""COPY FROM's text and csv: blocks of bytes to columns of text, with numpy over whole blocks and never row by row.

    bytes -> structural delimiters and line ends (quotes and backslashes looked at all at once)
          -> one Arrow array of all cells over the same bytes -> a column is every n-th of them

Pure. Spec: PostgreSQL 15 documentation, COPY, "File Formats"; wording and order of checks of copyfromparse.c.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import BadCopyFileFormat, CharacterNotInRepertoire, SqlError
from shoal.server.copy_options import CopyFormat

BLOCK_BYTES = 1 << 20
"""Bytes that are gathered before they are cut into rows."""
_SHOWN_CHARACTERS = 100
_NEWLINE, _RETURN, _BACKSLASH = 10, 13, 92
_ESCAPED = np.arange(256, dtype=np.uint8)
for _letter, _code in zip(b"bfnrtv", b"\b\f\n\r\t\v"):
    _ESCAPED[_letter] = _code
_HEX = np.full(256, 255, np.uint8)
for _digit, _letters in enumerate(("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "aA", "bB", "cC", "dD", "eE", "fF")):
    for _one in _letters:
        _HEX[ord(_one)] = _digit
_OCTAL = np.where(_HEX < 8, _HEX, 255)


@dataclass(slots=True)
class Rows:
    """Rows cut from the input. `columns`: one string array each; `error` ends the input after these rows."""

    columns: list[pa.Array]
    rows: int
    data: bytes
    starts: np.ndarray
    """Where each row's line starts in `data`; one more for the end."""
    first_line: int
    """The number of lines before the first row."""
    error: SqlError | None = None

    csv: bool = False
    end: bytes = b"\n"
    """The byte that ends lines."""
    uncounted: int = 0
    """Line ends inside the quotes of the very first row, which nobody knew for such yet."""
    shows_line: bool = True
    """Whether the context of `error` shows the line."""
    partial: list[str | None] | None = None
    """The values of the row that `error` is about, where some are missing: they are looked at first."""

    def line_number(self, row: int) -> int:
        """The 1-based number of the line that the row ends on."""
        if not self.csv:
            return self.first_line + row + 1
        if row + 1 >= len(self.starts):
            before = self.data.count(self.end, 0, int(self.starts[row])) + 1
            if not self.shows_line:
                return self.first_line + before - self.uncounted
            return self.first_line + before + self.data.count(self.end, int(self.starts[row])) - self.uncounted
        return self.first_line + max(self.data.count(self.end, 0, int(self.starts[row + 1])) - self.uncounted, 1)

    def line(self, row: int) -> str:
        """The row's text for an error's context."""
        if row + 1 >= len(self.starts):
            return shown(self.data[int(self.starts[row]):].decode(errors="replace"))
        text = self.data[int(self.starts[row]):int(self.starts[row + 1])].decode(errors="replace")
        return shown(text.removesuffix("\n").removesuffix("\r"))


def shown(text: str) -> str:
    """A value as contexts of errors have it: not all of a long one."""
    return text if len(text.encode()) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


class TextReader:
    """Cuts a stream of text or csv into rows of `names` columns. `cut` gives them, or None for none yet."""

    def __init__(self, form: CopyFormat, names: list[str], encoding: str = "utf-8") -> None:
        """`encoding`: a codec's name."""
        self.form, self.names = form, names
        self.csv = form.format == "csv"
        self._encoding = encoding
        self._decoder = None if encoding in ("utf-8", "ascii") else codecs.getincrementaldecoder(encoding)()
        self._waiting: list[bytes] = []
        self._left = b""
        self._waiting_bytes, self._wanted_bytes = 0, BLOCK_BYTES
        self._lines = 0
        self._end = ""
        self._header = bool(form.header)
        self._force_null = self._columns(form.force_null)
        self._force_not_null = self._columns(form.force_not_null)
        self.done = False
        """The end-of-data marker was read: the rest is ignored."""

    def _columns(self, chosen: tuple[str, ...] | str) -> np.ndarray:
        return np.array([chosen == "*" or name in chosen for name in self.names], np.bool_)

    def takes(self, data: bytes) -> bool:
        """Notes data; True when there is enough of it to be cut."""
        if self.done:
            return False
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        return self._waiting_bytes >= self._wanted_bytes

    def cut(self, final: bool) -> Rows | None:
        """The whole rows of what was noted; with `final`, all of them, as the input has ended."""
        if self.done:
            return None
        data = b"".join(self._waiting)
        if self._decoder is not None:
            data = self._left + self._decode(data, final)
        return self._cut(data, final) if data else None

    def _decode(self, data: bytes, final: bool) -> bytes:
        assert self._decoder is not None
        try:
            return self._decoder.decode(data, final).encode()
        except UnicodeDecodeError as error:
            raise invalid_bytes(error.object[error.start:error.end], self._encoding) from None

    def _keep(self, rest: bytes) -> None:
        """`rest` waits for more; what does not end in a block makes the next one larger."""
        if self._decoder is not None:  # it is decoded already
            self._left, self._waiting = rest, []
        else:
            self._waiting = [rest] if rest else []
        self._waiting_bytes = len(rest)
        self._wanted_bytes = max(BLOCK_BYTES, 2 * len(rest))

    # --- one block

    def _cut(self, data: bytes, final: bool) -> Rows | None:
        """Whole rows of `data`; the rest waits."""
        if not self._end:
            self._end = self._line_end(data, final)
            if not self._end:
                self._keep(data)
                return None
        added = 0
        if final and (not data.endswith(self._end[-1].encode()) or (not self.csv and _ends_escaped(data[:-1]))):
            data, added = data + self._end.encode(), len(self._end)
        buffer = np.frombuffer(data, np.uint8)
        end_byte = ord(self._end[-1])
        quotes, inside_after, dropped = self._quotes(data, buffer)
        escapes = None if self.csv or b"\\" not in data else _active(np.flatnonzero(buffer == _BACKSLASH))
        places = np.flatnonzero((buffer == ord(self.form.delimiter)) | (buffer == end_byte))
        if quotes is not None:
            before = np.searchsorted(quotes, places)
            assert inside_after is not None
            places = places[~np.append(False, inside_after)[before]]
        if escapes is not None:
            escaped = np.zeros(len(buffer) + 1, np.bool_)
            escaped[escapes + 1] = True
            if added:
                escaped[len(data) - added:] = False  # a backslash at the very end escapes nothing
            places = places[~escaped[places]]
        ends_line = buffer[places] == end_byte
        if self._end == "\r\n":
            ends_line &= (places > 0) & (buffer[places - 1] == _RETURN)
            if ord(self.form.delimiter) != _NEWLINE:
                keep = ends_line | (buffer[places] != _NEWLINE)
                places, ends_line = places[keep], ends_line[keep]
        line_ends = np.flatnonzero(ends_line)
        error: SqlError | None = None
        if not len(line_ends):
            if final:
                data = data[:len(data) - added]
                found = self._rows(data, buffer, places[:0], line_ends, None, None, self._unterminated())
                found.csv = found.first_line > 0  # line ends count once it is known what they are
                return found
            self._keep(data)
            return None
        if final and int(places[line_ends[-1]]) + 1 < len(data):
            error = self._unterminated()
        rest = data[int(places[line_ends[-1]]) + 1:]
        places = places[:line_ends[-1] + 1]
        shows_line = True
        limit, marker_error = self._marker(data, buffer, places[line_ends], escapes)
        strayed, stray_error = self._stray(data, buffer, quotes, inside_after, escapes, places[line_ends])
        broken, bad_bytes = _bad_text(data[:len(data) - len(rest)])
        broken = None if broken is None else int(np.searchsorted(places[line_ends], broken))
        for row, problem in ((limit, marker_error), (strayed, stray_error), (broken, bad_bytes)):
            if row is not None and row <= len(line_ends) and (row < len(line_ends) or problem is None):
                line_ends = line_ends[:row]
                places = places[:line_ends[-1] + 1] if row else places[:0]
                error, shows_line = problem, False
                self.done, rest = True, b""
        if shows_line and error is not None and added:
            data = data[:len(data) - added]
        self._keep(b"" if final else rest)
        found = self._rows(data, buffer, places, line_ends, escapes, dropped, error)
        found.shows_line = shows_line or found.error is not error
        return found

    def _line_end(self, data: bytes, final: bool) -> str:
        """How lines end, as the first one shows; "" where it is not known yet."""
        places = [p for p in (data.find(b"\n"), data.find(b"\r")) if p >= 0]
        if not places:
            return "\n" if final else ""
        at = min(places)
        if self.csv and data.count(self.form.quote.encode(), 0, at) % 2:
            quoted = np.frombuffer(data, np.uint8)
            _, inside_after, _ = self._quotes(data, quoted)
            ends = np.flatnonzero((quoted == _NEWLINE) | (quoted == _RETURN))
            places_of_quotes = np.flatnonzero(quoted == ord(self.form.quote))
            assert inside_after is not None
            outside = ends[~np.append(False, inside_after)[np.searchsorted(places_of_quotes, ends)]]
            if not len(outside):
                return "\n" if final else ""
            at = int(outside[0])
        if data[at] == _NEWLINE:
            return "\n"
        if at + 1 == len(data) and not final:
            return ""
        return "\r\n" if data[at + 1:at + 2] == b"\n" else "\r"

    def _quotes(self, data: bytes, buffer: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """(places of quote characters, whether each leaves a quoted part open, places of characters that only quote)."""
        if not self.csv or self.form.quote.encode() not in data:
            return None, None, None
        places = np.flatnonzero(buffer == ord(self.form.quote))
        order = np.arange(len(places))
        if self.form.escape == self.form.quote:
            inside_after = order % 2 == 0
            doubled = np.zeros(len(places), np.bool_)
            doubled[2::2] = places[2::2] - places[1:-1:2] == 1 if len(places) > 2 else False
            return places, inside_after, places[~doubled]
        escapes = np.flatnonzero(buffer == ord(self.form.escape))
        lengths = _run_lengths_before(places, escapes)
        odd = lengths % 2 == 1
        # A quote after an odd run of escapes is inside afterwards in any case; all others change sides.
        last_odd = np.maximum.accumulate(np.where(odd, order, -1))
        flips = np.cumsum(~odd)
        since = flips - np.where(last_odd >= 0, flips[np.maximum(last_odd, 0)], 0)
        inside_after = np.where(last_odd >= 0, since % 2 == 0, since % 2 == 1)
        inside_before = np.append(False, inside_after[:-1])
        literal = odd & inside_before
        inside = np.append(False, inside_after)[np.searchsorted(places, escapes)]
        first = _active(escapes, keep_all=True)
        follower = buffer[np.minimum(escapes + 1, len(buffer) - 1)]
        dropped = escapes[inside & first & ((follower == ord(self.form.quote)) | (follower == ord(self.form.escape)))]
        return places, inside_after, np.sort(np.append(places[~literal], dropped))

    def _unterminated(self) -> SqlError | None:
        return BadCopyFileFormat("unterminated CSV quoted field") if self.csv else None

    def _marker(self, data: bytes, buffer: np.ndarray, ends: np.ndarray,
                escapes: np.ndarray | None) -> tuple[int | None, SqlError | None]:
        r"""The number of rows before the line "\.", if there is one; in text it may not stand inside of a line."""
        if b"\\." not in data:
            return None, None
        starts = np.append(0, ends[:-1] + 1)
        width = len(self._end)
        found = (buffer[starts] == _BACKSLASH) & (buffer[np.minimum(starts + 1, len(buffer) - 1)] == ord("."))
        whole = np.flatnonzero(found & (ends - (width - 1) - starts == 2))
        row = int(whole[0]) if len(whole) else None
        if self.csv or escapes is None:
            return row, None
        inside = escapes[buffer[np.minimum(escapes + 1, len(buffer) - 1)] == ord(".")]
        inside = inside[inside < (starts[row] if row is not None else ends[-1])]
        if len(inside):
            return int(np.searchsorted(ends, inside[0])), BadCopyFileFormat("end-of-copy marker corrupt")
        return row, None

    def _stray(self, data: bytes, buffer: np.ndarray, quotes: np.ndarray | None, inside_after: np.ndarray | None,
               escapes: np.ndarray | None, ends: np.ndarray) -> tuple[int | None, SqlError | None]:
        """The first row that holds the other kind of line end, if one does."""
        if self._end == "\n":
            if b"\r" not in data:
                return None, None
            wrong = buffer == _RETURN
        elif self._end == "\r":
            if b"\n" not in data:
                return None, None
            wrong = buffer == _NEWLINE
        else:
            returns, lines = buffer == _RETURN, buffer == _NEWLINE
            wrong = (returns & ~np.append(lines[1:], False)) | (lines & ~np.append(False, returns[:-1]))
        places = np.flatnonzero(wrong)
        if quotes is not None and inside_after is not None:
            places = places[~np.append(False, inside_after)[np.searchsorted(quotes, places)]]
        if escapes is not None:
            places = places[~np.isin(places, escapes + 1)]
        places = places[places <= ends[-1]]
        if not len(places):
            return None, None
        what = "newline" if buffer[places[0]] == _NEWLINE else "carriage return"
        if self.csv:
            error = BadCopyFileFormat(f"unquoted {what} found in data", hint=f"Use quoted CSV field to represent {what}.")
        else:
            spelled = "\\n" if what == "newline" else "\\r"
            error = BadCopyFileFormat(f"literal {what} found in data", hint=f'Use "{spelled}" to represent {what}.')
        return int(np.searchsorted(ends, places[0])), error

    def _rows(self, data: bytes, buffer: np.ndarray, places: np.ndarray, line_ends: np.ndarray, escapes: np.ndarray | None,
              dropped: np.ndarray | None, error: SqlError | None) -> Rows:
        first_line, end = self._lines, self._end[-1].encode()
        width = len(self._end)
        starts = np.append(0, places[line_ends] + 1)
        uncounted = 0
        if self.csv and first_line == 0 and len(line_ends):
            uncounted = data.count(end, 0, int(starts[1])) - 1
        self._lines += len(line_ends) if dropped is None else data.count(end, 0, int(starts[-1])) - uncounted
        cell_starts = np.append(0, places[:-1] + 1) if len(places) else places
        cell_ends = places.copy()
        if width == 2:
            cell_ends[line_ends] -= 1
        counts = np.diff(np.append(-1, line_ends))
        if self._header and len(line_ends):
            self._header = False
            if self.form.header == "match":
                self._match_header(data, buffer, cell_starts[:counts[0]], cell_ends[:counts[0]], escapes, dropped)
            cell_starts, cell_ends, counts = cell_starts[counts[0]:], cell_ends[counts[0]:], counts[1:]
            header_end, starts = int(starts[1]), starts[1:]
            first_line, uncounted = first_line + (data.count(end, 0, header_end) - uncounted if self.csv else 1), 0
            data_offset = header_end
        else:
            data_offset = 0
        wrong = np.flatnonzero(counts != len(self.names))
        rows = int(wrong[0]) if len(wrong) else len(counts)
        cells = rows * len(self.names)
        partial: list[str | None] | None = None
        if len(wrong):
            given = int(counts[rows])
            try:
                partial = self._one_row(data, buffer, cell_starts[cells:cells + given], cell_ends[cells:cells + given],
                                             escapes, dropped)
                error = BadCopyFileFormat("extra data after last expected column" if given > len(self.names) else
                                          f'missing data for column "{self.names[given]}"')
            except _BadText as bad:
                error = bad.error
            if given > len(self.names):
                partial = None
        try:
            columns = self._cells(data, buffer, cell_starts[:cells], cell_ends[:cells], escapes, dropped)
        except _BadText as bad:
            rows, error, partial = bad.cell // len(self.names), bad.error, None
            cells = rows * len(self.names)
            columns = self._cells(data, buffer, cell_starts[:cells], cell_ends[:cells], escapes, dropped)
        return Rows(columns, rows, data[data_offset:] if data_offset else data, starts - data_offset, first_line, error,
                    self.csv, end, uncounted, partial=partial)

    def _match_header(self, data: bytes, buffer: np.ndarray, starts: np.ndarray, ends: np.ndarray,
                      escapes: np.ndarray | None, dropped: np.ndarray | None) -> None:
        found, names = self._one_row(data, buffer, starts, ends, escapes, dropped), self.names
        line = Rows([], 1, data, np.array([0, int(ends[-1])]), 0)
        if len(found) != len(names):
            raise HeaderMismatch(f"wrong number of fields in header line: got {len(found)}, expected {len(names)}", line)
        for number, (got, name) in enumerate(zip(found, names, strict=True), 1):
            if got is None:
                raise HeaderMismatch(f'column name mismatch in header line field {number}: got null value '
                                     f'("{self.form.null}"), expected "{name}"', line)
            if got != name:
                raise HeaderMismatch(f'column name mismatch in header line field {number}: got "{got}", expected "{name}"',
                                     line)

    def _one_row(self, data: bytes, buffer: np.ndarray, starts: np.ndarray, ends: np.ndarray,
                      escapes: np.ndarray | None, dropped: np.ndarray | None) -> list[str | None]:
        """The values of one row of any number of columns."""
        names, forced = self.names, (self._force_null, self._force_not_null)
        self.names, self._force_null, self._force_not_null = [""], np.zeros(1, np.bool_), np.zeros(1, np.bool_)
        try:
            found: list[str | None] = self._cells(data, buffer, starts, ends, escapes, dropped)[0].to_pylist()
            return found
        finally:
            self.names, (self._force_null, self._force_not_null) = names, forced

    def _cells(self, data: bytes, buffer: np.ndarray, starts: np.ndarray, ends: np.ndarray, escapes: np.ndarray | None,
               dropped: np.ndarray | None) -> list[pa.Array]:
        """The cells between these places as columns."""
        width = len(self.names)
        nulls = plain_nulls = self._nulls(buffer, starts, ends)
        if nulls is not None and self._force_not_null.any():
            nulls = nulls & ~np.tile(self._force_not_null, len(nulls) // width)
        text, moved = data, None
        if escapes is not None or dropped is not None:
            out, keep = buffer, np.ones(len(buffer), np.bool_)
            if escapes is not None:
                out = _unescaped(buffer, escapes, keep)
            else:
                keep[dropped] = False
            moved = np.append(0, np.cumsum(keep))
            text = out[keep].tobytes()
            starts, ends = moved[starts], moved[ends]
            if self._force_null.any():
                after = self._nulls(np.frombuffer(text, np.uint8), starts, ends)
                if after is not None:
                    after &= np.tile(self._force_null, len(after) // width)
                    if plain_nulls is not None:
                        after &= ~plain_nulls
                    nulls = after if nulls is None else nulls | after
        if escapes is not None:
            place, problem = _bad_text(text)
            if place is not None and len(ends) and place <= ends[-1]:
                assert problem is not None
                raise _BadText(problem, int(np.searchsorted(ends, place, side="right")))
        offsets = np.empty(2 * len(starts) + 1, np.int32)
        offsets[0:-1:2], offsets[1::2] = starts, ends
        offsets[-1] = ends[-1] if len(ends) else 0
        cells = pa.Array.from_buffers(pa.string(), 2 * len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
        columns = []
        for column in range(width):
            chosen = np.arange(2 * column, 2 * len(starts), 2 * width, dtype=np.int64)
            mask = nulls[column::width] if nulls is not None else None
            columns.append(cells.take(pa.array(chosen, mask=mask) if mask is not None and mask.any() else pa.array(chosen)))
        return columns

    def _nulls(self, buffer: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
        """Which cells are exactly the NULL string; None for none."""
        marker = self.form.null.encode()
        found = ends - starts == len(marker)
        if not found.any():
            return None
        candidates = np.flatnonzero(found)
        for place, byte in enumerate(marker):
            candidates = candidates[buffer[starts[candidates] + place] == byte]
        if not len(candidates):
            return None
        nulls = np.zeros(len(starts), np.bool_)
        nulls[candidates] = True
        return nulls


class HeaderMismatch(BadCopyFileFormat, code="22P04"):
    """HEADER MATCH found other names; `rows` holds the header line."""

    def __init__(self, message: str, rows: Rows) -> None:
        super().__init__(message)
        self.rows = rows


def _ends_escaped(data: bytes) -> bool:
    """Whether the data ends in a backslash that is not escaped itself."""
    return (len(data) - len(data.rstrip(b"\\"))) % 2 == 1


def _active(places: np.ndarray, keep_all: bool = False) -> np.ndarray:
    """Of the places of one character those at an even place of their run (a mask of all of them with `keep_all`)."""
    order = np.arange(len(places))
    first = np.append(True, np.diff(places) != 1) if len(places) else np.zeros(0, np.bool_)
    start = np.maximum.accumulate(np.where(first, order, 0)) if len(places) else order
    even = (order - start) % 2 == 0
    return even if keep_all else places[even]


def _run_lengths_before(places: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """How many characters of `runs` stand directly before each of `places`."""
    if not len(runs):
        return np.zeros(len(places), np.int64)
    order = np.arange(len(runs))
    first = np.append(True, np.diff(runs) != 1)
    start = np.maximum.accumulate(np.where(first, order, 0))
    last = np.searchsorted(runs, places) - 1
    touches = (last >= 0) & (runs[np.maximum(last, 0)] == places - 1)
    return np.where(touches, last - start[np.maximum(last, 0)] + 1, 0)


def _unescaped(buffer: np.ndarray, escapes: np.ndarray, keep: np.ndarray) -> np.ndarray:
    r"""The bytes with \n, \011, \x09 ... in place of the character after the backslash; `keep` loses all others."""
    out = np.append(buffer, np.zeros(4, np.uint8))
    after = escapes + 1
    after = after[after < len(buffer)]
    keep[escapes] = False
    letters = out[after]
    out[after] = _ESCAPED[letters]
    for digits, base, most, at in ((_OCTAL, 8, 2, after[_OCTAL[letters] != 255]),
                                   (_HEX, 16, 2, after[(letters == ord("x")) & (_HEX[out[after + 1]] != 255)])):
        if not len(at):
            continue
        value = np.where(base == 8, digits[buffer[at]], 0).astype(np.uint32)
        going = np.ones(len(at), np.bool_)
        for step in range(1, most + 1):
            place = np.minimum(at + step, len(buffer) - 1)
            digit = digits[buffer[place]]
            going &= digit != 255
            value = np.where(going, value * base + digit, value)
            keep[place[going]] = False
        out[at] = value & 0xFF
    return out[:len(buffer)]


class _BadText(Exception):
    """A cell that is not text, once its escapes are carried out."""

    def __init__(self, error: SqlError, cell: int) -> None:
        super().__init__(error.message)
        self.error, self.cell = error, cell


def _bad_text(data: bytes) -> tuple[int | None, SqlError | None]:
    """Where the first byte is that is not UTF-8 or the NUL character, and what is said about it."""
    place = data.find(b"\0")
    found: tuple[int | None, SqlError | None] = (None, None) if place < 0 else (place, invalid_bytes(b"\0", "UTF8"))
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            if place < 0 or error.start < place:
                found = error.start, invalid_bytes(data[error.start:error.end], "UTF8")
    return found


def invalid_bytes(data: bytes, encoding: str) -> SqlError:
    return CharacterNotInRepertoire(f'invalid byte sequence for encoding "{encoding}": '
                                    + " ".join(f"0x{byte:02x}" for byte in data[:4]))

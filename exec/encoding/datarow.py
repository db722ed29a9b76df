"""DataRow messages, column by column: the wire bytes of thousands of rows in a handful of vectorised steps.

Hop 7 of a query's way. Each column becomes a form (binary.py); the fields whose width is the same in every
row (the header, lengths, fixed-width values) are gathered into runs, and runs and values are put together (assembling.py).
When no column varies there is one run, and it already is the answer. Measured in design/kernels.md.

Spec: PostgreSQL documentation, 55.7, DataRow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.encoding.assembling import Fields, Part, Placed, assemble
from shoal.exec.encoding.binary import Fixed, Form, Prefixed, Varying, binary_form, text_form
from shoal.exec.evaluator import Names
from shoal.exec.plan.fragment import TaskSettings

_LENGTH = np.dtype(">i4")
_HEADER_BYTES = 7
MAX_BLOCK_BYTES = 1 << 30
"""Arrow's offsets are 32 bits: more rows' bytes than this are built in parts."""


class RowEncoder:
    """Encodes batches of one result. `formats`: 0 text, 1 binary, per column; `settings` decide text forms, `names`
    gives those of reg* types."""

    def __init__(self, types: Sequence[SqlType], formats: Sequence[int], settings: TaskSettings,
                 names: Names | None = None) -> None:
        self.types, self.formats, self.settings, self.names = tuple(types), tuple(formats), settings, names

    @property
    def looks_up(self) -> bool:
        """Whether encoding may block for names of objects."""
        return self.names is not None

    def encode(self, arrays: Sequence[pa.Array], rows: int) -> list[memoryview]:
        """The DataRow messages of all rows, in pieces that each hold whole messages.

        Raises: FeatureNotSupported (0A000) where a type has no binary format.
        """
        if rows == 0:
            return []
        forms: list[Form] = [
            binary_form(array, sql_type, self.settings) if wire else text_form(array, sql_type, self.settings, self.names)
            for array, sql_type, wire in zip(arrays, self.types, self.formats, strict=True)]
        sizes = row_sizes(forms, rows) + _HEADER_BYTES
        if rows > 1 and int(sizes.sum()) > MAX_BLOCK_BYTES:
            half = rows // 2
            return (self.encode([array.slice(0, half) for array in arrays], half)
                    + self.encode([array.slice(half) for array in arrays], rows - half))
        header: Fields = [("type", np.dtype("u1"), ord("D")), ("size", _LENGTH, sizes - 1),
                          ("columns", np.dtype(">i2"), len(forms))]
        return [join(header, forms, sizes)]


def row_sizes(forms: Sequence[Form], rows: int) -> np.ndarray:
    """Bytes that each row's values take together, lengths included."""
    constant = 0
    total = np.zeros(rows, np.int64)
    for form in forms:
        match form:
            case Fixed(wire=wire):
                constant += wire.itemsize + 4
            case Varying(lengths=lengths):
                constant += 4
                total += np.maximum(lengths, 0)
            case Prefixed(values=values):
                total += values.lengths
    return total + constant


def join(header: Sequence[Part], forms: Sequence[Form], sizes: np.ndarray) -> memoryview:
    """Rows of `header` fields followed by each form's length and value; `sizes`: bytes of each row in all."""
    pieces: list[Fields | Placed] = []
    run: Fields = list(header)
    for number, form in enumerate(forms):
        match form:
            case Fixed(values=values, wire=wire):
                run += [(f"l{number}", _LENGTH, wire.itemsize), (f"v{number}", wire, values)]
            case Varying(lengths=lengths):
                pieces += [[*run, (f"l{number}", _LENGTH, lengths)], form.placed()]
                run = []
            case Prefixed(values=placed):
                pieces += [run, placed] if run else [placed]
                run = []
    if run:
        pieces.append(run)
    return assemble(pieces, sizes)

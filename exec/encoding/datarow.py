"""DataRow messages, column by column: the wire bytes of thousands of rows in a handful of vectorised steps.

Hop 7 of a query's way. Each column becomes a form (binary.py); the fields whose width is the same in every
row (the header, lengths, fixed-width values) are gathered into runs, each one structured numpy array; then one
`binary_join_element_wise` of runs and values yields an Arrow array whose data buffer is the wire bytes of all rows.
When no column varies there is one run, and it already is the answer. Measured in design/kernels.md.

Spec: PostgreSQL documentation, 55.7, DataRow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.types import SqlType
from shoal.exec.encoding.binary import NOTHING, Fixed, Form, Prefixed, Varying, binary_form, offsets_of, text_form
from shoal.exec.evaluator import Names
from shoal.exec.plan.fragment import TaskSettings

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
        sizes = row_sizes(forms, rows) + 6
        if rows > 1 and int(sizes.sum()) + rows > MAX_BLOCK_BYTES:
            half = rows // 2
            return (self.encode([array.slice(0, half) for array in arrays], half)
                    + self.encode([array.slice(half) for array in arrays], rows - half))
        header: list[Part] = [("type", np.dtype("u1"), ord("D")), ("size", np.dtype(">i4"), sizes),
                  ("columns", np.dtype(">i2"), len(forms))]
        return [join(header, forms, rows)]


Part = tuple[str, np.dtype, "np.ndarray | int"]
"""A field of a run: name, wire type, values or a constant."""


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
                offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset:values.offset + rows + 1]
                total += np.diff(offsets)
    return total + constant


def join(header: Sequence[Part], forms: Sequence[Form], rows: int) -> memoryview:
    """Rows of `header` fields followed by each form's length and value."""
    pieces: list[pa.Array] = []
    run: list[Part] = list(header)
    for number, form in enumerate(forms):
        match form:
            case Fixed(values=values, wire=wire):
                run += [(f"l{number}", np.dtype(">i4"), wire.itemsize), (f"v{number}", wire, values)]
            case Varying(values=values, lengths=lengths):
                run.append((f"l{number}", np.dtype(">i4"), lengths))
                pieces += [_run_array(run, rows), values]
                run = []
            case Prefixed(values=values):
                if run:
                    pieces.append(_run_array(run, rows))
                pieces.append(values)
                run = []
    if not pieces:
        return _run(run, rows).data
    if run:
        pieces.append(_run_array(run, rows))
    joined = pc.binary_join_element_wise(*pieces, NOTHING, null_handling="replace", null_replacement=b"")
    offsets = np.frombuffer(joined.buffers()[1], np.int32)
    return memoryview(joined.buffers()[2])[offsets[0]:offsets[rows]]


def _run(parts: Sequence[Part], rows: int) -> np.ndarray:
    out = np.empty(rows, np.dtype([(name, wire) for name, wire, _ in parts]))
    for name, _, values in parts:
        out[name] = values
    return out.view(np.uint8)


def _run_array(parts: Sequence[Part], rows: int) -> pa.Array:
    data = _run(parts, rows)
    return pa.Array.from_buffers(pa.binary(), rows, [None, offsets_of(rows, len(data) // rows), pa.py_buffer(data)])

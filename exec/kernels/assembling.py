"""One column put together from parts that belong to disjoint sets of rows (CASE, COALESCE)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog import shaped
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.kernels import decimals, nulls, scaled, views

Part = tuple[np.ndarray | None, pa.Array | pa.Scalar]


def assemble(parts: Sequence[Part], rows: int, sql_type: SqlType) -> pa.Array:
    """The column whose rows `indices` (None: all) are the values of each part, in order. Rows of no part are NULL."""
    if sql_type.varies:
        return _scaled(parts, rows, sql_type)
    if sql_type.name == "numeric":
        return _numeric(parts, rows, sql_type)
    arrow = storage_type(sql_type)
    if not parts:
        return pa.nulls(rows, arrow)
    if views.is_fixed(arrow):
        return _fixed(parts, rows, arrow)
    if pa.types.is_string(arrow):
        return _strings(parts, rows)
    if pa.types.is_list(arrow) and any(shaped.is_shaped(part) for _, part in parts):
        parts = [(indices, _shaped(part, arrow)) for indices, part in parts]
        arrow = shaped.shaped_type(arrow)
    return _general(parts, rows, arrow)


def _shaped(part: pa.Array | pa.Scalar, plain: pa.DataType) -> pa.Array | pa.Scalar:
    if shaped.is_shaped(part):
        return part
    if isinstance(part, pa.Scalar):
        return shaped.widened(pa.repeat(part.cast(plain), 1))[0]
    return shaped.widened(part.cast(plain))


def _fixed(parts: Sequence[Part], rows: int, arrow: pa.DataType) -> pa.Array:
    dtype = np.bool_ if pa.types.is_boolean(arrow) else views.values(pa.nulls(0, arrow)).dtype
    data = np.zeros(rows, dtype)
    valid = np.zeros(rows, np.bool_)
    for indices, part in parts:
        where = slice(None) if indices is None else indices
        if isinstance(part, pa.Scalar):
            if part.is_valid:
                data[where] = views.values(pa.repeat(part, 1))[0]
                valid[where] = True
        else:
            data[where] = views.values(part)
            own = views.validity(part)
            valid[where] = True if own is None else own
    return views.array_of(data, arrow, None if valid.all() else valid)


def _numeric(parts: Sequence[Part], rows: int, sql_type: SqlType) -> pa.Array:
    pieces = [(indices, part, decimals.unscaled(part, specials_too=True)) for indices, part in parts]
    wide = any(not decimals.fits(p, p) if isinstance(p, int) else p.dtype == object for _, _, p in pieces)
    data = np.zeros(rows, object if wide else np.int64)
    valid = np.zeros(rows, np.bool_)
    for indices, part, values in pieces:
        where = slice(None) if indices is None else indices
        data[where] = values
        if isinstance(part, pa.Scalar):
            valid[where] = part.is_valid
        else:
            own = views.validity(part)
            valid[where] = True if own is None else own
    return decimals.packed(data, sql_type.scale or 0, None if valid.all() else valid, specials_too=True)


def _scaled(parts: Sequence[Part], rows: int, sql_type: SqlType) -> pa.Array:
    pieces = [scaled.read(part, sql_type) for _, part in parts]
    wide = any(piece.values.dtype == object for piece in pieces)
    values, scales = np.zeros(rows, object if wide else np.int64), np.zeros(rows, np.int64)
    odd = np.zeros(rows) if any(piece.odd is not None for piece in pieces) else None
    valid = np.zeros(rows, np.bool_)
    for (indices, part), piece in zip(parts, pieces, strict=True):
        where = slice(None) if indices is None else indices
        values[where], scales[where] = piece.values, piece.scales
        if odd is not None and piece.odd is not None:
            odd[where] = piece.odd
        own = part.is_valid if isinstance(part, pa.Scalar) else nulls.validity(part)
        valid[where] = True if own is None else own
    return scaled.written(scaled.Scaled(values, scales, odd), None if valid.all() else valid)


def _strings(parts: Sequence[Part], rows: int) -> pa.Array:
    """Codes into one dictionary where every part has few distinct values, else plain strings."""
    if not all(isinstance(part, pa.Scalar) or (pa.types.is_dictionary(part.type) and len(part.dictionary) <= max(rows, 64))
               for _, part in parts):
        return _general(parts, rows, pa.string())
    pieces: list[pa.Array] = []
    starts: list[int] = []
    total = 0
    for _, part in parts:
        piece = pa.array([part.as_py()] if part.is_valid else [], pa.string()) if isinstance(part,
                                                                                             pa.Scalar) else part.dictionary
        starts.append(total)
        pieces.append(piece)
        total += len(piece)
    merged = pa.concat_arrays(pieces).dictionary_encode()
    places = views.values(merged)
    known = views.validity(merged.indices)
    codes = np.zeros(rows, np.int32)
    valid = np.zeros(rows, np.bool_)
    for (indices, part), start in zip(parts, starts, strict=True):
        where = slice(None) if indices is None else indices
        if isinstance(part, pa.Scalar):
            if part.is_valid:
                codes[where] = places[start]
                valid[where] = True
            continue
        own = views.validity(part.indices)
        local = views.values(part)
        if own is not None:
            local = np.where(own, local, 0)
        if len(part.dictionary) == 0:
            continue
        codes[where] = places[start + local]
        inner = True if known is None else known[start + local]
        valid[where] = inner if own is None else own & inner
    return views.dictionary_of(codes, merged.dictionary, None if valid.all() else valid)


def _general(parts: Sequence[Part], rows: int, arrow: pa.DataType) -> pa.Array:
    pieces: list[pa.Array] = [pa.nulls(1, arrow)]
    source = np.zeros(rows, np.int64)
    total = 1
    for indices, part in parts:
        where = slice(None) if indices is None else indices
        if isinstance(part, pa.Scalar):
            if not part.is_valid:
                continue
            pieces.append(pa.repeat(part, 1))
            source[where] = total
            total += 1
        else:
            pieces.append(nulls.decoded(part).cast(arrow))
            source[where] = np.arange(total, total + len(part))
            total += len(part)
    return pa.concat_arrays(pieces).take(pa.array(source))

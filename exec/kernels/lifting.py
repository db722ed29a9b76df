"""Functions of dictionary-encoded string columns, run once per distinct value instead of once per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.exec.kernels import nulls, views


class Lifting:
    """Runs a function of one string column once per distinct value where the column is dictionary-encoded.

    The last dictionary's result is kept: all batches of a row group share one dictionary.
    """

    def __init__(self, function: Callable[[pa.Array], Any], raises: bool) -> None:
        self._function, self._raises = function, raises
        self._dictionary: pa.Array | None = None
        self._result: Any = None

    def _over_dictionary(self, array: pa.Array) -> tuple[np.ndarray, Any] | None:
        """(codes, result for each code), or None where decoding is cheaper."""
        dictionary = array.dictionary
        codes = views.values(array)
        if array.null_count:
            valid = views.validity(array.indices)
            if valid is not None:
                codes = np.where(valid, codes, 0)
        if self._dictionary is not None and same_buffers(self._dictionary, dictionary):
            return codes, self._result
        if len(dictionary) == 0 or len(dictionary) > max(len(array), 64) or dictionary.null_count:
            return None
        if self._raises:
            used = np.zeros(len(dictionary), np.bool_)
            used[codes if array.null_count == 0 else codes[views.validity(array.indices)]] = True
            if not used.all():
                kept = np.flatnonzero(used)
                if len(kept) == 0:
                    return None
                places = np.zeros(len(dictionary), np.int32)
                places[kept] = np.arange(len(kept), dtype=np.int32)
                return places[codes], self._function(dictionary.take(pa.array(kept)))
        self._result = self._function(dictionary)
        self._dictionary = dictionary
        return codes, self._result

    def mask(self, array: pa.Array) -> np.ndarray:
        """For functions giving a boolean numpy mask."""
        if pa.types.is_dictionary(array.type):
            lifted = self._over_dictionary(array)
            if lifted is not None:
                return mask_of(lifted[1], lifted[0])
            array = array.dictionary_decode()
        return self._function(array)

    def value(self, array: pa.Array) -> Any:
        """For functions giving an Arrow array, or a mask."""
        if not pa.types.is_dictionary(array.type):
            return self._function(array)
        lifted = self._over_dictionary(array)
        if lifted is None:
            return self._function(array.dictionary_decode())
        codes, result = lifted
        if isinstance(result, np.ndarray):
            return mask_of(result, codes)
        valid = views.validity(array.indices)
        if isinstance(result, pa.Scalar):
            return nulls.with_validity(nulls.spread(result, len(array)), valid)
        return taken(result, codes, valid)


def mask_of(mask: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """mask[codes]; where only one or two codes count, comparing is several times faster than gathering."""
    hits = np.flatnonzero(mask)
    if len(hits) == 0:
        return np.zeros(len(codes), np.bool_)
    if len(hits) == 1:
        return codes == np.int32(hits[0])
    if len(hits) == len(mask):
        return np.ones(len(codes), np.bool_)
    if len(hits) == len(mask) - 1:
        return codes != np.int32(np.flatnonzero(~mask)[0])
    return mask.take(codes)


def taken(result: pa.Array, codes: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    """result[codes]; strings as a dictionary again, with its values distinct."""
    if pa.types.is_dictionary(result.type):
        result = result.dictionary_decode()
    if pa.types.is_string(result.type):
        encoded = result.dictionary_encode()
        inner = views.validity(encoded.indices)
        if inner is not None:
            valid = nulls.both(valid, inner[codes])
        places = views.values(encoded)
        if inner is not None:
            places = np.where(inner, places, 0)
        return views.dictionary_of(places[codes], encoded.dictionary, valid)
    if views.is_fixed(result.type):
        own = views.validity(result)
        return views.array_of(views.values(result)[codes], result.type,
                              nulls.both(valid, None if own is None else own[codes]))
    return result.take(pa.array(codes, mask=None if valid is None else ~valid))


def same_buffers(left: pa.Array, right: pa.Array) -> bool:
    """Whether two arrays are views of the very same memory (the first is kept alive, so addresses are not reused)."""
    if left is right:
        return True
    if len(left) != len(right) or left.offset != right.offset or left.type != right.type:
        return False
    return all((a is None) == (b is None) and (a is None or a.address == b.address)
               for a, b in zip(left.buffers(), right.buffers(), strict=True))

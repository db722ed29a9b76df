"""time with time zone: from its text form (which batches hold) to parts and back, and the keys that order it.

Equal values have equal texts, since PostgreSQL compares the instant first and then the zone.
Spec: PostgreSQL 15 documentation, 8.5.1.2; timetz_cmp_internal.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.exec.kernels import nulls
from shoal.exec.kernels.timezones import SECOND_US

_TEXT = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d)(?::(\d\d))?)?$")


def parts_of(text: str) -> tuple[int, int]:
    """(microseconds of local time, seconds east of UTC) of a value in its text form."""
    match = _TEXT.match(text)
    assert match is not None, text
    hour, minute, second, fraction, sign, zone_hour, zone_minute, zone_second = match.groups()
    us = (int(hour) * 3600 + int(minute) * 60 + int(second)) * SECOND_US + int((fraction or "").ljust(6, "0"))
    offset = int(zone_hour) * 3600 + int(zone_minute or 0) * 60 + int(zone_second or 0)
    return us, -offset if sign == "-" else offset


def text_of(us: int, offset: int) -> str:
    """The text form of a local time and its offset east of UTC in seconds."""
    seconds, fraction = divmod(us, SECOND_US)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if fraction:
        text += f".{fraction:06d}".rstrip("0")
    sign, size = "-" if offset < 0 else "+", abs(offset)
    text += f"{sign}{size // 3600:02d}"
    if size % 3600:
        text += f":{size // 60 % 60:02d}"
    return f"{text}:{size % 60:02d}" if size % 60 else text


def columns_of(array: Any) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds and offsets of a whole column; zeros under NULL."""
    found = [(0, 0) if text is None else parts_of(text) for text in nulls.decoded(array).to_pylist()]
    pairs = np.array(found, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def texts_of(us: np.ndarray, offsets: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    """The column of text forms; NULL where not `valid`."""
    texts = [text_of(a, b) for a, b in zip(us.tolist(), offsets.tolist(), strict=True)]
    return nulls.with_validity(pa.array(texts, pa.string()), valid)


def order_keys(us: Any, offset: Any) -> tuple[Any, Any]:
    """What equality and order go by: the instant, then the zone, those farther west last."""
    return us - offset * SECOND_US, -offset

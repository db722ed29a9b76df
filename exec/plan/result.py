"""What a result's rows become on the wire: decided where the client is, and sent along with the tasks that encode (hop 7).

Plain data; exec/encoding does what it says. What else decides a value's text (TimeZone ...) is in TaskSettings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoal.catalog.types import OID_LIKE, SqlType

NAMED_TYPES = {name for oid_like in OID_LIKE - {"oid", "xid", "cid"} for name in (oid_like, "_" + oid_like)}
"""Types whose text is an object's name, which only the coordinator can look up."""


@dataclass(frozen=True, slots=True)
class CopyStyle:
    """COPY's options as far as rows depend on them; `force_quote` is one flag per column, or none at all."""

    format: Literal["text", "csv", "binary"] = "text"
    delimiter: str = "\t"
    null: str = "\\N"
    quote: str = '"'
    escape: str = '"'
    force_quote: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultEncoding:
    """DataRow messages with one format code per column (0 text, 1 binary), or CopyData messages in a `copy` style."""

    types: tuple[SqlType, ...]
    formats: tuple[int, ...] = ()
    copy: CopyStyle | None = None

    @property
    def needs_names(self) -> bool:
        """Whether values are written as names of objects."""
        formats = self.formats or (1 if self.copy is not None and self.copy.format == "binary" else 0,) * len(self.types)
        return any(sql_type.name in NAMED_TYPES and not wire for sql_type, wire in zip(self.types, formats, strict=True))

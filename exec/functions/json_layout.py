"""Where a jsonb value's parts lie in PostgreSQL's binary form: the numbers that .keyvalue() gives objects.

Spec: PostgreSQL 15, "JSONB" in its storage documentation: a header and an entry of four bytes each, then the data, numbers
and containers aligned to four bytes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any


class Offsets:
    """Offsets of a document's containers from its start, in bytes; found when first asked for."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._known: dict[int, int] | None = None

    def __call__(self, value: Any) -> int:
        if self._known is None:
            self._known = {}
            self._container(self._document, 0)
        return self._known.get(id(value), 0)

    def _container(self, value: Any, start: int) -> int:
        """Notes the containers from `start` on; gives where this one ends."""
        assert self._known is not None
        if not isinstance(value, (dict, list)):
            return start
        self._known[id(value)] = start
        at = start + 4 + 4 * (2 * len(value) if isinstance(value, dict) else len(value))
        if isinstance(value, dict):
            at += sum(len(key.encode()) for key in value)
        for member in value.values() if isinstance(value, dict) else value:
            if isinstance(member, str):
                at += len(member.encode())
            elif isinstance(member, Decimal):
                at = (at + 3) // 4 * 4 + number_bytes(member)
            elif isinstance(member, (dict, list)):
                at = self._container(member, (at + 3) // 4 * 4)
        return at


def number_bytes(value: Decimal) -> int:
    """The size of a numeric: its length, a short header, two bytes for every four digits."""
    if not value:
        return 6
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    body = "".join(map(str, digits))
    if exponent > 0:
        body, exponent = body + "0" * exponent, 0
    whole, fraction = (body[:exponent], body[exponent:]) if exponent else (body, "")
    whole = whole or ""
    padded = whole.zfill((len(whole) + 3) // 4 * 4) + (fraction.rjust(-exponent, "0")).ljust((-exponent + 3) // 4 * 4, "0")
    groups = [padded[i:i + 4] for i in range(0, len(padded), 4)]
    while groups and groups[0] == "0000":
        groups.pop(0)
    while groups and groups[-1] == "0000":
        groups.pop()
    return 6 + 2 * len(groups)

"""inet, cidr, macaddr and macaddr8: text to values and back, a value at a time.

An address is (version, integer, prefix length); batches hold the text form. Spec: PostgreSQL 15 documentation, 8.9
"Network Address Types"; network.c, inet_net_pton.c and mac.c.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

from shoal.catalog.errors import InvalidTextRepresentation, NumericOutOfRange

BITS = {4: 32, 6: 128}
_V4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,3}")
_MAC = tuple(re.compile(form, re.IGNORECASE) for form in (
    r"([0-9a-f]{1,2})" + r"([:-])([0-9a-f]{1,2})" + r"\2([0-9a-f]{1,2})" * 4,
    r"([0-9a-f]{6})([:-])([0-9a-f]{6})", r"([0-9a-f]{4})([.-])([0-9a-f]{4})\2([0-9a-f]{4})", r"([0-9a-f]{12})"))


class Address(NamedTuple):
    version: int
    number: int
    prefix: int

    @property
    def mask(self) -> int:
        """The bits of the network."""
        full = BITS[self.version]
        return (1 << full) - (1 << full - self.prefix)

    @property
    def network(self) -> int:
        return self.number & self.mask


def _bad(text: str, kind: str) -> InvalidTextRepresentation:
    return InvalidTextRepresentation(f'invalid input syntax for type {kind}: "{text}"')


def parsed(text: str, kind: str) -> Address:
    """The address an inet or cidr literal means. Raises: InvalidTextRepresentation (22P02)."""
    body, slash, bits = text.partition("/")
    if slash and not (bits.isascii() and bits.isdigit()):
        raise _bad(text, kind)
    if ":" in body:
        try:
            number, version = int(ipaddress.IPv6Address(body)), 6
        except ValueError:
            raise _bad(text, kind) from None
        prefix = int(bits) if slash else 128
    else:
        if not _V4.fullmatch(body):
            raise _bad(text, kind)
        parts = [int(part) for part in body.split(".")]
        if max(parts) > 255 or (len(parts) < 4 and kind == "inet" and not slash):
            raise _bad(text, kind)
        if slash and len(bits) < 4 and 8 * len(parts) < int(bits) <= 32:
            raise _bad(text, kind)
        number, version = sum(part << 8 * (3 - place) for place, part in enumerate(parts)), 4
        prefix = int(bits) if slash else 32 if kind == "inet" or len(parts) == 4 else _classful(parts)
    if prefix > BITS[version]:
        raise _bad(text, kind)
    found = Address(version, number, prefix)
    if kind == "cidr" and found.network != found.number:
        raise InvalidTextRepresentation(f'invalid cidr value: "{text}"', detail="Value has bits set to right of mask.")
    return found


def _classful(parts: list[int]) -> int:
    """The prefix length of a network written with fewer than four numbers."""
    first = parts[0]
    least = 32 if first >= 240 else 4 if first >= 224 else 24 if first >= 192 else 16 if first >= 128 else 8
    if least == 4 and first == 224 and len(parts) == 1:
        return 4
    return max(least, 8 * len(parts))


@lru_cache(maxsize=65536)
def address_of(text: str) -> Address:
    """The address of a text as batches hold it."""
    return parsed(text, "inet" if "/" not in text else "cidr_or_inet")


def host_text(value: Address) -> str:
    """The address without its prefix length, as C's inet_ntop writes it."""
    if value.version == 4:
        return ".".join(str(value.number >> shift & 255) for shift in (24, 16, 8, 0))
    high, words = value.number >> 32, [value.number >> 16 * (7 - i) & 0xFFFF for i in range(8)]
    if high == 0xFFFF or (high == 0 and words[6]):
        tail = ".".join(str(value.number >> shift & 255) for shift in (24, 16, 8, 0))
        return f"::{'ffff:' if high else ''}{tail}"
    return str(ipaddress.IPv6Address(value.number))


def text_of(value: Address, kind: str) -> str:
    """The text form: cidr always has its prefix length, inet where it is not the whole address."""
    shown = host_text(value)
    return shown if kind == "inet" and value.prefix == BITS[value.version] else f"{shown}/{value.prefix}"


def abbreviated(value: Address, kind: str) -> str:
    """abbrev(): a cidr without the bytes that are zero for its prefix."""
    if kind == "inet":
        return text_of(value, "inet")
    if value.version == 4:
        kept = max((value.prefix + 7) // 8, 1)
        return ".".join(host_text(value).split(".")[:kept]) + f"/{value.prefix}"
    if value.prefix == 0:
        return "::/0"
    words = [value.number >> 16 * (7 - i) & 0xFFFF for i in range(max((value.prefix + 15) // 16, 2))]
    if value.prefix > 96 and not any(words[:5]) and (words[5] == 0xFFFF or (not words[5] and words[6])):
        kept = (value.prefix - 96 + 7) // 8
        tail = ".".join(str(value.number >> 8 * (3 - i) & 255) for i in range(kept))
        return f"::{'ffff:' if words[5] else ''}{tail}/{value.prefix}"
    size, start = max(((_zeros(words, i), -i) for i in range(len(words))), default=(0, 0))
    if not size:
        return ":".join(f"{word:x}" for word in words) + f"/{value.prefix}"
    head, rest = words[:-start], words[-start + size:]
    return ":".join(f"{word:x}" for word in head) + "::" + ":".join(f"{word:x}" for word in rest) + f"/{value.prefix}"


def _zeros(words: list[int], start: int) -> int:
    """How many words from `start` on are zero."""
    count = 0
    while start + count < len(words) and not words[start + count]:
        count += 1
    return count


def order_key(text: str) -> tuple[int, int, int, int]:
    """Version, then the network, then the longer prefix, then the address."""
    value = address_of(text)
    return _network_key(value)


def _network_key(value: Address) -> tuple[int, int, int, int]:
    return (value.version, _Prefixed(value), value.prefix, value.number)  # type: ignore[return-value]


class _Prefixed:
    """Networks compare by as many bits as the shorter one has."""

    __slots__ = ("value",)

    def __init__(self, value: Address) -> None:
        self.value = value

    def _common(self, other: _Prefixed) -> tuple[int, int]:
        shift = BITS[self.value.version] - min(self.value.prefix, other.value.prefix)
        return self.value.number >> shift, other.value.number >> shift

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, _Prefixed)
        a, b = self._common(other)
        return a == b

    def __lt__(self, other: _Prefixed) -> bool:
        a, b = self._common(other)
        return a < b

    def __gt__(self, other: _Prefixed) -> bool:
        return other < self

    def __le__(self, other: _Prefixed) -> bool:
        return not other < self

    def __ge__(self, other: _Prefixed) -> bool:
        return not self < other

    def __hash__(self) -> int:
        return hash(self.value)


def within(a: Address, b: Address, strictly: bool) -> bool:
    """Whether a's network is inside b's."""
    if a.version != b.version or not (a.prefix > b.prefix if strictly else a.prefix >= b.prefix):
        return False
    return a.number & b.mask == b.network


def overlapping(a: Address, b: Address) -> bool:
    if a.version != b.version:
        return False
    shift = BITS[a.version] - min(a.prefix, b.prefix)
    return a.number >> shift == b.number >> shift


def moved(value: Address, by: int) -> Address:
    """Raises: NumericOutOfRange (22003) beyond the addresses there are."""
    number = value.number + by
    if not 0 <= number < 1 << BITS[value.version]:
        raise NumericOutOfRange("result is out of range")
    return value._replace(number=number)


def merged(a: Address, b: Address) -> Address:
    """The smallest network that includes both."""
    prefix = min(a.prefix, b.prefix, BITS[a.version] - (a.number ^ b.number).bit_length())
    found = a._replace(prefix=prefix)
    return found._replace(number=found.network)


# --- hardware addresses

def parsed_mac(text: str) -> int:
    """The six bytes of a macaddr literal as a number. Raises: InvalidTextRepresentation (22P02)."""
    body = text.strip(" \t\n\r\v\f")
    for form in _MAC:
        match = form.fullmatch(body)
        if match:
            groups = [group for group in match.groups() if group not in (":", "-", ".")]
            if len(groups) == 6:
                groups = [group.zfill(2) for group in groups]
            return int("".join(groups), 16)
    raise _bad(text, "macaddr")


def parsed_mac8(text: str) -> int:
    """The eight bytes of a macaddr8 literal; six get FF and FE in their middle.

    Raises: InvalidTextRepresentation (22P02).
    """
    body = text.strip(" \t\n\r\v\f")
    marks = set(re.sub(r"[0-9a-fA-F]", "", body))
    digits = re.sub(r"[:.-]", "", body)
    if len(marks) > 1 or not marks <= set(":-.") or not re.fullmatch(r"[0-9a-fA-F]{12}|[0-9a-fA-F]{16}", digits) or any(
            len(part) % 2 or not part for part in re.split(r"[:.-]", body)):
        raise _bad(text, "macaddr8")
    number = int(digits, 16)
    return widened_mac(number) if len(digits) == 12 else number


def widened_mac(number: int) -> int:
    return number >> 24 << 40 | 0xFFFE << 24 | number & 0xFFFFFF


def mac_text(number: int, size: int) -> str:
    """The text of so many bytes: 08:00:2b:01:02:03."""
    return ":".join(f"{byte:02x}" for byte in number.to_bytes(size, "big"))


def mac_of(text: str) -> int:
    """The number of a text as batches hold it."""
    return int(text.replace(":", ""), 16)

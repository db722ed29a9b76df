"""Binary parameters that are wrong or nearly so: what test_types_like_postgres.py binds on both servers."""

from __future__ import annotations

import struct


def _array(element: int, *items: bytes | None, dimensions: int = 1, flags: int = 0, lower: int = 1) -> bytes:
    head = struct.pack(">iiI", dimensions, flags, element) + struct.pack(">ii", len(items), lower) * dimensions
    return head + b"".join(struct.pack(">i", -1) if item is None else struct.pack(">i", len(item)) + item for item in items)


_ONE, _TWO = struct.pack(">i", 1), struct.pack(">i", 2)

BINARY: dict[str, list[bytes]] = {
    "bool": [b"", b"\0", b"\1", b"\2", b"\0\0"],
    "int2": [b"", b"\0", b"\0\1", b"\0\0\1"], "int4": [b"", b"\0\0", _ONE, _ONE + b"\0", bytes(8)],
    "int8": [b"", bytes(4), bytes(8), bytes(9)], "float4": [b"", bytes(4), bytes(8)], "float8": [b"", bytes(4), bytes(8),
        bytes(9)],
    "numeric": [b"", bytes(7), bytes(8), bytes(9), bytes(10), struct.pack(">HhHH", 0, 0, 0xC000, 5),
                *(struct.pack(">HhHH", 0, 0, sign, 0) for sign in (0xC000, 0xD000, 0xF000, 0xE000)),
                struct.pack(">HhHHH", 1, 0, 0xC000, 0, 7), struct.pack(">HhHHH", 1, 0, 0xF000, 3, 10_000),
                struct.pack(">HhHH", 0, 0, 0x1234, 0), struct.pack(">HhHHH", 1, 0, 0, 0, 10_000), struct.pack(">HhHHH", 1,
                0, 0, 1, 7),
                struct.pack(">HhHHH", 1, 0, 0, 16_384, 7), struct.pack(">HhHHHH", 2, 0, 0, 0, 7, 5000),
                struct.pack(">HhHHH", 2, 0, 0, 0, 7)],
    "text": [b"", b"abc", b"\xff", b"a\0b", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"], "varchar": [b"\xff", b"abc"],
        "bpchar": [b"ab "],
    "varchar(2)": [b"abc", b"ab "], "char(3)": [b"a", b"abcd"], "name": [b"abc", b"x" * 64, b"\xff"], '"char"': [b"", b"a",
        b"\0", b"\xff", b"ab"],
    "bytea": [b"", b"\0\xff", b"abc"],
    "date": [b"", bytes(4), bytes(5), struct.pack(">i", -2**31), struct.pack(">i", 2**31 - 1), struct.pack(">i", 2**31 - 2),
        struct.pack(">i", -2**31 + 1)],
    "time": [b"", bytes(8), bytes(4), struct.pack(">q", -1), struct.pack(">q", 86_400_000_000), struct.pack(">q",
        86_400_000_001)],
    "timetz": [b"", bytes(8), bytes(12), bytes(13), struct.pack(">qi", -1, 0), struct.pack(">qi", 0, 57_600),
        struct.pack(">qi", 0, -57_599)],
    "timestamp": [b"", bytes(8), bytes(9), struct.pack(">q", -2**63), struct.pack(">q", 2**63 - 1), struct.pack(">q",
        -2**63 + 1)],
    "timestamptz": [bytes(7), bytes(8), struct.pack(">q", -2**63 + 1)],
    "interval": [b"", bytes(8), bytes(16), bytes(17)], "uuid": [b"", bytes(15), bytes(16), bytes(17)],
    "json": [b"", b"{}", b"{", b"\xff"], "jsonb": [b"", b"\1", b"\1{}", b"\2{}", b"\1{", b"\1 [1 , 2]"],
    "oid": [b"", bytes(4), bytes(8), b"\xff\xff\xff\xff"], "xid": [b"", bytes(4)], "cid": [bytes(4)],
        "regclass": [struct.pack(">I", 1259), b"", bytes(4)],
    "regtype": [struct.pack(">I", 23)], "regproc": [bytes(4)], "regnamespace": [struct.pack(">I", 11)], "tid": [b"",
        bytes(6), bytes(7)],
    "inet": [b"", b"\2\x20\0\4\1\2\3\4", b"\2\x21\0\4\1\2\3\4", b"\4\x20\0\4\1\2\3\4", b"\2\x20\0\5\1\2\3\4",
        b"\2\x20\0\4\1\2\3", b"\2\x18\0\4\1\2\3\4"],
    "int4[]": [_array(23, _ONE, dimensions=6), _array(23, _ONE, dimensions=2, lower=-1),
        struct.pack(">iiIiiii", 2, 0, 23, 2, 1, 1, 0) + 2 * (struct.pack(">i", 4) + _ONE), struct.pack(">iiIiiii", 2, 0, 23,
        2, 1, 0, 0), b"", bytes(12), struct.pack(">iiI", 0, 0, 23), _array(23, _ONE, None, flags=1), _array(23, _ONE, _TWO),
        _array(23, _ONE, _TWO, lower=0),
               _array(20, bytes(8)), _array(25, b"1"), _array(23, b"\0\0"), _array(23, bytes(5)), _array(23, _ONE)[:-1],
               _array(23, _ONE) + b"\0",
               struct.pack(">iiI", -1, 0, 23), struct.pack(">iiI", 7, 0, 23), struct.pack(">iiI", 1, 2, 23) + bytes(8),
               struct.pack(">iiIii", 1, 0, 23, -1, 1),
               struct.pack(">iiIii", 1, 0, 23, 2**31 - 1, 1), struct.pack(">iiIii", 1, 0, 23, 0, 1)],
    "text[]": [_array(25, b"a", b"", None, flags=1), _array(1043, b"a"), _array(705, b"a"), _array(25, b"\xff")],
    "varchar[]": [_array(1043, b"abc"), _array(25, b"abc")], "int2vector": [_array(21, b"\0\1", lower=0), _array(21,
        b"\0\1"), b""],
    "oidvector": [_array(26, bytes(4), lower=0)], "numeric[]": [_array(1700, struct.pack(">HhHHH", 1, 0, 0, 2, 7))],
    "void": [b""],
}

NEAR_MISSES: list[tuple[str, int, bytes]] = [
    ("SELECT $1::oid", 23, _ONE), ("SELECT $1::regclass", 23, struct.pack(">i", 1259)), ("SELECT 1 WHERE 1::oid = $1", 23,
    _ONE),
    ("SELECT $1::int8", 23, _ONE), ("SELECT $1::int4", 20, struct.pack(">q", 7)), ("SELECT $1::int2", 23, struct.pack(">i",
    70_000)),
    ("SELECT $1::text", 23, _ONE), ("SELECT $1::text", 16, b"\1"), ("SELECT $1::text", 1184, bytes(8)), ("SELECT $1::date",
    1114, bytes(8)),
    ("SELECT $1::text", 2950, bytes(16)), ("SELECT $1::numeric", 23, _ONE), ("SELECT $1::float8", 700, struct.pack(">f",
    1.5)),
    ("SELECT $1::int4[]", 1016, _array(20, bytes(8))), ("SELECT $1::text[]", 1015, _array(1043, b"a")), ("SELECT $1", 705,
    b"abc"), ("SELECT $1", 0, b"abc"),
    ("SELECT $1::name", 25, b"abc"), ("SELECT $1::varchar", 25, b"abc"), ("SELECT $1::jsonb", 114, b'{"a": 1}'),
    ("SELECT $1::bool", 23, _ONE),
]
"""(statement, declared oid, binary value)."""

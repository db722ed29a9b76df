"""A client that takes all rows of a statement and decodes none: python -m conformance.bench.drain HOST PORT USER DATABASE
FORM SQL prints JSON. A process of its own, so that it shares no interpreter with what starts it.

FORM is text, binary, copy-text or copy-binary. `--rate` reads so many bytes per second, `--seconds` stops after a while.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import struct
import sys
import time

FORMS = ("text", "binary", "copy-text", "copy-binary")
_BUFFER_BYTES = 1 << 20
_READY = b"Z\0\0\0\5I"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def connect(host: str, port: int, user: str, database: str, receive_buffer: int = 0) -> socket.socket:
    """A connection past its first ReadyForQuery."""
    link = socket.socket()
    if receive_buffer:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    link.connect((host, port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    parameters = b"".join(part.encode() + b"\0" for part in ("user", user, "database", database)) + b"\0"
    link.sendall(struct.pack("!ii", len(parameters) + 8, 196608) + parameters)
    said = b""
    while not said.endswith(_READY):
        more = link.recv(65536)
        if not more:
            raise ConnectionError(f"no session: {said!r}")
        said += more
    return link


def question(form: str, sql: str) -> bytes:
    """The messages that ask for the rows of `sql` in `form`."""
    if form == "text":
        return message(b"Q", sql.encode() + b"\0")
    if form == "binary":
        return (message(b"P", b"\0" + sql.encode() + b"\0\0\0") + message(b"B", b"\0\0\0\0\0\0\0\1\0\1")
                + message(b"E", b"\0\0\0\0\0") + message(b"S", b""))
    return message(b"Q", f"COPY ({sql}) TO STDOUT (FORMAT {form.partition('-')[2]})".encode() + b"\0")


def drain(link: socket.socket, form: str, sql: str) -> dict[str, float | int | str]:
    """Takes everything up to ReadyForQuery. Raises: RuntimeError with what the server complained of."""
    buffer = bytearray(_BUFFER_BYTES)
    view = memoryview(buffer)
    head, tail, total, first_row_s = b"", b"", 0, None
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    link.sendall(question(form, sql))
    while True:
        size = link.recv_into(view)
        if not size:
            raise RuntimeError("the server closed the connection")
        total += size
        if first_row_s is None:
            head += view[:size]
            if _has_row(head):
                first_row_s = time.perf_counter() - started
        tail = (tail + view[max(0, size - 64):size])[-64:]
        if tail.endswith(_READY):
            break
    seconds = time.perf_counter() - started
    now = resource.getrusage(resource.RUSAGE_SELF)
    place = tail.rfind(b"C\0\0\0")
    if place < 0:
        raise RuntimeError(f"the server did not finish: {head[-200:]!r}")
    rows = int(tail[place + 5:-len(_READY) - 1].split()[-1])
    return {"seconds": seconds, "first_row_s": first_row_s or seconds, "rows": rows, "bytes": total,
            "cpu_s": now.ru_utime - cpu.ru_utime + now.ru_stime - cpu.ru_stime}


def _has_row(data: bytes) -> bool:
    """Whether a DataRow or CopyData message has come."""
    at = 0
    while at + 5 <= len(data):
        if data[at] in b"Dd":
            return True
        at += 1 + int.from_bytes(data[at + 1:at + 5], "big")
    return False


def trickle(link: socket.socket, form: str, sql: str, rate: int, seconds: float) -> dict[str, float | int | str]:
    """Reads `rate` bytes per second for a while, then leaves."""
    link.settimeout(seconds)
    link.sendall(question(form, sql))
    started, total = time.perf_counter(), 0
    while (now := time.perf_counter() - started) < seconds:
        total += len(data := link.recv(max(1, int(rate * now) - total + rate // 8)))
        if data.endswith(_READY):
            raise RuntimeError(f"the server has ended early: {data[-200:]!r}")
        time.sleep(0.125)
    return {"seconds": seconds, "bytes": total}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("host", str), ("port", int), ("user", str), ("database", str)):
        parser.add_argument(name, type=kind)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("sql")
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    with connect(chosen.host, chosen.port, chosen.user, chosen.database, 4096 if chosen.rate else 0) as link:
        found = (trickle(link, chosen.form, chosen.sql, chosen.rate, chosen.seconds) if chosen.rate
                 else drain(link, chosen.form, chosen.sql))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

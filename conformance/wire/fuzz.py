"""A seeded fuzzer of the wire protocol: the messages of the scripts, bent and broken, sent to a running server.

    python -m conformance.wire.fuzz --seed 1 --count 20000

What must hold, whatever is sent: the server lives; every connection is answered or closed in time; nothing is an
internal error (XX000); a session that stands by keeps its answers; memory does not grow.
"""

from __future__ import annotations

import argparse
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from conformance.server import Server
from conformance.wire import frames, script
from shoal.server.protocol import messages as m

ANSWER_S = 15.0
"""How long a connection may take to answer and end; its statements stop after two seconds."""
GROWTH_BYTES = 96 << 20
"""How much more memory the server may have at the end than after the first tenth."""
_AT_ONCE = 4
_STARTUP = m.encode(m.StartupMessage(m.PROTOCOL_3_0, {"user": "shoal", "database": "shoal",
                                                      "options": "-c statement_timeout=2s"}))
_PACKETS = (_STARTUP, m.encode(m.SslRequest()), m.encode(m.GssEncRequest()), m.encode(m.CancelRequest(1, b"abcd")),
            m.encode(m.StartupMessage(m.PROTOCOL_3_2, {"user": "shoal", "_pq_.x": "1", "replication": "no"})))
_BEFORE_SESSIONS = ("Startup", "SSLRequest", "GSSENCRequest", "Packet")
Data = list[bytes]
"""One element per message."""


def corpus() -> list[Data]:
    """What each session of each script sends, message by message."""
    found: list[Data] = []
    for item in script.read_all():
        sessions: dict[str, Data] = {}
        for step in item.steps:
            for operation in step.operations:
                if operation.name[0].isupper() and operation.name not in _BEFORE_SESSIONS:
                    sessions.setdefault(step.session, []).append(frames.encode(operation))
        found += [data for data in sessions.values() if sum(map(len, data)) < 50_000]
    return found


# --- what is done to messages ----------------------------------------------------------------------------------------


def _flip(draw: random.Random, data: Data) -> None:
    index = draw.randrange(len(data))
    changed = bytearray(data[index])
    for _ in range(draw.randint(1, 4)):
        if changed:
            changed[draw.randrange(len(changed))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    data[index] = bytes(changed)


def _length(draw: random.Random, data: Data) -> None:
    """Another length in the header; the body stays."""
    index = draw.randrange(len(data))
    length = draw.choice((0, 3, 4, 5, 0x7FFFFFFF, -1, -2147483648, 0x3FFFFFFF, 10_004, draw.randrange(1 << 31),
                          len(data[index])))
    data[index] = data[index][:1] + struct.pack(">i", length) + data[index][5:]


def _body(draw: random.Random, data: Data) -> None:
    """Bytes put in, taken out or replaced in the body, with a length that fits."""
    index = draw.randrange(len(data))
    body = bytearray(data[index][5:])
    start = draw.randint(0, len(body))
    body[start:start + draw.choice((0, 1, 2, 4, 40))] = draw.randbytes(draw.choice((0, 1, 2, 4, 40)))
    data[index] = data[index][:1] + struct.pack(">i", len(body) + 4) + bytes(body)


def _count(draw: random.Random, data: Data) -> None:
    """A 16-bit number somewhere in the body becomes another, as a count would."""
    index = draw.randrange(len(data))
    if len(data[index]) > 7:
        at = draw.randrange(5, len(data[index]) - 1)
        number = struct.pack(">h", draw.choice((-1, 0, 1, 2, 255, 256, 32767, -32768)))
        data[index] = data[index][:at] + number + data[index][at + 2:]


def _kind(draw: random.Random, data: Data) -> None:
    index = draw.randrange(len(data))
    kind = draw.choice([*m.FRONTEND, *m.BACKEND, chr(draw.randrange(256))]).encode("latin-1")
    data[index] = kind + data[index][1:]


def _cut(draw: random.Random, data: Data) -> None:
    index = draw.randrange(len(data))
    data[index] = data[index][:draw.randint(0, len(data[index]))]


def _drop(draw: random.Random, data: Data) -> None:
    del data[draw.randrange(len(data))]


def _repeat(draw: random.Random, data: Data) -> None:
    index = draw.randrange(len(data))
    data[index:index] = [data[index]] * draw.choice((1, 2, 20))


def _swap(draw: random.Random, data: Data) -> None:
    draw.shuffle(data)


def _noise(draw: random.Random, data: Data) -> None:
    data.insert(draw.randint(0, len(data)), draw.randbytes(draw.choice((1, 5, 300))))


CHANGES: tuple[Callable[[random.Random, Data], None], ...] = (
    _flip, _length, _body, _count, _kind, _cut, _drop, _repeat, _swap, _noise)


def case(seed: str, scripts: Sequence[Data]) -> Data:
    """One case: a connection's bytes in the pieces they are sent in."""
    draw = random.Random(seed)
    start = [_STARTUP]
    if draw.random() < 0.15:
        start = [draw.choice(_PACKETS) for _ in range(draw.randint(1, 4))]
        draw.choice((_flip, _cut, _repeat, _swap, _noise))(draw, start)
    data = list(draw.choice(scripts))
    if draw.random() < 0.3:
        data += draw.choice(scripts)
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3, 6))):
        if data:
            draw.choice(CHANGES)(draw, data)
    whole = b"".join(start + data)
    match draw.randrange(4):
        case 0:
            return [*start, *data]
        case 1:
            cuts = sorted(draw.randint(0, len(whole)) for _ in range(draw.randint(1, 6)))
            return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)])]
    return [whole]


# --- the judge -------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    cases: int = 0
    answered: int = 0
    """Connections that were told something after their start-up packet."""
    violations: int = 0
    """Connections that ended with 08P01."""
    slowest_s: float = 0.0
    grown_bytes: int = 0
    failures: list[str] = field(default_factory=list)


def play(host: str, port: int, pieces: Data) -> tuple[bytes, bool]:
    """Sends a case, closes the sending side; what came back, and whether the connection ended in time."""
    with socket.create_connection((host, port), ANSWER_S) as connection:
        connection.settimeout(ANSWER_S)
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has closed already
        try:
            while data := connection.recv(65_536):
                received += data
        except ConnectionError:
            pass
        except TimeoutError:
            return received, False
    return received, True


def error_codes(received: bytes) -> list[str]:
    """The SQLSTATEs of the errors in an answer, as far as it is whole messages."""
    found, position = [], 0
    while position + 5 <= len(received):
        length = struct.unpack_from(">i", received, position + 1)[0]
        body = received[position + 5:position + 1 + length]
        if received[position:position + 1] == b"E":
            found += [field[1:].decode() for field in body.split(b"\0") if field[:1] == b"C"]
        position += 1 + max(length, 4)
    return found


def fuzz(host: str, port: int, seed: int, count: int, memory: Callable[[], int] | None = None) -> Report:
    """Plays `count` cases. `memory` gives the server's resident bytes."""
    scripts, report = corpus(), Report()
    bystander = socket.create_connection((host, port), ANSWER_S)
    bystander.settimeout(ANSWER_S)
    bystander.sendall(_STARTUP)
    _until_ready(bystander)

    def one(number: int) -> None:
        started = time.monotonic()
        name = f"{seed}:{number}"
        try:
            received, ended = play(host, port, case(name, scripts))
        except OSError as error:
            report.failures.append(f"case {name}: no connection: {error}")
            return
        codes = error_codes(received)
        report.cases += 1
        report.answered += len(received) > 1
        report.violations += "08P01" in codes
        report.slowest_s = max(report.slowest_s, time.monotonic() - started)
        if not ended:
            report.failures.append(f"case {name}: still open after {ANSWER_S:g} s")
        if "XX000" in codes:
            report.failures.append(f"case {name}: internal error")

    before, step = 0, max(count // 10, 1)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for first in range(0, count, step):
            list(pool.map(one, range(first, min(first + step, count))))
            bystander.sendall(m.encode(m.Query("select 'here'")))
            if b"here" not in _until_ready(bystander):
                report.failures.append(f"the bystander was disturbed before case {first + step}")
            if memory is not None:
                before = before or memory()
                report.grown_bytes = memory() - before
    bystander.close()
    if report.grown_bytes > GROWTH_BYTES:
        report.failures.append(f"memory grew by {report.grown_bytes >> 20} MB")
    return report


def _until_ready(connection: socket.socket) -> bytes:
    received = b""
    while received[-6:-1] != b"Z\0\0\0\5":
        data = connection.recv(65_536)
        if not data:
            break
        received += data
    return received


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.wire.fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--show", metavar="CASE", help="prints the bytes of one case, such as 1:17")
    options = parser.parse_args(arguments)
    if options.show:
        for piece in case(options.show, corpus()):
            print(piece)
        return 0
    with Server(["--workers", "1"]) as server:
        started = time.monotonic()
        report = fuzz("127.0.0.1", server.port, options.seed, options.count, server.resident_bytes)
        if server.process.poll() is not None:
            report.failures.append("the server has died")
    print("\n".join(report.failures[:20]))
    print(f"seed {options.seed}: {report.cases} cases in {time.monotonic() - started:.0f} s, {report.answered} answered, "
          f"{report.violations} with 08P01, slowest {report.slowest_s:.1f} s, memory {report.grown_bytes / 2**20:+.1f} MB, "
          f"{len(report.failures)} failures")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())

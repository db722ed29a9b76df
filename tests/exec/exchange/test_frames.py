"""Frames: what goes in comes out, nothing is sent twice, and damaged bytes are refused before Arrow sees them."""

from __future__ import annotations

import datetime
import decimal
import random

import pyarrow as pa
import pytest

from shoal.catalog.errors import ProtocolViolation
from shoal.exec.exchange.buffer import Page
from shoal.exec.exchange.frames import (
    DICTIONARY,
    HEADER_BYTES,
    PAGE,
    ROWS,
    SCHEMA,
    FrameDecoder,
    FrameEncoder,
    frame,
    parse_header,
    payload_of,
)

COLUMNS = [
    pa.array([1, None, 3], pa.int64()), pa.array([1, None, 3], pa.int16()), pa.array([True, None, False]),
    pa.array([1.5, None, float("nan")]), pa.array(["a", None, "ß" * 100]), pa.array([b"\x00", None, b""], pa.binary()),
    pa.array([decimal.Decimal("1.23"), None, decimal.Decimal("-9.99")], pa.decimal128(38, 2)),
    pa.array([decimal.Decimal(10) ** 60, None, decimal.Decimal(1)], pa.decimal256(76, 0)),
    pa.array([datetime.date(2020, 1, 1), None, datetime.date(1, 1, 1)]), pa.array([1, None, 2], pa.timestamp("us")),
    pa.array([1, None, 2], pa.timestamp("us", "UTC")), pa.array([1, None, 2], pa.time64("us")),
    pa.array([(1, 2, 3), None, (0, 0, 1)], pa.month_day_nano_interval()),
    pa.array([[1], None, [2, None]], pa.list_(pa.int64())),
    pa.array(["x", None, "x"]).dictionary_encode(), pa.nulls(3),
]


def page(*arrays: pa.Array, rows: int | None = None) -> Page:
    return Page(arrays, len(arrays[0]) if rows is None else rows, sum(a.nbytes for a in arrays))


def kinds(buffers: list) -> list[int]:
    return [parse_header(header).kind for header in buffers[::2]]


def decode(decoder: FrameDecoder, buffers: list) -> list[tuple[int, Page]]:
    found = []
    for head, payload in zip(buffers[::2], buffers[1::2], strict=True):
        header = parse_header(head)
        decoded = decoder.decode(header, bytes(payload))
        if decoded is not None:
            found.append((header.sequence, decoded))
    return found


@pytest.mark.parametrize("codec", ["", "zstd"])
def test_every_storage_form_round_trips(codec: str) -> None:
    encoder, decoder = FrameEncoder(codec), FrameDecoder()
    for number in range(2):
        (sequence, got), = decode(decoder, encoder.encode(number, page(*COLUMNS)))
        assert sequence == number and got.rows == 3
        for sent, received in zip(COLUMNS, got.arrays, strict=True):
            assert received.type == sent.type
            assert str(received) == str(sent)  # NaN equals nothing


def test_slices_send_only_their_rows() -> None:
    wide = pa.array([f"text number {i}" for i in range(10_000)])
    buffers = FrameEncoder().encode(0, page(wide.slice(5_000, 10)))
    assert sum(len(b) for b in buffers) < 2_000
    (_, got), = decode(FrameDecoder(), buffers)
    assert got.arrays[0].equals(wide.slice(5_000, 10))


def test_rows_without_columns() -> None:
    (_, got), = decode(FrameDecoder(), FrameEncoder().encode(7, Page((), 42, 0)))
    assert got.arrays == () and got.rows == 42


def test_schema_is_sent_when_it_changes() -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder()
    small, large = pa.array([1, 2]), pa.array([1, 2], pa.decimal128(38, 0))
    sent = [encoder.encode(i, page(a)) for i, a in enumerate([small, small, large, small])]
    assert [kinds(b) for b in sent] == [[SCHEMA, PAGE], [PAGE], [SCHEMA, PAGE], [SCHEMA, PAGE]]
    assert [decode(decoder, b)[0][1].arrays[0].type for b in sent] == [small.type, small.type, large.type, small.type]


def test_dictionary_is_sent_when_it_changes() -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder()
    dictionary = pa.array(["a", "b", "c"])

    def coded(codes: list, values: pa.Array = dictionary) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), values)

    equal = pa.array(["a", "b", "c"])
    other = pa.array(["d"])
    sent = [coded([0, 1, 2, 0]), coded([2]), coded([1, None, 0], equal), coded([0, 0], other)]
    frames = [encoder.encode(i, page(a)) for i, a in enumerate(sent)]
    assert [kinds(b) for b in frames] == [[SCHEMA, DICTIONARY, PAGE], [PAGE], [PAGE], [DICTIONARY, PAGE]]
    for array, buffers in zip(sent, frames, strict=True):
        assert decode(decoder, buffers)[0][1].arrays[0].equals(array)


def test_dictionary_larger_than_the_page_is_not_sent() -> None:
    values = pa.array([f"value {i}" for i in range(1_000)])
    array = pa.DictionaryArray.from_arrays(pa.array([5, 7], pa.int32()), values)
    buffers = FrameEncoder().encode(0, page(array))
    assert kinds(buffers) == [SCHEMA, PAGE]
    assert decode(FrameDecoder(), buffers)[0][1].arrays[0].to_pylist() == ["value 5", "value 7"]


def test_two_thousand_mutations_are_all_refused() -> None:
    encoder = FrameEncoder("zstd")
    text = pa.array(["some text that repeats"] * 200)
    buffers = encoder.encode(0, page(text, pa.array(range(200)), text.dictionary_encode()))
    raw = [bytes(b) for b in buffers]
    random_ = random.Random(7)
    refused = 0
    for _ in range(2_000):
        which = random_.randrange(len(raw))
        damaged = bytearray(raw[which])
        match random_.randrange(3):
            case 0:
                position = random_.randrange(len(damaged))
                damaged[position] ^= 1 << random_.randrange(8)
            case 1:
                del damaged[random_.randrange(len(damaged)):]
            case 2:
                damaged[:4] = random_.randbytes(4) if which % 2 == 0 else damaged[:4]
                damaged += random_.randbytes(3)
        decoder = FrameDecoder()
        try:
            for index in range(0, len(raw), 2):
                head, body = (bytes(damaged) if i == which else raw[i] for i in (index, index + 1))
                decoder.decode(parse_header(head), body)
        except ProtocolViolation:
            refused += 1
    assert refused == 2_000


def test_lengths_are_checked_before_anything_is_read() -> None:
    header = bytearray(frame(PAGE, b"x" * 10)[0])
    header[20:28] = b"\xff" * 8
    with pytest.raises(ProtocolViolation, match="claims"):
        parse_header(header)
    bomb, body = frame(PAGE, bytes(1_000_000), codec="zstd")
    small = bytearray(bomb)
    small[20:24] = (1000).to_bytes(4, "big")
    with pytest.raises(ProtocolViolation):
        payload_of(parse_header(small), body)
    with pytest.raises(ProtocolViolation, match="cut short"):
        parse_header(bytes(bomb)[:HEADER_BYTES - 1])


def test_frames_out_of_order_are_refused() -> None:
    coded = pa.array(["a", "a"]).dictionary_encode()
    buffers = FrameEncoder().encode(0, page(coded))
    for keep in ([4, 5], [0, 1, 4, 5], [2, 3]):
        with pytest.raises(ProtocolViolation):
            decode(FrameDecoder(), [buffers[i] for i in keep])


@pytest.mark.parametrize("codec", ["", "zstd"])
@pytest.mark.parametrize("size", [0, 5, 8, 4096, 100_003])
def test_encoded_rows_travel_without_schema_and_damage_is_seen(codec: str, size: int) -> None:
    data = memoryview(random.Random(size).randbytes(size // 2) + bytes(size - size // 2))
    head, payload = FrameEncoder(codec).encode(7, Page((), 3, size, data))  # type: ignore[arg-type]
    header = parse_header(bytes(head))
    assert (header.kind, header.sequence, header.rows) == (ROWS, 7, 3)
    decoded = FrameDecoder().decode(header, payload)
    assert decoded is not None and decoded.rows == 3 and decoded.encoded is not None and decoded.encoded == data
    for place in {0, len(payload) // 2, len(payload) - 1} if size else ():
        damaged = bytearray(payload)
        damaged[place] ^= 16
        with pytest.raises(ProtocolViolation):
            FrameDecoder().decode(header, damaged)
    with pytest.raises(ProtocolViolation):
        FrameDecoder().decode(header, bytes(payload) + b"x")

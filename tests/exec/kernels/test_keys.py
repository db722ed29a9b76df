"""Value-based keys: hashes, code tables and key sets agree over all physical forms of equal values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shoal.catalog.errors import ProtocolViolation
from shoal.catalog.types import BPCHAR, BYTEA, DATE, FLOAT4, FLOAT8, INT2, INT4, INT8, INTERVAL, TEXT, SqlType, numeric
from shoal.exec.kernels import columncodes, hashing
from shoal.exec.kernels.concat import widened
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.kernels.grouping import KeyTable
from shoal.exec.kernels.intmap import IntMap
from shoal.exec.kernels.membership import KeySet

MONEY = numeric(30, 2)


def forms(values: list[Any], sql_type: SqlType) -> list[pa.Array]:
    """The same values in every form a batch may hold them in."""
    plain = array_of_values(values, sql_type)
    found = [plain, pa.concat_arrays([plain, plain]).slice(len(plain) // 2).slice(len(plain) - len(plain) // 2)]
    if sql_type.is_string:
        found += [plain.dictionary_encode(), pa.concat_arrays([pa.array(["zz"]), plain]).dictionary_encode().slice(1)]
    if sql_type.name == "numeric":
        if not pa.types.is_decimal(plain.type):
            found.append(widened(plain, pa.decimal128(38, 2)))
        found.append(widened(plain, pa.decimal256(76, 2)))
    if sql_type.is_integer:
        found += [plain.cast(pa.int64()), plain.cast(pa.int16())]
    return found


CASES = [(INT4, [1, -2, None, 1, 300]), (MONEY, [5, None, -7, 5]), (MONEY, [10**25, 5, None, -10**20]),
         (TEXT, ["", "a", None, "x" * 600, "a", "ünï"]), (DATE, [9000, None, -5]), (BYTEA, ["00ff", None, ""])]


@pytest.mark.parametrize(("sql_type", "values"), CASES)
def test_hashes_do_not_depend_on_the_form(sql_type: SqlType, values: list[Any]) -> None:
    first, *others = [hashing.hash_column(array, sql_type) for array in forms(values, sql_type)]
    for other in others:
        assert (first == other).all()
    assert len(set(first.tolist())) == len(set(values))


def test_hashes_of_values_that_are_equal_though_written_differently() -> None:
    zeros = hashing.hash_column(pa.array([0.0, -0.0]), FLOAT8)
    assert zeros[0] == zeros[1]
    assert (hashing.hash_column(pa.array([1.5], pa.float32()), FLOAT4) == hashing.hash_column(pa.array([1.5]), FLOAT8)).all()
    blanks = hashing.hash_column(pa.array(["a", "a  "]), BPCHAR)
    assert blanks[0] == blanks[1]
    months = hashing.hash_column(array_of_values([[1, 0, 0], [0, 30, 0]], INTERVAL), INTERVAL)
    assert months[0] == months[1]


def test_string_hashes_depend_on_every_byte_and_only_on_the_value() -> None:
    r = random.Random(1)
    texts = ["".join(r.choice("ab") for _ in range(r.randrange(40))) for _ in range(500)]
    together = hashing.hash_bytes(pa.array(texts))
    alone = [int(hashing.hash_bytes(pa.array([text]))[0]) for text in texts]
    assert together.tolist() == alone
    assert len(set(alone)) == len(set(texts))


def test_partitions_are_even() -> None:
    keys = pa.array(np.arange(10_000))
    for partitions in (1, 2, 3, 7):
        found = np.bincount(hashing.hash_partition([keys], [INT8], partitions), minlength=partitions)
        assert len(found) == partitions and found.min() > 0.8 * 10_000 / partitions
    both = hashing.hash_partition([keys, keys], [INT8, INT8], 2)
    assert 0.4 < both.mean() < 0.6


def test_int_map() -> None:
    r = random.Random(2)
    made, known = IntMap(), {}
    batches = [[r.randrange(100) for _ in range(50)], [r.randrange(10**5) for _ in range(3000)], [7] * 2000 + [8] * 50,
               [r.randrange(-2**63, 2**63) for _ in range(3000)], [r.randrange(10**7) for _ in range(3000)], []]
    for batch in batches:
        codes = made.add(np.array(batch, np.int64))
        for key, code in zip(batch, codes.tolist(), strict=True):
            assert known.setdefault(key, code) == code
    assert sorted(known.values()) == list(range(made.count))
    assert {key: code for code, key in enumerate(made.keys.tolist())} == known
    probe = [*known, *range(-50, 0), 2**62]
    assert made.find(np.array(probe, np.int64)).tolist() == [known.get(key, -1) for key in probe]


@pytest.mark.parametrize(("sql_type", "values"), CASES)
def test_key_table_codes_are_by_value(sql_type: SqlType, values: list[Any]) -> None:
    table = KeyTable([sql_type], nulls_match=True)
    seen: dict[Any, int] = {}
    for array in forms(values, sql_type):
        codes = table.add([array], len(array))
        if table.moved is not None:
            seen = {value: int(table.moved[code]) for value, code in seen.items()}
        for value, code in zip(values, codes.tolist(), strict=True):
            assert seen.setdefault(value, code) == code
        table.mark(codes)
        assert table.find([array]).tolist() == codes.tolist()
    assert sorted(table.occupied().tolist()) == sorted(seen.values())


def test_texts_with_equal_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash that collides until it is seeded anew."""
    honest = hashing.hash_bytes
    monkeypatch.setattr(columncodes.hashing, "hash_bytes",
                        lambda array, seed=0: honest(array, seed) % np.uint64(3 if seed < 3 else 1 << 60))
    table = KeyTable([TEXT], nulls_match=True)
    texts = [f"text {i % 90}" for i in range(300)]
    first = table.add([pa.array(texts[:100])], 100)
    if table.moved is not None:
        table.mark(first)
    table.mark(first)
    second = table.add([pa.array(texts[100:])], 200)
    if table.moved is not None:
        first = table.moved[first]
    codes = [*first.tolist(), *second.tolist()]
    assert len(set(codes)) == 90
    assert len(set(zip(texts, codes, strict=True))) == 90
    assert table.find([pa.array([*texts, "unknown"])]).tolist() == [*codes, -1]


@pytest.mark.parametrize("values", [[5, 9, None, 5], [10**15 * i for i in range(50)], list(range(0, 10**6, 7)), []])
def test_key_sets_of_integers(values: list[Any]) -> None:
    keys = KeySet.of(pa.array(values, pa.int64()), INT8)
    probe = [*values[:1000], -1, 6, 10**15 + 1, None, 2**63 - 1, -2**63]
    members = set(values)
    expected = [v is not None and v in members for v in probe]
    for version in (keys, KeySet.from_bytes(keys.to_bytes())):
        assert version.contains(pa.array(probe, pa.int64())).tolist() == expected
    assert KeySet.of(pa.array([9], pa.int64()), INT8).union(keys).contains(pa.array([9, 6])).tolist() == [True, 6 in values]


def test_large_sparse_key_sets_are_approximate_but_never_wrong() -> None:
    r = np.random.default_rng(1)
    members = r.integers(0, 1 << 60, 300_000)
    keys = KeySet.of(pa.array(members), INT8)
    assert keys.kind == "bloom" and len(keys.to_bytes()) < 1 << 21
    assert keys.contains(pa.array(members)).all()
    assert keys.contains(pa.array(r.integers(0, 1 << 60, 10_000))).mean() < 0.05
    united = keys.union(KeySet.of(pa.array([1, 2, 3]), INT8))
    assert united.contains(pa.array(members)).all() and united.contains(pa.array([1, 2, 3])).all()


def test_bitmaps_unite_wherever_they_start() -> None:
    pick = np.random.default_rng(8)
    for _ in range(100):
        parts = [pick.integers(-5000, 5000) + pick.integers(0, pick.integers(1, 20_000), pick.integers(1, 2000))
                 for _ in range(2)]
        united = KeySet.of(pa.array(parts[0]), INT8).union(KeySet.of(pa.array(parts[1]), INT8))
        members = set(parts[0].tolist()) | set(parts[1].tolist())
        assert (united.minimum, united.maximum) == (min(members), max(members))
        everything = np.arange(-6000, 26_000)
        assert set(everything[united.contains(pa.array(everything))].tolist()) == members


def test_large_bitmaps_travel_compressed() -> None:
    keys = np.arange(0, 6_000_000)
    keys = np.random.default_rng(4).choice(keys[keys % 32 < 8], 300_000)
    made = KeySet.of(pa.array(keys), INT8)
    data = made.to_bytes()
    assert made.kind == "bitmap" and len(data) < 6_000_000 // 16
    back = KeySet.from_bytes(data)
    assert back.bits is not None and np.array_equal(back.bits, made.bits)
    for damaged in (data[:-1], data[:200], data[:50_000]):
        with pytest.raises(ProtocolViolation):
            KeySet.from_bytes(damaged)


def test_key_sets_of_other_types() -> None:
    texts = KeySet.of(pa.array(["a", "b", None]), TEXT)
    for version in (texts, KeySet.from_bytes(texts.to_bytes())):
        assert version.contains(pa.array(["a", "c", None])).tolist() == [True, False, False]
        assert version.contains(pa.array(["c", "b", None]).dictionary_encode()).tolist() == [False, True, False]
    assert KeySet.of(pa.array([10**30], pa.decimal128(38, 0)), numeric(38, 0)).kind == "any"
    wide = KeySet.of(array_of_values([5], MONEY), MONEY).contains(array_of_values([5, 10**25], MONEY))
    assert wide.tolist() == [True, False]


def test_key_set_predicates() -> None:
    import datetime
    import decimal
    days = KeySet.of(pa.array([0, 400], pa.int32()).cast(pa.date32()), DATE)
    (one,) = days.predicates("d")
    assert (one.operator, sorted(one.values)) == ("in", [datetime.date(1970, 1, 1), datetime.date(1971, 2, 5)])
    many = KeySet.of(pa.array(range(100, 5000)), INT8).predicates("k")
    assert [(p.operator, p.values) for p in many] == [("ge", (100,)), ("le", (4999,))]
    money = KeySet.of(array_of_values([150], MONEY), MONEY).predicates("m")
    assert money[0].values == (decimal.Decimal("1.50"),)
    assert KeySet.of(pa.array([], pa.int64()), INT8).predicates("k")[0].values == ()
    assert KeySet.of(pa.array([1], pa.int16()), INT2).predicates("k")[0].values == (1,)


@pytest.mark.parametrize("data", [b"", b"\x05\x00\x00\x00hello", KeySet.of(pa.array([1, 2]), INT8).to_bytes()[:-1]])
def test_broken_key_sets_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        KeySet.from_bytes(data)

"""CSV and JSON as people have them: dialects, types, and mistakes that are told with file and line."""

import bz2
import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.connectors.files import FilesConnector, text_streams
from shoal.catalog.errors import (
    BadCopyFileFormat,
    CharacterNotInRepertoire,
    DataCorrupted,
    InvalidTextRepresentation,
    SqlError,
)
from tests.catalog.connector_contract import read_batches, rows_of


class Folder:
    """A folder with one file `t.*`, read through a new connector each time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, content: str | bytes, name: str = "t.csv") -> "Folder":
        for old in self.path.iterdir():
            old.unlink()
        (self.path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        self.connector = FilesConnector(CatalogDefinition("files", str(self.path)))
        handle = self.connector.table("public", "t")
        assert handle is not None
        self.handle = handle
        return self

    @property
    def columns(self) -> dict[str, str]:
        return {column.name: str(column.type) for column in self.connector.columns(self.handle)}

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return rows_of(self.connector, self.handle, list(self.columns))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_types(folder: Folder) -> None:
    folder.put("i,f,b,d,ts,tz,t,s,n,big,mixed,zip,e\n"
               "1,1.5,true,2024-02-29,2024-01-02 03:04:05,2024-01-02T03:04:05Z,03:04:05,x,,99999999999999999999,1,007,1e3\n"
               "-2,.5,False,1999-12-31,2024-01-02T03:04:05.25,2024-01-02 03:04:05+02,23:59:59.5,,,1,a,012,2\n")
    assert folder.columns == {
        "i": "bigint", "f": "double precision", "b": "boolean", "d": "date", "ts": "timestamp without time zone",
        "tz": "timestamp with time zone", "t": "time without time zone", "s": "text", "n": "text", "big": "numeric(38,0)",
        "mixed": "text", "zip": "text", "e": "double precision"}
    assert folder.rows == [
        (1, 1.5, True, datetime.date(2024, 2, 29), datetime.datetime(2024, 1, 2, 3, 4, 5),
         datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC), datetime.time(3, 4, 5), "x", None,
         Decimal("99999999999999999999"), "1", "007", 1000.0),
        (-2, 0.5, False, datetime.date(1999, 12, 31), datetime.datetime(2024, 1, 2, 3, 4, 5, 250000),
         datetime.datetime(2024, 1, 2, 1, 4, 5, tzinfo=datetime.UTC), datetime.time(23, 59, 59, 500000), None, None,
         Decimal(1), "a", "012", 2.0)]


@pytest.mark.parametrize("cells, expected", [
    (["2024-02-30"], "text"), (["2024-01-01", "2024-01-01 10:00"], "timestamp without time zone"), (["t", "F"], "boolean"),
    (["0", "1"], "bigint"), (["1", "2.5"], "double precision"), (["nan", "1"], "double precision"), (["nan"], "text"),
    (["9223372036854775807"], "bigint"), (["9223372036854775808"], "numeric(38,0)"), (["+1"], "text"), ([" 12 "], "bigint"),
    (["01/02/2024"], "text"), (["2024-01-02 10:00:00.123456789"], "timestamp without time zone"), (["25:00"], "text"),
    (["1,5"], "text"), (["-"], "text"), (["1" * 50], "double precision"), (["{}"], "text")])
def test_column_types(folder: Folder, cells: list[str], expected: str) -> None:
    folder.put("k;v\n" + "".join(f"r;{cell}\n" for cell in cells))
    assert folder.columns["v"] == expected
    assert len(folder.rows) == len(cells)


@pytest.mark.parametrize("text", [
    "a,b\n1,x\n2,y\n", "a;b\n1;x\n2;y\n", "a\tb\n1\tx\n2\ty\n", "a|b\n1|x\n2|y\n", "a,b\r\n1,x\r\n2,y\r\n",
    "a,b\r1,x\r2,y\r",
    "a,b\n1,x\n2,y", '"a","b"\n"1","x"\n"2","y"\n', "a,b\n\n1,x\n\n2,y\n\n", "\ufeffa,b\n1,x\n2,y\n", "a,b\n1,'x'\n2,'y'\n",
    "# remarks\nReport of 2024\na,b\n1,x\n2,y\n", " a , b\n1,x\n2,y\n"])
def test_dialects(folder: Folder, text: str) -> None:
    folder.put(text)
    assert folder.columns == {"a": "bigint", "b": "text"}
    assert folder.rows == [(1, "x"), (2, "y")]


def test_nulls_and_empty_strings(folder: Folder) -> None:
    folder.put('a,b,c\n1,"",x\n2,,y\n"",NULL,""\n')
    assert folder.columns == {"a": "bigint", "b": "text", "c": "text"}
    assert folder.rows == [(1, "", "x"), (2, None, "y"), (None, "NULL", "")]


def test_quoting(folder: Folder) -> None:
    folder.put('a,b\n1,"x, ""y"" \nz"\n2,it\'s 5" wide\n')
    assert folder.rows == [(1, 'x, "y" \nz'), (2, 'it\'s 5" wide')]
    folder.put('a,b\n1,"x\\"y, z"\n2,"w"\n')
    assert folder.rows == [(1, 'x"y, z'), (2, "w")]
    folder.put("a,b\n1,C:\\new\n2,\\N\n")
    assert folder.rows == [(1, "C:\\new"), (2, "\\N")]


@pytest.mark.parametrize("text, names", [
    ("1,2\n3,4\n", ["column0", "column1"]), ("x,y\na,b\n", ["x", "y"]), ("a,a,a_1,\n1,2,3,4\n", ["a", "a_2", "a_1",
                                                                                                 "column3"]),
    ("Select,Größe\n1,2\n", ["Select", "Größe"]), ("only\n", ["only"]), ("a,b\n", ["a", "b"]),
    ("1,2", ["column0", "column1"]),
    ("a,b\n,\n,\n", ["a", "b"])])
def test_headers(folder: Folder, text: str, names: list[str]) -> None:
    folder.put(text)
    assert list(folder.columns) == names
    assert len(folder.rows) == text.strip("\n").count("\n") + (names[0].startswith("column"))


def test_one_column_keeps_empty_lines(folder: Folder) -> None:
    folder.put("a\n1\n\n2\n")
    assert folder.rows == [(1,), (None,), (2,)]
    folder.put("text\nhello, you\nand\nyou, too, my friend\nbye\n")
    assert [row[0] for row in folder.rows] == ["hello, you", "and", "you, too, my friend", "bye"]


def test_an_empty_file(folder: Folder) -> None:
    for name in ("t.csv", "t.json"):
        folder.put("", name)
        assert folder.columns == {}
        assert sum(batch.num_rows for batch in read_batches(folder.connector, folder.handle, [])) == 0


def test_compressed(folder: Folder) -> None:
    plain = b"a,b\n" + b"".join(b"%d,x%d\n" % (i, i) for i in range(5000))
    for suffix, data in ((".gz", gzip.compress(plain)), (".zst", zstandard.compress(plain)), (".bz2", bz2.compress(plain)),
                         (".gz", gzip.compress(plain[:4004]) + gzip.compress(plain[4004:]))):
        folder.put(data, "t.csv" + suffix)
        assert folder.columns == {"a": "bigint", "b": "text"}
        assert folder.rows == [(i, f"x{i}") for i in range(5000)]
    folder.put(gzip.compress(plain)[:-500], "t.csv.gz")
    with pytest.raises((DataCorrupted, BadCopyFileFormat), match=r"t\.csv\.gz"):
        _ = folder.rows
    folder.put(b"not compressed", "t.csv.gz")
    with pytest.raises(DataCorrupted, match=r"t\.csv\.gz"):
        _ = folder.columns


def test_utf16(folder: Folder) -> None:
    folder.put("a,b\n1,Größe\n2,€\n".encode("utf-16"))
    assert folder.rows == [(1, "Größe"), (2, "€")]


def test_invalid_utf8_names_the_line(folder: Folder) -> None:
    folder.put(b"a,b\n1,x\n2,\xff\xfe\n")
    with pytest.raises(CharacterNotInRepertoire, match=r"t\.csv.*line 3"):
        _ = folder.rows


@pytest.mark.parametrize("text, line", [
    ("a,b,c\n1,2,3\n4,5,6,7\n8,9,10\n", 3), ("a,b\n1,2,3\n", 2), ('a,b\n1,"x\ny"\n\n3,4,5\n6,7\n', 5),
    ("a,b,c\n" + "1,2,3\n" * 500 + "1,2,3,4\n", 502)])
def test_too_many_fields(folder: Folder, text: str, line: int) -> None:
    folder.put(text)
    with pytest.raises(BadCopyFileFormat, match=rf"t\.csv.*line {line}: too many fields"):
        _ = folder.rows
    with pytest.raises(BadCopyFileFormat):  # also where no column is asked for: never a partial answer
        read_batches(folder.connector, folder.handle, [])


def test_too_few_fields(folder: Folder) -> None:
    folder.put("a,b,c\n1,2,3\n4,5\n8,9,10\n")
    with pytest.raises(BadCopyFileFormat, match=r"t\.csv.*line 3: too few fields"):
        _ = folder.rows


def test_a_surprise_after_the_sample_widens_the_type(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("_WHOLE_SAMPLE_BYTES", "_HEAD_BYTES"):
        monkeypatch.setattr(text_streams, limit, 1000)
    monkeypatch.setattr(text_streams, "_BLOCK_BYTES", 100)
    for name, line, bad in (("t.csv", "{},x\n", "oops,x\n"), ("t.json", '{{"a": {}, "b": "x"}}\n',
                                                              '{"a": "oops", "b": "x"}\n')):
        body = "".join(line.format(i) for i in range(2000))
        folder.put(("a,b\n" if name == "t.csv" else "") + body + bad + "".join(line.format(i) for i in range(50)), name)
        assert folder.columns["a"] == "bigint"
        version = folder.connector.version()
        with pytest.raises(InvalidTextRepresentation, match=r"t\.(csv.*line 2002|json)") as caught:
            _ = folder.rows
        assert folder.connector.replan_after(folder.handle, caught.value)
        assert folder.connector.version() != version
        assert folder.columns["a"] == "text"
        assert folder.rows[2000] == ("oops", "x")
        assert not folder.connector.replan_after(folder.handle, caught.value)


def test_a_surprise_in_the_middle_is_seen_beforehand(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_streams, "_WHOLE_SAMPLE_BYTES", 1000)
    monkeypatch.setattr(text_streams, "_HEAD_BYTES", 1000)
    folder.put("a,b\n" + "1,2\n" * 5000 + "1,2.5\n" * 5000)
    assert folder.columns == {"a": "bigint", "b": "double precision"}


@pytest.mark.parametrize("name, head, line", [("t.csv", "a,b\n", "{},value {}\n"),
                                              ("t.jsonl", "", '{{"a": {}, "b": "value {}"}}\n')])
def test_big_files_are_read_in_ranges(folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str, head: str,
                                      line: str) -> None:
    monkeypatch.setattr(text_streams, "_DIVIDED_BYTES", 10_000)
    monkeypatch.setattr(text_streams, "_RANGE_BYTES", 7_001)
    monkeypatch.setattr("shoal.catalog.connectors.files._SPLIT_ROWS", 100)
    folder.put(head + "".join(line.format(i, i) for i in range(5000)), name)
    assert len(folder.connector.splits(folder.handle, ["a"], 5)) == 5
    assert sorted(folder.rows) == [(i, f"value {i}") for i in range(5000)]
    if name == "t.csv":
        folder.put(head + "".join(line.format(i, i) for i in range(5000)) + '1,"a\nb"\n', name)
        assert len(folder.connector.splits(folder.handle, ["a"], 5)) == 1  # a line end may be inside of quotes
        assert len(folder.rows) == 5001


def test_long_records(folder: Folder) -> None:
    folder.put("a,b\n1," + "x" * 3_000_000 + "\n2,y\n")
    assert [(row[0], len(row[1])) for row in folder.rows] == [(1, 3_000_000), (2, 1)]
    folder.put(json.dumps({"a": "x" * 3_000_000}) + '\n{"a": "y"}\n', "t.json")
    assert [len(row[0]) for row in folder.rows] == [3_000_000, 1]


def test_few_values_become_dictionaries(folder: Folder) -> None:
    folder.put("a,b\n" + "".join(f"{i},v{i % 4}\n" for i in range(1000)))
    batch = read_batches(folder.connector, folder.handle, ["b"])[0]
    assert str(batch.schema.types[0]) == "dictionary<values=string, indices=int32, ordered=0>"
    assert folder.connector.statistics(folder.handle).columns["b"].distinct == 4


# -- JSON


def test_json_types(folder: Folder) -> None:
    lines = [{"i": 1, "f": 1, "b": True, "s": "x", "d": "2024-01-02", "ts": "2024-01-02T03:04:05", "o": {"k": [1, None]},
              "l": [1, 2], "m": 1, "n": None, "big": 10 ** 25, "e": [], "Mixed Case": 1},
             {"i": None, "f": 2.5, "s": "", "d": None, "o": [1], "l": None, "m": "one", "late": "z", "big": 1}]
    folder.put("\n".join(map(json.dumps, lines)) + "\n", "t.ndjson")
    assert folder.columns == {
        "i": "bigint", "f": "double precision", "b": "boolean", "s": "text", "d": "date",
        "ts": "timestamp without time zone",
        "o": "json", "l": "bigint[]", "m": "text", "n": "text", "big": "numeric(38,0)", "e": "json", "Mixed Case": "bigint",
        "late": "text"}
    assert folder.rows == [
        (1, 1.0, True, "x", datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, 5), '{"k": [1, null]}', [1, 2],
         "1",
         None, Decimal(10 ** 25), "[]", 1, None),
        (None, 2.5, None, "", None, None, "[1]", None, "one", None, Decimal(1), None, None, "z")]
    assert rows_of(folder.connector, folder.handle, ["s", "i"]) == [("x", 1), ("", None)]


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": 2}]', '[\n  {"a": 1},\n  {"a": 2}\n]\n', '{\n "a": 1\n}\n{\n "a": 2\n}',
                                  '{"a": 1}\n\n{"a": 2}', '{"a": 1}\r\n{"a": 2}\r\n', '\ufeff{"a": 1}\n{"a": 2}'])
def test_json_layouts(folder: Folder, text: str) -> None:
    folder.put(text, "t.json")
    assert folder.columns == {"a": "bigint"} and folder.rows == [(1,), (2,)]


def test_json_that_is_no_object(folder: Folder) -> None:
    folder.put("[1, 2.5]", "t.json")
    assert folder.columns == {"json": "double precision"} and folder.rows == [(1.0,), (2.5,)]


@pytest.mark.parametrize("text, line", [('{"a": 1}\n{"a": 2,}\n{"a": 3}\n', 2), ('{"a": 1}\n{"a": 2', 2),
                                        ('[{"a": 1},\n{"a" 2}]', 2),
                                        ('{"a": 1}\nnonsense\n', 2)])
def test_broken_json_names_the_line(folder: Folder, text: str, line: int) -> None:
    folder.put(text, "t.json")
    with pytest.raises(InvalidTextRepresentation, match=rf"t\.json.*line {line}"):
        _ = folder.rows


@pytest.mark.parametrize("text, line", [('a,b\n1,"abc\n2,x\n', 2), ('a,b\n1,"x\ny"\n2,"abc', 4), ('a\n"b', 2)])
def test_a_quote_that_is_not_closed(folder: Folder, text: str, line: int) -> None:
    for name in ("t.csv", "t.csv.gz"):
        folder.put(gzip.compress(text.encode()) if name.endswith("gz") else text, name)
        with pytest.raises(BadCopyFileFormat, match=rf"t\.csv.*line {line}: a quoted field has no end"):
            _ = folder.rows


def test_a_lone_quote_within_a_field(folder: Folder) -> None:
    assert folder.put('a,b\n1,5" pipe\n2,x\n').rows == [(1, '5" pipe'), (2, "x")]


def test_deep_json_is_an_error(folder: Folder) -> None:
    folder.put('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "t.json")
    with pytest.raises(SqlError, match=r"t\.json"):
        _ = folder.rows


def test_json_with_invalid_utf8(folder: Folder) -> None:
    folder.put(b'{"a": "x"}\n{"a": "\xff"}\n', "t.json")
    with pytest.raises(SqlError, match=r"t\.json"):
        _ = folder.rows

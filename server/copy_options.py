"""COPY's options, of both directions, checked in PostgreSQL's order and words.

Spec: PostgreSQL 15 documentation, COPY; ProcessCopyOptions of copy.c.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shoal.catalog.errors import FeatureNotSupported, InvalidParameterValue, SqlSyntaxError, UndefinedColumn
from shoal.exec.plan.result import CopyStyle

_NAMED = {"SQL_ASCII": "ascii", "LATIN1": "latin-1", "LATIN9": "iso8859-15", "UNICODE": "utf-8", "UTF8": "utf-8",
          **{f"WIN{page}": f"cp{page}" for page in (866, 874, *range(1250, 1259))}}
_LISTS = ("force_quote", "force_not_null", "force_null")
_RESERVED_DELIMITERS = "\\.abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class CopyFormat:
    """COPY's options with their defaults filled in. Column lists may be "*", every column. `header` may be "match".
    `encoding` is a codec's name, "" for the client's."""

    format: str = "text"
    delimiter: str = "\t"
    null: str = "\\N"
    header: bool | str = False
    quote: str = '"'
    escape: str = '"'
    force_quote: tuple[str, ...] | str = ()
    force_not_null: tuple[str, ...] | str = ()
    force_null: tuple[str, ...] | str = ()
    encoding: str = ""
    freeze: bool = False

    @staticmethod
    def of(options: dict[str, Any], positions: dict[str, int] | None = None, inward: bool = False) -> CopyFormat:
        """`positions`: where options stand in the statement, for errors. `inward`: COPY FROM.

        Raises: SqlSyntaxError (42601), InvalidParameterValue (22023), FeatureNotSupported (0A000).
        """
        places = positions or {}
        header: bool | str = False
        kind, encoding, freeze = "text", "", False
        for name, value in options.items():  # in the order written
            if name == "format":
                kind = str(value)
                if kind not in ("text", "csv", "binary"):
                    raise InvalidParameterValue(f'COPY format "{kind}" not recognized', position=places.get(name, 0))
            elif name == "header":
                header = _header(value, inward)
            elif name == "freeze":
                freeze = _flag("freeze", value)
            elif name == "encoding":
                encoding = codec_of(str(value))
                if not encoding:
                    raise InvalidParameterValue('argument to option "encoding" must be a valid encoding name',
                                                position=places.get(name, 0))
            elif name in _LISTS:
                if not isinstance(value, tuple) and not (name == "force_quote" and value == "*"):
                    raise InvalidParameterValue(f'argument to option "{name}" must be a list of column names',
                                                position=places.get(name, 0))
            elif name in ("delimiter", "null", "quote", "escape"):
                if value is True:
                    raise SqlSyntaxError(f"{name} requires a parameter")
            else:
                raise SqlSyntaxError(f'option "{name}" not recognized', position=places.get(name, 0))
        csv = kind == "csv"
        for name in ("delimiter", "null"):
            if kind == "binary" and name in options:
                raise SqlSyntaxError(f"cannot specify {name.upper()} in BINARY mode")
        quote = str(options.get("quote", '"'))
        force_quote, force_not_null, force_null = (_columns(options.get(name, ())) for name in _LISTS)
        chosen = CopyFormat(
            kind, str(options.get("delimiter", "," if csv else "\t")), str(options.get("null", "" if csv else "\\N")),
            header, quote, str(options.get("escape", quote)), force_quote, force_not_null, force_null, encoding, freeze)
        chosen._check(options, csv, inward)
        return chosen

    def _check(self, options: dict[str, Any], csv: bool, inward: bool) -> None:
        if len(self.delimiter.encode()) != 1:
            raise FeatureNotSupported("COPY delimiter must be a single one-byte character")
        if self.delimiter in "\r\n":
            raise InvalidParameterValue("COPY delimiter cannot be newline or carriage return")
        if set(self.null) & {"\r", "\n"}:
            raise InvalidParameterValue("COPY null representation cannot use newline or carriage return")
        if not csv and self.delimiter in _RESERVED_DELIMITERS:
            raise InvalidParameterValue(f'COPY delimiter cannot be "{self.delimiter}"')
        if self.format == "binary" and self.header:
            raise FeatureNotSupported("cannot specify HEADER in BINARY mode")
        for name, value in (("quote", self.quote), ("escape", self.escape)):
            if not csv and name in options:
                raise FeatureNotSupported(f"COPY {name} available only in CSV mode")
            if csv and len(value.encode()) != 1:
                raise FeatureNotSupported(f"COPY {name} must be a single one-byte character")
            if csv and name == "quote" and self.delimiter == value:
                raise InvalidParameterValue("COPY delimiter and quote must be different")
        for name in _LISTS:
            if name in options:
                words = name.replace("_", " ")
                if not csv:
                    raise FeatureNotSupported(f"COPY {words} available only in CSV mode")
                if inward == (name == "force_quote"):
                    raise FeatureNotSupported(f"COPY {words} only available using COPY {'TO' if inward else 'FROM'}")
        if self.delimiter in self.null:
            raise FeatureNotSupported("COPY delimiter must not appear in the NULL specification")
        if csv and self.quote in self.null:
            raise FeatureNotSupported("CSV quote character must not appear in the NULL specification")

    def style(self, columns: Sequence[str]) -> CopyStyle:
        """What of this concerns rows of these columns. Raises: UndefinedColumn (42703)."""
        forced = self.force_quote
        for name in () if forced == "*" else forced:
            if name not in columns:
                raise UndefinedColumn(f'column "{name}" does not exist')
        flags = tuple(forced == "*" or name in forced for name in columns) if forced else ()
        return CopyStyle(self.format, self.delimiter, self.null, self.quote, self.escape, flags)  # type: ignore[arg-type]


def _columns(value: Any) -> tuple[str, ...] | str:
    return value if isinstance(value, tuple) else str(value)


def _header(value: Any, inward: bool) -> bool | str:
    text = str(value).lower()
    if text == "match":
        if not inward:
            raise FeatureNotSupported('cannot use "match" with HEADER in COPY TO')
        return "match"
    if text in ("true", "on", "1"):
        return True
    if text in ("false", "off", "0"):
        return False
    raise SqlSyntaxError('header requires a Boolean value or "match"')


def _flag(name: str, value: Any) -> bool:
    text = str(value).lower()
    if text in ("true", "on", "1"):
        return True
    if text in ("false", "off", "0"):
        return False
    raise SqlSyntaxError(f"{name} requires a Boolean value")


def codec_of(encoding: str) -> str:
    """Python's codec for one of PostgreSQL's encodings, "" where there is none."""
    name = encoding.upper().replace("-", "").replace("_", "") if encoding.upper() != "SQL_ASCII" else "SQL_ASCII"
    try:
        return codecs.lookup(_NAMED.get(name, encoding)).name
    except LookupError:
        return ""

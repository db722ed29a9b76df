"""How the texts of DateStyle, TimeZone, client_encoding and lists of names are read, and what SHOW makes of them.

Each reader takes (new text, current value) and gives the canonical text; a ValueError holds the detail of the error.
Spec: check_datestyle, check_timezone and pg_char_to_encoding of PostgreSQL 15.
"""

from __future__ import annotations

import re
import zoneinfo
from functools import lru_cache

from shoal.catalog.errors import FeatureNotSupported


def identifiers(text: str) -> tuple[str, ...]:
    """The names in a list such as search_path's, folded unless quoted. Raises: ValueError."""
    found, position = [], 0
    pattern = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(?:,|$)')
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            raise ValueError("List syntax is invalid.")
        found.append(match[1].replace('""', '"') if match[1] is not None else match[2].lower())
        position = match.end()
    if text.rstrip().endswith(","):
        raise ValueError("List syntax is invalid.")
    return tuple(found)


def name_list(text: str, current: str) -> str:
    """search_path and the like: any list of names, as it was written."""
    identifiers(text)
    return text


_STYLES = {"iso": "ISO", "sql": "SQL", "postgres": "Postgres", "german": "German"}
_ORDERS = {"ymd": "YMD", "dmy": "DMY", "euro": "DMY", "mdy": "MDY", "us": "MDY", "noneuro": "MDY"}


def date_style(text: str, current: str) -> str:
    """A style and an order, each at most once, in any order; some words are known by how they begin."""
    style = order = ""
    for word in identifiers(text):
        known = word if word in _STYLES or word in _ORDERS else next(
            (start for start in ("postgres", "euro", "noneuro") if word.startswith(start)), "")
        if known in _STYLES:
            if style not in ("", _STYLES[known]):
                raise ValueError('Conflicting "datestyle" specifications.')
            style = _STYLES[known]
        elif known in _ORDERS:
            if order not in ("", _ORDERS[known]):
                raise ValueError('Conflicting "datestyle" specifications.')
            order = _ORDERS[known]
        elif word == "default":
            style, order = style or "ISO", order or "MDY"
        else:
            raise ValueError(f'Unrecognized key word: "{word}".')
    if style == "German":
        order = order or "DMY"
    had_style, had_order = current.split(", ")
    return f"{style or had_style}, {order or had_order}"


_INTERVAL = re.compile(r"interval\s*'([^']*)'\s*", re.IGNORECASE)
_HOURS = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_POSIX = re.compile(r"([A-Z]{3,}|<[A-Z0-9:+-]*>|)([+-]?)(\d{1,3})(?::([0-5]?\d))?(?::([0-5]?\d))?(.*)")
_MOST_HOURS = 167
_DATABASE_ONLY = frozenset({"WET", "CET", "MET", "EET"})
"""Zones with summer time whose names are abbreviations of a fixed offset elsewhere."""


def time_zone(text: str, current: str) -> str:
    """A zone of the tz database in its own spelling, a POSIX one in capitals, or `<+02>-02` for a number of hours.

    Raises: FeatureNotSupported (0A000) for POSIX zones with daylight-saving rules of their own.
    """
    if span := _INTERVAL.fullmatch(text):
        from shoal.exec.functions.interval_input import parse_interval
        months, days, us = parse_interval(span[1])
        if months:
            raise ValueError("Cannot specify months in time zone interval.")
        if days:
            raise ValueError("Cannot specify days in time zone interval.")
        return _offset_zone(us // 1_000_000)
    if _HOURS.fullmatch(text):
        return _offset_zone(int(float(text) * 3600))
    name = _zones_by_fold().get(text.lower())
    if name is not None:
        return name
    match = _POSIX.fullmatch(text.upper())
    if match is None or int(match[3]) > _MOST_HOURS:
        raise ValueError("")
    if match[6]:
        raise FeatureNotSupported(f'the POSIX time zone "{text}" with daylight-saving time is not supported')
    return text.upper()


@lru_cache(maxsize=1)
def _zones_by_fold() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones() if name not in ("localtime", "Factory")}


def _offset_zone(seconds: int) -> str:
    """The name PostgreSQL makes of an offset east of UTC."""
    if abs(seconds) > _MOST_HOURS * 3600:
        raise ValueError("UTC timezone offset is out of range.")
    size = abs(seconds)
    shown = f"{size // 3600:02d}" + (f":{size // 60 % 60:02d}" if size % 3600 else "") + (
        f":{size % 60:02d}" if size % 60 else "")
    east, west = ("+", "-") if seconds >= 0 else ("-", "+")
    return f"<{east}{shown}>{west}{shown}"


def zone_name(setting: str) -> str:
    """A TimeZone value as kernels take it."""
    return f":{setting}" if setting.upper() in _DATABASE_ONLY else setting


_ENCODINGS = (
    "big5 euccn eucjis2004 eucjp euckr euctw gb18030 gbk iso88595 iso88596 iso88597 iso88598 johab koi8r koi8u "
    "koi8 koi latin1 latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 latin10 iso88591 iso88592 "
    "iso88593 iso88594 iso88599 iso885910 iso885913 iso885914 iso885915 iso885916 muleinternal sjis shiftjis "
    "shiftjis2004 mskanji win932 windows932 uhc win949 windows949 win866 win874 win1250 win1251 win1252 "
    "win1253 win1254 win1255 win1256 win1257 win1258 win936 win950 alt win windows866 windows874 windows1250 "
    "windows1251 windows1252 windows1253 windows1254 windows1255 windows1256 windows1257 windows1258 "
    "windows936 windows950 abc tcvn tcvn5712 vscii")
"""PostgreSQL's other encodings, as it compares names: letters and digits only."""


def client_encoding(text: str, current: str) -> str:
    """UTF8 and SQL_ASCII. Raises: FeatureNotSupported (0A000) for the other encodings that PostgreSQL has."""
    folded = re.sub(r"[^a-z0-9]", "", text.lower())
    if folded in ("utf8", "unicode"):
        return "UTF8"
    if folded == "sqlascii":
        return "SQL_ASCII"
    if folded in _ENCODINGS.split():
        raise FeatureNotSupported(f'client_encoding "{text}" is not supported', hint="Shoal sends and reads UTF8 only.")
    raise ValueError("")

"""The registry of session settings (SET, SHOW, pg_settings) and the values one session has.

One row of `SETTINGS` per setting: its name, kind, default, unit, choices, whether ParameterStatus reports it and what
it does. Settings marked `ignored` are accepted because clients send them; nothing in Shoal depends on them.

`SessionSettings` keeps a session's values with PostgreSQL's transaction rules: SET lasts when the transaction
commits, SET LOCAL until it ends, both vanish with a rollback (also to a savepoint).

Spec: PostgreSQL 15 documentation, chapter 20 and the SET, SHOW and RESET reference pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shoal.catalog.errors import (
    CantChangeRuntimeParameter,
    InvalidParameterValue,
    UndefinedObject,
    did_you_mean,
)
from shoal.server.setting_values import client_encoding, date_style, name_list, time_zone

VERSION = "0.1.0"
SERVER_VERSION = f"15.7 (Shoal {VERSION})"
SERVER_VERSION_NUM = "150007"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is in SHOW's text form; `unit` is ms, s, B, kB, 8kB or "" and numbers are held in it."""

    name: str
    kind: Literal["bool", "int", "real", "string", "enum"]
    default: str
    doc: str
    report: bool = False
    choices: tuple[str, ...] = ()
    unit: str = ""
    minimum: float = 0
    maximum: float = 2_147_483_647
    fixed: bool = False
    ignored: bool = False
    normalize: Callable[[str, str], str] | None = None
    """(new text, current text) -> canonical text; raises ValueError with the detail."""


def _setting(name: str, default: str, doc: str, **more: object) -> Setting:
    return Setting(name, "string", default, doc, **more)  # type: ignore[arg-type]


def _flag(name: str, default: str, doc: str, **more: object) -> Setting:
    return Setting(name, "bool", default, doc, **more)  # type: ignore[arg-type]


def _enum(name: str, choices: str, doc: str, **more: object) -> Setting:
    """`choices` are separated by spaces; the first one is the default unless `default` is given."""
    words = tuple(word.replace("_", " ") if "read" in name or "isolation" in name else word for word in choices.split())
    return Setting(name, "enum", str(more.pop("default", words[0])), doc, choices=words, **more)  # type: ignore[arg-type]


def _number(name: str, default: str, doc: str, **more: object) -> Setting:
    return Setting(name, "int", default, doc, **more)  # type: ignore[arg-type]


_ISOLATION = "serializable repeatable_read read_committed read_uncommitted"
_LEVELS = "notice debug5 debug4 debug3 debug2 debug1 debug log info warning error fatal panic"
_COST = "Planner cost constant of PostgreSQL."
_SWITCHES = ("enable_async_append enable_bitmapscan enable_gathermerge enable_hashagg enable_hashjoin "
             "enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material enable_memoize "
             "enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning "
             "enable_partitionwise_aggregate enable_partitionwise_join enable_seqscan enable_sort enable_tidscan")

SETTINGS: dict[str, Setting] = {row.name.lower(): row for row in (
    # what the session reports
    _setting("server_version", SERVER_VERSION, "The PostgreSQL version Shoal answers as.", report=True, fixed=True),
    _setting("server_version_num", SERVER_VERSION_NUM, "The same as a number.", fixed=True),
    _setting("server_encoding", "UTF8", "The encoding of all text.", report=True, fixed=True),
    _setting("client_encoding", "UTF8", "The encoding the client asked for.", report=True, normalize=client_encoding),
    _setting("application_name", "", "What the client calls itself.", report=True),
    _setting("DateStyle", "ISO, MDY", "How dates print, and the order of day and month read.", report=True,
             normalize=date_style),
    _enum("IntervalStyle", "postgres postgres_verbose sql_standard iso_8601", "How intervals print.", report=True),
    _setting("TimeZone", "UTC", "The zone timestamps with time zone are shown and read in.", report=True,
             normalize=time_zone),
    _flag("integer_datetimes", "on", "Binary timestamps are 64-bit integers.", report=True, fixed=True),
    _flag("standard_conforming_strings", "on", "A backslash in '...' is an ordinary character.", report=True),
    _flag("is_superuser", "on", "Whether the user may do everything.", report=True, fixed=True),
    _setting("session_authorization", "", "The session's user.", report=True),
    _flag("default_transaction_read_only", "off", "New transactions refuse writes.", report=True),
    _flag("in_hot_standby", "off", "Whether the server only replays another's log.", report=True, fixed=True),
    # what statements depend on
    _setting("search_path", '"$user", public', "The schemas unqualified names are looked up in.", normalize=name_list),
    _number("statement_timeout", "0", "Longest run of a statement; 0 is unlimited.", unit="ms"),
    _number("lock_timeout", "0", "Longest wait for a lock.", unit="ms", ignored=True),
    _number("idle_in_transaction_session_timeout", "0", "Longest idle time inside a transaction.", unit="ms"),
    _number("idle_session_timeout", "0", "Longest idle time outside one.", unit="ms"),
    _number("transaction_timeout", "0", "Longest run of a transaction.", unit="ms", ignored=True),
    _enum("default_transaction_isolation", _ISOLATION, "Isolation of new transactions (each statement sees one state).",
          default="read committed"),
    _flag("default_transaction_deferrable", "off", "Deferrable state of new transactions.", ignored=True),
    _enum("transaction_isolation", _ISOLATION, "Isolation of the current transaction.", default="read committed"),
    _flag("transaction_read_only", "off", "The current transaction refuses writes."),
    _flag("transaction_deferrable", "off", "Deferrable state of the current transaction.", ignored=True),
    _number("extra_float_digits", "1", "Digits of floating-point output.", minimum=-15, maximum=3),
    _enum("bytea_output", "escape hex", "How bytea prints.", default="hex"),
    _enum("client_min_messages", _LEVELS, "The least notice that is sent to the client."),
    _setting("role", "none", "The current role."),
    # what clients set and nothing here depends on
    _flag("jit", "off", "Just-in-time compilation of PostgreSQL.", ignored=True),
    _enum("backslash_quote", "safe_encoding on off", "Whether \\' is read as a quote.", ignored=True),
    _flag("escape_string_warning", "on", "Warn about backslashes in '...'.", ignored=True),
    _flag("array_nulls", "on", "An unquoted NULL in array input is a null.", ignored=True),
    _flag("transform_null_equals", "off", "Read x = NULL as x IS NULL.", ignored=True),
    _enum("constraint_exclusion", "partition on off", "Table constraints used in planning.", ignored=True),
    _enum("xmloption", "content document", "How XML text is read.", ignored=True),
    _enum("xmlbinary", "base64 hex", "How bytea is put into XML.", ignored=True),
    _enum("plan_cache_mode", "auto force_generic_plan force_custom_plan", "Plans of prepared statements.", ignored=True),
    _enum("synchronous_commit", "on off local remote_write remote_apply", "Durability of commits.", ignored=True),
    _enum("session_replication_role", "origin replica local", "Which triggers fire.", ignored=True),
    _enum("log_statement", "none ddl mod all", "Which statements PostgreSQL logs.", ignored=True),
    _enum("log_min_messages", "warning debug1 info notice error log fatal panic", "PostgreSQL's log level.", ignored=True),
    _flag("row_security", "on", "Row security policies apply.", ignored=True),
    _flag("check_function_bodies", "on", "Check function bodies.", ignored=True),
    _flag("quote_all_identifiers", "off", "Quote all identifiers in generated SQL.", ignored=True),
    _flag("synchronize_seqscans", "on", "Synchronized scans.", ignored=True),
    _flag("track_activities", "on", "Collect what sessions do.", ignored=True),
    _flag("ssl", "off", "Whether TLS is offered.", fixed=True),
    _flag("allow_system_table_mods", "off", "Allow changes of system tables.", ignored=True),
    _flag("geqo", "on", "Genetic query optimizer of PostgreSQL.", ignored=True),
    *(_flag(name, "off" if "wise" in name else "on", "Planner switch of PostgreSQL.", ignored=True)
      for name in _SWITCHES.split()),
    _number("work_mem", "4MB", "Memory for sorts of PostgreSQL; Shoal budgets whole queries.", unit="kB", ignored=True),
    _number("maintenance_work_mem", "64MB", "Memory for maintenance of PostgreSQL.", unit="kB", ignored=True),
    _number("temp_buffers", "8MB", "Buffers for temporary tables.", unit="kB", ignored=True),
    _number("effective_cache_size", "4GB", "Planner's idea of the cache.", unit="kB", ignored=True),
    _number("shared_buffers", "128MB", "Shared buffers of PostgreSQL.", unit="kB", fixed=True),
    _number("max_connections", "10000", "Most sessions at once.", fixed=True),
    _number("max_identifier_length", "63", "Longest identifier.", fixed=True),
    _number("max_index_keys", "32", "Most columns of an index.", fixed=True),
    _number("block_size", "8192", "Size of a disk block.", fixed=True),
    _number("segment_size", "1GB", "Size of a file of a table in PostgreSQL.", unit="8kB", fixed=True),
    _number("wal_segment_size", "16MB", "Size of a file of PostgreSQL's log.", unit="B", fixed=True),
    _number("port", "5433", "The port the server listens on.", fixed=True),
    _number("from_collapse_limit", "8", "Planner limit of PostgreSQL.", ignored=True),
    _number("join_collapse_limit", "8", "Planner limit of PostgreSQL.", ignored=True),
    _number("max_parallel_workers_per_gather", "2", "Parallelism of PostgreSQL.", ignored=True),
    _number("max_parallel_workers", "8", "Parallelism of PostgreSQL.", ignored=True),
    _number("effective_io_concurrency", "1", "Prefetching of PostgreSQL.", ignored=True),
    _number("gin_fuzzy_search_limit", "0", "Soft limit of GIN results.", ignored=True),
    _number("tcp_keepalives_idle", "0", "TCP keep-alive.", unit="s", ignored=True),
    _number("tcp_keepalives_interval", "0", "TCP keep-alive.", unit="s", ignored=True),
    _number("tcp_keepalives_count", "0", "TCP keep-alive.", ignored=True),
    _number("tcp_user_timeout", "0", "TCP user timeout.", unit="ms", ignored=True),
    _number("wal_sender_timeout", "1min", "Replication timeout.", unit="ms", ignored=True),
    _number("log_min_duration_statement", "-1", "Log slow statements.", unit="ms", minimum=-1, ignored=True),
    *(Setting(name, "real", default, _COST, ignored=True, maximum=1e300) for name, default in (
        ("seq_page_cost", "1"), ("random_page_cost", "4"), ("cpu_tuple_cost", "0.01"), ("cpu_index_tuple_cost", "0.005"),
        ("cpu_operator_cost", "0.0025"), ("parallel_setup_cost", "1000"), ("parallel_tuple_cost", "0.1"),
        ("jit_above_cost", "100000"), ("cursor_tuple_fraction", "0.1"), ("seed", "0"))),
    _setting("default_tablespace", "", "Where new tables go.", ignored=True),
    _setting("temp_tablespaces", "", "Where temporary tables go.", ignored=True),
    _setting("default_table_access_method", "heap", "How new tables are stored.", ignored=True),
    _setting("default_text_search_config", "pg_catalog.english", "Text search configuration.", ignored=True),
    _enum("default_toast_compression", "pglz lz4", "Compression of large values.", ignored=True),
    _setting("dynamic_library_path", "$libdir", "Where libraries are found.", fixed=True),
    _setting("local_preload_libraries", "", "Libraries of a session.", ignored=True),
    _setting("session_preload_libraries", "", "Libraries of a session.", ignored=True),
    _setting("shared_preload_libraries", "", "Libraries of the server.", fixed=True),
    _setting("lc_collate", "C", "Collation of text.", fixed=True),
    _setting("lc_ctype", "C.UTF-8", "Character classes of text.", fixed=True),
    _setting("lc_messages", "C", "Language of messages.", ignored=True),
    _setting("lc_monetary", "C", "Format of money.", ignored=True),
    _setting("lc_numeric", "C", "Format of numbers.", ignored=True),
    _setting("lc_time", "C", "Format of dates.", ignored=True),
    _setting("timezone_abbreviations", "Default", "Time zone abbreviations.", ignored=True),
    _setting("data_directory", "", "Where PostgreSQL keeps data.", fixed=True),
    _enum("wal_level", "replica minimal logical", "What the log holds.", fixed=True),
    _enum("password_encryption", "scram-sha-256 md5", "How passwords are kept.", ignored=True),
)}

_ALIASES = {"timezone": "timezone", "time zone": "timezone", "session authorization": "session_authorization",
            "transaction isolation level": "transaction_isolation"}
_FOLLOWS = {f"transaction_{what}": f"default_transaction_{what}" for what in ("isolation", "read_only", "deferrable")}
"""Settings of the current transaction, which have the session's value where the transaction says nothing."""
REPORTED = tuple(row for row in SETTINGS.values() if row.report)
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_KILOBYTES = {"B": 1 / 1024, "kB": 1.0, "MB": 1024.0, "GB": 1024.0 ** 2, "TB": 1024.0 ** 3}
_BLOCK = "8kB"
_NUMBER = re.compile(r"\s*([+-]?(?:0x[0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))\s*([A-Za-z]*)\s*$")


def lookup(name: str) -> Setting:
    """Raises: UndefinedObject (42704) with the nearest names. Names with a dot are custom settings."""
    folded = name.lower()
    setting = SETTINGS.get(_ALIASES.get(folded, folded))
    if setting is None and re.fullmatch(r"[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)+", folded):
        return Setting(folded, "string", "", "A setting of the client's own.")
    if setting is None:
        raise UndefinedObject(f'unrecognized configuration parameter "{name}"', hint=did_you_mean(name, SETTINGS))
    return setting


def canonical(setting: Setting, text: str, current: str) -> str:
    """`text` as SHOW prints it. Raises: InvalidParameterValue (22023); FeatureNotSupported (0A000) for an encoding or a
    time zone that PostgreSQL knows and Shoal does not."""
    match setting.kind:
        case "bool":
            folded = text.strip().lower()
            # PostgreSQL accepts unambiguous prefixes of the words.
            if folded and any(word.startswith(folded) for word in ("true", "yes", "on")) and folded != "o":
                return "on"
            if folded and (any(word.startswith(folded) for word in ("false", "no")) or folded in ("of", "off")):
                return "off"
            if folded in ("1", "0"):
                return "on" if folded == "1" else "off"
            raise InvalidParameterValue(f'parameter "{setting.name}" requires a Boolean value')
        case "enum":
            folded = text.strip().lower()
            if folded in setting.choices:
                return folded
            raise InvalidParameterValue(f'invalid value for parameter "{setting.name}": "{text}"',
                                        hint=f"Available values: {', '.join(setting.choices)}.")
        case "int" | "real":
            return _show_number(setting, _parse_number(setting, text))
    if setting.normalize is None:
        return text
    try:
        return setting.normalize(text, current)
    except ValueError as error:
        raise InvalidParameterValue(f'invalid value for parameter "{setting.name}": "{text}"', detail=str(error)) from None


def _units(setting: Setting) -> tuple[dict[str, float], float]:
    """(the units that values may be given in, and what its own unit is among them)."""
    if not setting.unit:
        return {}, 1.0
    if setting.unit == _BLOCK:
        return _KILOBYTES, 8.0
    factors = _KILOBYTES if setting.unit in _KILOBYTES else _MILLISECONDS
    return factors, factors[setting.unit]


def _parse_number(setting: Setting, text: str) -> float:
    """The value in the setting's own unit."""
    match = _NUMBER.match(text)
    if match is None:
        raise InvalidParameterValue(f'invalid value for parameter "{setting.name}": "{text}"')
    number, unit = match.groups()
    value = float(int(number, 16)) if "0x" in number.lower() else float(number)
    if unit:
        factors, own = _units(setting)
        if unit not in factors:
            *names, last = (f'"{name}"' for name in factors) if factors else ("",)
            hint = f"Valid units for this parameter are {', '.join(names)}, and {last}." if factors else ""
            raise InvalidParameterValue(f'invalid value for parameter "{setting.name}": "{text}"', hint=hint)
        value *= factors[unit] / own
    if setting.kind == "int":
        value = float(round(value))
    if not setting.minimum <= value <= setting.maximum:
        shown, low, high = ((f"{x:g}" if setting.kind == "real" else f"{x:.0f}")
                            for x in (value, setting.minimum, setting.maximum))
        unit = f" {setting.unit}" if setting.unit else ""
        raise InvalidParameterValue(f'{shown}{unit} is outside the valid range for parameter "{setting.name}" '
                                    f"({low} .. {high})")
    return value


def _show_number(setting: Setting, value: float) -> str:
    """The number with the largest unit that divides it, as SHOW prints it."""
    if setting.kind == "real":
        return f"{value:g}"
    number = int(value)
    factors, own = _units(setting)
    if number > 0:
        for unit, factor in reversed(factors.items()):
            size = factor / own
            if size >= 1 and number % int(size) == 0:
                return f"{number // int(size)}{unit}"
    return str(number)


_AT_START = frozenset(("max_connections", "shared_buffers", "port", "shared_preload_libraries", "wal_level"))
"""Fixed settings that a restart of PostgreSQL could change."""

Snapshot = tuple[dict[str, str], dict[str, str | None]]


_NO_MATTER = frozenset({"application_name", "client_min_messages", "statement_timeout", "lock_timeout",
                        "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_isolation",
                        "transaction_deferrable"})
"""Settings that change no statement's meaning."""


class SessionSettings:
    """The settings of one session."""

    def __init__(self, initial: Mapping[str, str] | None = None) -> None:
        self._defaults: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._beneath: dict[str, str | None] = {}
        """What SET LOCAL covers, and what it goes back to when the transaction ends."""
        self._reported: dict[str, str] = {}
        self._reported_version = -1
        self._numbers: dict[str, tuple[int, float]] = {}
        self.version = 0
        """Changes whenever any value does: what callers cache by it stays right."""
        for name, value in (initial or {}).items():
            self.set_default(name, value)

    def set_default(self, name: str, text: str) -> None:
        """A start-up packet's or the configuration's value: what RESET goes back to. Unknown names are kept too.

        Raises: InvalidParameterValue (22023), CantChangeRuntimeParameter (55P02).
        """
        try:
            setting = lookup(name)
        except UndefinedObject:
            setting = Setting(name.lower(), "string", "", "")
        key = setting.name.lower()
        if setting.fixed:
            raise CantChangeRuntimeParameter(f'parameter "{setting.name}" cannot be changed')
        self._defaults[key] = canonical(setting, text, self._defaults.get(key, setting.default))
        self.version += 1

    def get(self, name: str) -> str:
        """The value as SHOW prints it. Raises: UndefinedObject (42704)."""
        key = name.lower()
        key = _ALIASES.get(key, key)
        value = self._values.get(key)
        if value is None:
            value = self._defaults.get(key)
        if value is None and key in _FOLLOWS:
            return self.get(_FOLLOWS[key])
        if value is None:
            setting = SETTINGS.get(key)
            if setting is None:
                raise UndefinedObject(f'unrecognized configuration parameter "{name}"', hint=did_you_mean(name, SETTINGS))
            value = setting.default
        return value

    def number(self, name: str) -> float:
        """A numeric setting's value in its own unit (milliseconds, kB)."""
        known = self._numbers.get(name)
        if known is None or known[0] != self.version:
            known = self._numbers[name] = self.version, _parse_number(lookup(name), self.get(name))
        return known[1]

    def changed(self) -> frozenset[tuple[str, str]]:
        """What differs from the defaults of every server and may change what a statement means or prints."""
        return frozenset((key, value) for key, value in {**self._defaults, **self._values}.items() if key not in _NO_MATTER)

    def flag(self, name: str) -> bool:
        return self.get(name) == "on"

    def set(self, name: str, text: str | None, *, local: bool = False) -> str:
        """SET [LOCAL]; None is DEFAULT. Gives the value now in force.

        Raises: UndefinedObject (42704), InvalidParameterValue (22023), CantChangeRuntimeParameter (55P02).
        """
        setting = lookup(name)
        key = setting.name.lower()
        if setting.fixed:
            how = " without restarting the server" if setting.name in _AT_START else ""
            raise CantChangeRuntimeParameter(f'parameter "{setting.name}" cannot be changed{how}')
        before = self._values.get(key)
        if text is None:
            value = self._defaults.get(key, setting.default)
        else:
            value = canonical(setting, text, before or self._defaults.get(key) or setting.default)
        if not local:
            self._beneath.pop(key, None)
        else:
            self._beneath.setdefault(key, before)
        self._values[key] = value
        self.version += 1
        return value

    def reset_all(self) -> None:
        kept = {"transaction_isolation", "transaction_read_only", "session_authorization", "role"}
        self._values = {key: value for key, value in self._values.items() if key in kept}
        self.version += 1

    def items(self) -> Iterator[tuple[Setting, str]]:
        """Every setting with its value, by name."""
        for key in sorted({*SETTINGS, *self._values, *self._defaults}):
            yield SETTINGS.get(key) or Setting(key, "string", "", ""), self.get(key)

    def snapshot(self) -> Snapshot:
        """For BEGIN and SAVEPOINT; `restore` goes back to it."""
        return dict(self._values), dict(self._beneath)

    def restore(self, snapshot: Snapshot) -> None:
        self._values, self._beneath = dict(snapshot[0]), dict(snapshot[1])
        self.version += 1

    def end_local(self) -> None:
        """The transaction has committed: what was LOCAL goes."""
        if not self._beneath:
            return
        for key, value in self._beneath.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value
        self._beneath = {}
        self.version += 1

    def report(self) -> list[tuple[str, str]]:
        """Name and value of each reported setting that the client does not know yet."""
        if self._reported_version == self.version:
            return []
        self._reported_version = self.version
        fresh = []
        for setting in REPORTED:
            value = self.get(setting.name)
            if self._reported.get(setting.name) != value:
                self._reported[setting.name] = value
                fresh.append((setting.name, value))
        return fresh


def setting_rows(session: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """The rows of pg_settings for the session that TaskSettings.session describes."""
    values = session.get("settings", {})
    for setting in SETTINGS.values():
        default = _in_unit(setting, setting.default)
        value = _in_unit(setting, str(values.get(setting.name.lower(), setting.default)))
        yield {"name": setting.name, "setting": value, "unit": setting.unit or None,
               "category": "Accepted for compatibility" if setting.ignored else "Session", "short_desc": setting.doc,
               "context": "internal" if setting.fixed else "user",
               "source": "default" if value == default or setting.name == "session_authorization" else "session",
               "vartype": {"int": "integer"}.get(setting.kind, setting.kind), "boot_val": default,
               "reset_val": default, "enumvals": list(setting.choices) or None, "pending_restart": False,
               "min_val": f"{setting.minimum:g}" if setting.kind == "real" else str(int(setting.minimum))
               if setting.kind == "int" else None,
               "max_val": f"{setting.maximum:g}" if setting.kind == "real" else str(int(setting.maximum))
               if setting.kind == "int" else None}


def _in_unit(setting: Setting, text: str) -> str:
    """The value as pg_settings has it: numbers in the setting's own unit."""
    return f"{_parse_number(setting, text):.0f}" if setting.unit and setting.kind == "int" else text

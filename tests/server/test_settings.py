"""Settings: values as SHOW prints them, transactions, what is reported to the client."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from shoal.catalog.errors import CantChangeRuntimeParameter, FeatureNotSupported, InvalidParameterValue, UndefinedObject
from shoal.server import settings
from shoal.server.setting_values import zone_name
from shoal.server.settings import SETTINGS, VERSION, SessionSettings
from shoal.server.transactions import Transaction, UndefinedSavepoint
from tests.postgres_server import PostgresServer

VALUES = [
    ("statement_timeout", "5000"), ("statement_timeout", "1500"), ("statement_timeout", "2min"), ("statement_timeout", "0"),
    ("statement_timeout", "90s"), ("work_mem", "4096"), ("work_mem", "1GB"), ("work_mem", "65kB"),
    ("DateStyle", "iso, us"), ("DateStyle", "iso"), ("IntervalStyle", "POSTGRES"), ("enable_sort", "no"), ("enable_sort",
                                                                                                            "1"),
    ("enable_sort", "tru"), ("bytea_output", "HEX"), ("TimeZone", "europe/berlin"), ("TimeZone", "+02"), ("TimeZone",
                                                                                                             "-3"),
    ("TimeZone", "utc"), ("TimeZone", "5.5"), ("extra_float_digits", "3"), ("random_page_cost", "1.10"),
    ("application_name", "a b"),
    ("search_path", "a, b"), ("client_min_messages", "WARNING"), ("default_transaction_isolation", "repeatable read"),
    ("client_encoding", "unicode"), ("a.b", "x"), ("TimeZone", "America/New_York"),
]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_values_print_as_postgresql_prints_them(postgres_server: PostgresServer, name: str, value: str) -> None:
    ours = SessionSettings()
    ours.set(name, value)
    theirs = postgres_server.query(f"SELECT set_config('{name}', '{value}', false)")[0][0]
    assert ours.get(name) == theirs


@pytest.mark.parametrize(("name", "value"), [("statement_timeout", "-1"), ("statement_timeout", "5 parsecs"), ("work_mem",
                                                                                                               "x"),
                                             ("enable_sort", "maybe"), ("IntervalStyle", "none"), ("DateStyle", "martian"),
                                             ("TimeZone", "Mars/Olympus"), ("client_encoding", "LATIN99"),
                                             ("extra_float_digits", "4"),
                                             ("search_path", 'a,"b'), ("TimeZone", "170")])
def test_bad_values(name: str, value: str) -> None:
    with pytest.raises(InvalidParameterValue, match=f'parameter "{name}"'):
        SessionSettings().set(name, value)


@pytest.mark.parametrize(("name", "value"), [("client_encoding", "LATIN1"), ("client_encoding", "win-1252"),
                                             ("TimeZone", "EST5EDT,M3.2.0,M11.1.0")])
def test_values_that_only_postgres_knows_are_refused(name: str, value: str) -> None:
    session = SessionSettings()
    before = session.get(name)
    with pytest.raises(FeatureNotSupported, match="is not supported"):
        session.set(name, value)
    assert session.get(name) == before


def test_unknown_and_fixed_names() -> None:
    session = SessionSettings({"no_such_thing": "kept, because start-up packets hold anything"})
    with pytest.raises(UndefinedObject) as caught:
        session.set("statement_timeot", "1")
    assert "statement_timeout" in caught.value.hint
    for name in ("server_version", "is_superuser", "max_connections"):
        with pytest.raises(CantChangeRuntimeParameter):
            session.set(name, "x")
    with pytest.raises(UndefinedObject):
        session.get("my.own")
    session.set("my.own", "1")
    assert session.get("MY.own") == "1"


def test_every_default_is_a_value_of_its_setting() -> None:
    for setting in SETTINGS.values():
        assert settings.canonical(setting, setting.default, setting.default) == setting.default, setting.name
        assert setting.doc.endswith(".")


def test_transactions_restore() -> None:
    session = SessionSettings({"work_mem": "1MB"})
    transaction = Transaction(session)
    transaction.start(1)
    transaction.begin()
    session.set("jit", "on")
    session.set("TimeZone", "UTC", local=True)
    transaction.savepoint("a")
    session.set("work_mem", "2MB")
    transaction.rollback_to("a")
    assert session.get("work_mem") == "1MB"
    session.set("TimeZone", "Europe/Oslo")
    session.set("TimeZone", "Asia/Tokyo", local=True)
    assert transaction.finish(True)
    assert (session.get("jit"), session.get("TimeZone")) == ("on", "Europe/Oslo")
    transaction.start(2)
    transaction.begin()
    session.set("jit", "off")
    transaction.fail()
    assert transaction.status == "E"
    assert not transaction.finish(True)
    assert session.get("jit") == "on" and transaction.status == "I"
    with pytest.raises(Exception, match="transaction blocks"):
        transaction.savepoint("x")
    transaction.begin()
    with pytest.raises(UndefinedSavepoint):
        transaction.release("x")


def test_transaction_settings_follow_the_sessions() -> None:
    session = SessionSettings()
    session.set("default_transaction_read_only", "on")
    assert session.get("transaction_read_only") == "on"
    session.set("transaction_read_only", "off", local=True)
    assert session.get("transaction_read_only") == "off"
    session.end_local()
    assert session.get("transaction_read_only") == "on"


def test_reports_are_sent_once_and_again_after_changes() -> None:
    session = SessionSettings({"session_authorization": "ada"})
    first = dict(session.report())
    assert first["server_version"].startswith("15.") and first["session_authorization"] == "ada"
    assert len(first) == 13 and session.report() == []
    session.set("TimeZone", "Asia/Tokyo")
    session.set("work_mem", "8MB")
    assert session.report() == [("TimeZone", "Asia/Tokyo")]
    session.reset_all()
    assert session.report() == [("TimeZone", "UTC")]


def test_zone_names_for_kernels() -> None:
    session = SessionSettings()
    for text, zone in (("+02", "<+02>-02"), ("-5.5", "<-05:30>+05:30"), ("europe/oslo", "Europe/Oslo"), ("cet", ":CET")):
        assert zone_name(session.set("TimeZone", text)) == zone


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION

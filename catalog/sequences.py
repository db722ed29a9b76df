"""nextval() and its like for one session, by name or OID. Spec: PostgreSQL 15 documentation, 9.17."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shoal.catalog.connector import Connector, SupportsDefinitions
from shoal.catalog.errors import NumericOutOfRange, UndefinedTable, WrongObjectType
from shoal.catalog.pg_catalog.names import split_name
from shoal.catalog.pg_catalog.snapshot import stable_oid
from shoal.catalog.registry import FEDERATED, Catalogs
from shoal.catalog.session_catalogs import session_namespace, transactional, written_by

Session = Mapping[str, Any]


def sequence_functions(catalogs: Catalogs) -> dict[str, Callable[..., Any]]:
    """By name: functions of the session, then what SQL gives."""
    def nextval(session: Session, which: int | str, count: int) -> list[int]:
        connector, schema, name = _find(catalogs, session, which)
        return connector.next_values(schema, name, count)

    def currval(session: Session, which: int | str) -> int:
        connector, schema, name = _find(catalogs, session, which)
        return connector.last_value(schema, name)

    def lastval(session: Session, _: object) -> int:
        for _name, connector in transactional(catalogs):
            found = connector.written_by(str(session.get("token", "")))
            assert isinstance(found, SupportsDefinitions)
            return found.last_value()
        raise UndefinedTable("there are no sequences")

    def setval(session: Session, which: int | str, value: int, called: bool = True) -> int:
        connector, schema, name = _find(catalogs, session, which)
        assert isinstance(connector, Connector)
        info = next(s for s in connector.number_sequences(schema) if s.name == name)
        if not info.minimum <= value <= info.maximum:
            raise NumericOutOfRange(f'setval: value {value} is out of bounds for sequence "{name}" '
                                    f"({info.minimum}..{info.maximum})")
        connector.set_value(schema, name, value, called)
        return value

    return {"nextval": nextval, "currval": currval, "lastval": lastval, "setval": setval}


def _find(catalogs: Catalogs, session: Session, which: int | str) -> tuple[SupportsDefinitions, str, str]:
    """(the session's connector, schema, name). Raises: UndefinedTable (42P01), WrongObjectType (42809)."""
    token = str(session.get("token", ""))
    namespace = session_namespace(catalogs, str(session.get("database", FEDERATED)),
                                  tuple(session.get("search_path", ("public",))), token)
    if isinstance(which, str):
        found = namespace.sequence(tuple(split_name(which)))
        if found is None:
            namespace.resolve(tuple(split_name(which)))  # does not exist, or is something else
            raise WrongObjectType(f'"{which}" is not a sequence')
        connector, schema, name = found
    else:
        known = ((c, schema, info.name) for c in map(namespace.catalogs.connector, namespace.catalogs.names())
                 if isinstance(c, SupportsDefinitions) and isinstance(c, Connector) for schema in c.schemas()
                 for info in c.number_sequences(schema))
        found = next((one for one in known if stable_oid("relation", one[0].name, *one[1:]) == which), None)
        if found is None:
            raise UndefinedTable(f"could not open relation with OID {which}")
        connector, schema, name = found
    own = written_by(connector, token)
    assert isinstance(own, SupportsDefinitions)
    return own, schema, name

"""FunctionCall: a function by its OID with arguments in wire form, which libpq's PQfn sends. Hop 2 of a query's way.

The function's name and argument types come from pg_proc; the call then goes the way of all queries.

Spec: PostgreSQL documentation, 55.2.5 "Function Call".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from shoal.catalog.access import quoted
from shoal.catalog.errors import InvalidParameterValue, ProtocolViolation, SqlError, UndefinedFunction
from shoal.catalog.types import NAMES_BY_OID, NUMERIC, SqlType
from shoal.exec.encoding.datarow import RowEncoder
from shoal.exec.execution import EncodedRows
from shoal.server import parameters, preparing
from shoal.server.lexer import StatementText
from shoal.server.protocol import messages as m

if TYPE_CHECKING:
    from shoal.server.session import Session

_HEADER_BYTES = 7
"""A DataRow's type, length and number of columns."""


async def run(session: Session, message: m.FunctionCall) -> m.FunctionCallResponse:
    """Calls the function. Raises: UndefinedFunction (42883), ProtocolViolation (08P01), what the function raises."""
    session.transaction.check()
    session.start_transaction()
    name, types = await _function(session, message.oid)
    if len(message.values) != len(types):
        raise ProtocolViolation(f"function call message contains {len(message.values)} arguments but function requires "
                                f"{len(types)}")
    if len(message.formats) > 1 and len(message.formats) != len(types):
        raise ProtocolViolation(f"function call message contains {len(message.formats)} argument formats but "
                                f"{len(types)} arguments")
    if message.result_format not in (0, 1):
        raise InvalidParameterValue(f"unsupported format code: {message.result_format}")
    settings = session.context().task_settings()
    try:
        values = parameters.decode(message.values, message.formats, types, settings, session.object_names(types))
    except SqlError as error:
        error.where = ""
        raise
    listed = ", ".join(f"${number}" for number in range(1, len(types) + 1))
    text = StatementText(f"SELECT pg_catalog.{quoted(name)}({listed})", 0)
    statement = await preparing.prepare(session, "", text, None, types)
    source = await session.start_execution(statement, values)
    try:
        rows = await source.read()
    finally:
        await source.close()
    assert rows is not None and not isinstance(rows, EncodedRows)
    result = [source.fields[0].type]
    encoder = RowEncoder(result, [message.result_format], settings, session.object_names(result))
    row = b"".join(bytes(piece) for piece in encoder.encode(list(rows[0]), 1))
    length = struct.unpack_from(">i", row, _HEADER_BYTES)[0]
    return m.FunctionCallResponse((None if length < 0 else row[_HEADER_BYTES + 4:],))


async def _function(session: Session, oid: int) -> tuple[str, tuple[SqlType, ...]]:
    """The function's name and its arguments' types."""
    text = StatementText("SELECT proname::text, proargtypes::text FROM pg_catalog.pg_proc WHERE oid = $1", 0)
    statement = await preparing.prepare(session, "", text, None, (SqlType("oid"),))
    source = await session.start_execution(statement, (oid,))
    try:
        rows = await source.read()
    finally:
        await source.close()
    if rows is None or isinstance(rows, EncodedRows):
        raise UndefinedFunction(f"function with OID {oid} does not exist")
    name, types = (array[0].as_py() for array in rows[0])
    names = [NAMES_BY_OID.get(int(type_oid), "unknown") for type_oid in types.split()]
    return name, tuple(NUMERIC if type_name == "numeric" else SqlType(type_name) for type_name in names)

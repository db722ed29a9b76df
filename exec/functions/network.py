"""Functions and operators of network addresses: inet, cidr, macaddr, macaddr8.

Spec: PostgreSQL 15 documentation, 9.12 "Network Address Functions and Operators".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from shoal.catalog.errors import InvalidParameterValue, NumericOutOfRange
from shoal.catalog.types import storage_type
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import network, nulls
from shoal.exec.kernels.network import BITS, Address
from shoal.exec.plan.expr import Call

Args = list[Any]


def _each(function: Callable[..., Any], read: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that calls `function` for each row whose arguments are not NULL; `read` makes a text a value."""
    def kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
        columns = []
        for arg, expr in zip(args, call.args, strict=True):
            items = [arg.as_py()] * rows if isinstance(arg, pa.Scalar) else nulls.decoded(arg).to_pylist()
            columns.append([None if item is None else read(item) for item in items]
                           if expr.type.name in ("inet", "cidr", "macaddr", "macaddr8") else items)
        found = [None if any(value is None for value in row) else function(call, *row) for row in zip(*columns, strict=True)]
        return pa.array(found, storage_type(call.type))
    return kernel


def _network(function: Callable[..., Any]) -> Callable[..., Any]:
    return _each(function, network.address_of)


def _hardware(function: Callable[..., Any]) -> Callable[..., Any]:
    return _each(function, network.mac_of)


def _bitwise(call: Call, a: Address, b: Address) -> str:
    if a.version != b.version:
        verb = "AND" if call.name == "bit_and_op" else "OR"
        raise InvalidParameterValue(f"cannot {verb} inet values of different sizes")
    number = a.number & b.number if call.name == "bit_and_op" else a.number | b.number
    return network.text_of(Address(a.version, number, max(a.prefix, b.prefix)), "inet")


def _complement(call: Call, a: Address) -> str:
    return network.text_of(a._replace(number=a.number ^ (1 << BITS[a.version]) - 1), "inet")


def _sum(call: Call, a: Any, b: Any) -> str:
    value, by = (b, a) if isinstance(a, int) else (a, b)
    return network.text_of(network.moved(value, -by if call.name == "sub" else by), "inet")


def _distance(call: Call, a: Address, b: Address) -> int:
    if a.version != b.version:
        raise InvalidParameterValue("cannot subtract inet values of different sizes")
    found = a.number - b.number
    if not -(1 << 63) <= found < 1 << 63:
        raise NumericOutOfRange("result is out of range")
    return found


def _broadcast(call: Call, a: Address) -> str:
    full = (1 << BITS[a.version]) - 1
    return network.text_of(a._replace(number=a.number | full ^ a.mask), "inet")


def _with_prefix(call: Call, a: Address, prefix: int) -> str:
    if prefix == -1:
        prefix = BITS[a.version]
    if not 0 <= prefix <= BITS[a.version]:
        raise InvalidParameterValue(f"invalid mask length: {prefix}")
    found = a._replace(prefix=prefix)
    return network.text_of(found._replace(number=found.network) if call.type.name == "cidr" else found, call.type.name)


def _merge(call: Call, a: Address, b: Address) -> str:
    if a.version != b.version:
        raise InvalidParameterValue("cannot merge addresses from different families")
    return network.text_of(network.merged(a, b), "cidr")


def _masked(call: Call, a: Address) -> str:
    full = (1 << BITS[a.version]) - 1
    return network.host_text(a._replace(number=a.mask if call.name == "netmask" else full ^ a.mask))


def _same_size(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda call, a, b: function(a, b)


for _name, _symbol, _test in (
        ("network_sub", "<<", lambda a, b: network.within(a, b, True)),
        ("network_subeq", "<<=", lambda a, b: network.within(a, b, False)),
        ("network_sup", ">>", lambda a, b: network.within(b, a, True)),
        ("network_supeq", ">>=", lambda a, b: network.within(b, a, False)),
        ("network_overlap", "&&", network.overlapping)):
    declare(_name, "inet inet -> bool", symbol=_symbol, raises=False, kernel=_network(_same_size(_test)), family="network",
            doc="Whether one network contains, is contained in or overlaps the other.",
            example=f"inet '192.168.1.5' {_symbol} inet '192.168.1/24'")
for _name, _symbol in (("bit_and_op", "&"), ("bit_or_op", "|")):
    declare(_name, "inet inet -> inet", symbol=_symbol, hidden=True, kernel=_network(_bitwise), family="network")
declare("bit_not_op", "inet -> inet", symbol="~", hidden=True, raises=False, kernel=_network(_complement), family="network")
declare("add", "inet int8 -> inet", "int8 inet -> inet", symbol="+", hidden=True, kernel=_network(_sum), family="network")
declare("sub", "inet int8 -> inet", symbol="-", hidden=True, kernel=_network(_sum), family="network")
declare("sub", "inet inet -> int8", symbol="-", hidden=True, kernel=_network(_distance), family="network")

declare("abbrev", "inet -> text", "cidr -> text", raises=False, family="network", kernel=_network(
    lambda call, a: network.abbreviated(a, call.args[0].type.name)), doc="The address in short.",
    example="abbrev(cidr '10.1.0.0/16')")
declare("broadcast", "inet -> inet", raises=False, kernel=_network(_broadcast), family="network",
        doc="The broadcast address of the network.", example="broadcast(inet '192.168.1.5/24')")
declare("family", "inet -> int4", raises=False, kernel=_network(lambda call, a: a.version), family="network",
        doc="4 or 6.", example="family(inet '::1')")
declare("host", "inet -> text", raises=False, kernel=_network(lambda call, a: network.host_text(a)), family="network",
        doc="The address without its prefix length.", example="host(inet '192.168.1.0/24')")
for _name in ("netmask", "hostmask"):
    declare(_name, "inet -> inet", raises=False, kernel=_network(_masked), family="network",
            doc="The bits of the network, or of the host.", example=f"{_name}(inet '192.168.1.5/24')")
declare("inet_merge", "inet inet -> cidr", kernel=_network(_merge), family="network",
        doc="The smallest network that includes both.", example="inet_merge(inet '192.168.1.5/24', inet '192.168.2.5/24')")
declare("inet_same_family", "inet inet -> bool", raises=False, family="network",
        kernel=_network(lambda call, a, b: a.version == b.version), doc="Whether both are of one IP version.")
declare("masklen", "inet -> int4", raises=False, kernel=_network(lambda call, a: a.prefix), family="network",
        doc="The prefix length.", example="masklen(inet '192.168.1.5/24')")
declare("network", "inet -> cidr", raises=False, family="network", doc="The network part.",
        kernel=_network(lambda call, a: network.text_of(a._replace(number=a.network), "cidr")),
        example="network(inet '192.168.1.5/24')")
declare("set_masklen", "inet int4 -> inet", "cidr int4 -> cidr", kernel=_network(_with_prefix), family="network",
        doc="The address with another prefix length.", example="set_masklen(inet '192.168.1.5/24', 16)")
declare("text", "inet -> text", raises=False, family="network", doc="The address with its prefix length.",
        kernel=_network(lambda call, a: f"{network.host_text(a)}/{a.prefix}"), example="text(inet '192.168.1.5')")

for _type, _size in (("macaddr", 6), ("macaddr8", 8)):
    for _name, _symbol in (("bit_and_op", "&"), ("bit_or_op", "|")):
        declare(_name, f"{_type} {_type} -> {_type}", symbol=_symbol, hidden=True, raises=False, family="network",
                kernel=_hardware(lambda call, a, b, size=_size: network.mac_text(
                    a & b if call.name == "bit_and_op" else a | b, size)))
    declare("bit_not_op", f"{_type} -> {_type}", symbol="~", hidden=True, raises=False, family="network",
            kernel=_hardware(lambda call, a, size=_size: network.mac_text(a ^ (1 << 8 * size) - 1, size)))
    declare("trunc", f"{_type} -> {_type}", raises=False, family="network", doc="The manufacturer's part.",
            kernel=_hardware(lambda call, a, size=_size: network.mac_text(a >> 8 * (size - 3) << 8 * (size - 3), size)))
declare("macaddr8_set7bit", "macaddr8 -> macaddr8", raises=False, family="network",
        kernel=_hardware(lambda call, a: network.mac_text(a | 1 << 57, 8)), doc="Modified EUI-64, as IPv6 uses it.")

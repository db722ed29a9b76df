"""Calls as PostgreSQL prints them: functions, what SQL has words for, aggregates and windows (hop 2).

Spec: get_func_expr, get_agg_expr, get_windowfunc_expr and get_func_sql_syntax of ruleutils.c, PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from shoal.catalog.access import quoted
from shoal.catalog.types import INT8, OIDS, SqlType
from shoal.exec.functions.casts import common_type
from shoal.exec.functions.registry import find
from shoal.exec.plan import expr as e
from shoal.exec.sql import syntax as s
from shoal.exec.sql.calls import own_functions
from shoal.exec.sql.coercion import function_for
from shoal.exec.sql.context import bare_type
from shoal.exec.sql.deparse import Deparser
from shoal.exec.sql.shown import Piece, Shown, call, call_of, cannot_be_shown, listed, type_text, without_casts

_UNIFYING = frozenset({"coalesce", "greatest", "least"})
_TRIMS = {"ltrim": "LEADING", "rtrim": "TRAILING", "btrim": "BOTH"}


def shown_call(d: Deparser, node: s.Function) -> Shown:
    """Any call. Raises: FeatureNotSupported (0A000)."""
    name = node.name[-1]
    bound = d.binder.bind(node)
    result = bare_type(bound.type)
    if node.form == "value":
        given = "".join(f"({arg.value})" for arg in node.args)
        return Shown("atom", result, (("current_user" if name == "user" else name).upper() + given,))
    args = [d.shown(arg) for arg in node.args]
    if own_functions(d.binder, node):
        return _own(d, node, result, args)
    if name in _UNIFYING:
        target = bare_type(common_type([arg.type for arg in args], name.upper()))
        return call(name.upper(), target, [d.coerced(arg, target) for arg in args])
    if name == "nullif":
        return call("NULLIF", result, d.operands("=", *args))
    if name == "grouping":
        return call("GROUPING", result, args)
    if isinstance(bound, e.Cast) and len(args) == 1 and name in OIDS:  # int4(x)
        return d.written(args[0], result, bound.type)
    kinds = {function.kind for function in find(name)}
    if node.arg_names or (not isinstance(bound, (e.Call, e.Literal)) and not kinds & {"set", "aggregate", "window"}):
        raise cannot_be_shown(name)
    if node.star:
        return _with_clauses(d, node, result, name, ["*"])
    ordered = [] if node.within is None else [d.settled(item.arg) for item in node.within]
    if node.variadic:
        typed = args
    else:
        found = function_for(name, [e.Literal(arg.type, None) for arg in (*args, *ordered)])
        declared = found.function.declared(len(found.arguments)) or found.function.arguments
        typed = [arg if "any" in (want.name, takes) or want.name == "unknown" else d.coerced(arg, want)
                 for arg, want, takes in zip((*args, *ordered), found.arguments, declared, strict=False)]
    typed, ordered = typed[:len(args)], typed[len(args):]
    if node.form == "words":
        return _special(name, result, typed, node)
    return _with_clauses(d, node, result, name, typed, ordered)


def _with_clauses(d: Deparser, node: s.Function, result: SqlType, name: str, args: Sequence[Piece],
                  ordered: Sequence[Shown] = ()) -> Shown:
    """A call with all that aggregates and windows may have."""
    pieces: list[Piece] = [f"{quoted(name)}(", "DISTINCT " if node.distinct else "",
                           *listed(args)]
    if node.variadic:
        pieces.insert(-1, "VARIADIC ")
    if node.order:
        pieces += [" ORDER BY ", *sort_list(node.order, lambda item: for_sorting(d.settled(item.arg)))]
    if node.within is not None:
        keys = iter(ordered)
        pieces += [") WITHIN GROUP (ORDER BY ", *sort_list(node.within, lambda item: for_sorting(next(keys)))]
    if node.filter is not None:
        pieces += [") FILTER (WHERE ", d.boolean(node.filter)]
    pieces.append(")")
    if node.over is not None:
        pieces.append(" OVER ")
        pieces += [quoted(node.over.reference)] if node.over.bare else window(d, node.over)
    return Shown("call", result, tuple(pieces), symbol="function")


def _own(d: Deparser, node: s.Function, result: SqlType, args: Sequence[Shown]) -> Shown:
    """A call of a function that somebody made."""
    from shoal.exec.sql.user_functions import resolve_call, text_type
    meant = resolve_call(d.binder, node, own_functions(d.binder, node)).overload
    inputs = meant.inputs
    if node.variadic or any(a.mode == "v" for a in inputs):
        raise cannot_be_shown("a variadic call")
    places = {a.name: i for i, a in enumerate(inputs)}
    pieces: list[Piece] = []
    for i, arg in enumerate(args):
        given = node.arg_names.get(i)
        want = text_type(d.binder.context, inputs[i if given is None else places[given]].type)
        typed = d.coerced(arg, want) if arg.type.name == "unknown" and want.name in OIDS else arg
        pieces += [", ", f"{quoted(given)} => " if given else "", typed]
    visible = len(node.name) == 1
    name = quoted(node.name[-1]) if visible else f"{quoted(meant.schema)}.{quoted(node.name[-1])}"
    return Shown("call", result, (f"{name}(", *pieces[1:], ")"), symbol="function")


def _special(name: str, result: SqlType, args: Sequence[Shown], node: s.Function) -> Shown:
    """get_func_sql_syntax: what SQL has words for."""
    if name == "timezone":
        return Shown("zone", result, (args[1], " AT TIME ZONE ", args[0]))
    if name == "extract":
        return call_of(result, "EXTRACT(", f"{node.args[0].value} FROM ", args[1], ")")
    if name == "position":
        return call_of(result, "POSITION((", args[1], ") IN (", args[0], "))")
    if name in _TRIMS:
        characters = (" ", args[1]) if len(args) > 1 else ()
        return call_of(result, f"TRIM({_TRIMS[name]}", *characters, " FROM ", args[0], ")")
    if name == "pg_collation_for":
        return call_of(result, "COLLATION FOR (", args[0], ")")
    if name == "substring":
        words = (" FROM ", " FOR ")
    elif name == "overlay":
        words = (" PLACING ", " FROM ", " FOR ")  # type: ignore[assignment]
    else:
        raise cannot_be_shown(name)
    rest = [piece for word, arg in zip(words, args[1:], strict=False) for piece in (word, arg)]
    return call_of(result, f"{name.upper()}(", args[0], *rest, ")")


# Sorting and windows

def for_sorting(shown: Shown) -> Shown:
    """An expression in ORDER BY, GROUP BY or PARTITION BY: with its type or parentheses, lest it be taken for a number of a
    column, a name of one, or CUBE."""
    if shown.kind == "constant":
        text, typed = str(shown.pieces[0]), f"::{type_text(shown.type)}"
        return replace(shown, pieces=(text if text.endswith(typed) else text + typed,))
    if shown.name is not None and shown.kind == "atom":
        return shown
    return Shown("grouped", shown.type, (shown,))


def sort_list(items: Sequence[s.SortItem], key: Callable[[s.SortItem], Piece]) -> list[Piece]:
    """What follows ORDER BY; `key` shows what an item is sorted by."""
    keys: dict[Piece, str] = {}  # what is sorted by already is no key again
    for item in items:
        nulls = "" if item.nulls_first == item.descending else f" NULLS {'FIRST' if item.nulls_first else 'LAST'}"
        keys.setdefault(key(item), (" DESC" if item.descending else "") + nulls)
    return [piece for shown, way in keys.items() for piece in (", ", shown, way)][1:]


def window(d: Deparser, spec: s.WindowSpec) -> list[Piece]:
    """The window in its parentheses."""
    parts: list[list[Piece]] = [[quoted(spec.reference)]] if spec.reference else []
    if spec.partition:
        keys: list[Piece] = [for_sorting(d.settled(item)) for item in spec.partition]
        parts.append(["PARTITION BY ", *listed(keys)])
    if spec.order:
        parts.append(["ORDER BY ", *sort_list(spec.order, lambda item: for_sorting(d.settled(item.arg)))])
    if spec.frame is not None:
        parts.append(_frame(d, spec, spec.frame))
    return ["(", *(piece for i, part in enumerate(parts) for piece in ([" "] if i else []) + part), ")"]


def _frame(d: Deparser, spec: s.WindowSpec, frame: s.Frame) -> list[Piece]:
    from shoal.exec.sql.windows import bind_window
    bound = bind_window(d.binder, spec)[2]
    ends: list[list[Piece]] = []
    for end, known in ((frame.start, bound.start), (frame.end, bound.end)):
        words = end.kind.replace("_", " ").upper()
        if end.offset is None:
            ends.append([words])
        else:
            assert known.offset is not None
            offset = d.coerced(d.shown(end.offset), INT8 if frame.mode != "range" else known.offset.type)
            ends.append([without_casts(offset), f" {words}"])
    pieces: list[Piece] = [f"{frame.mode.upper()} "]
    pieces += ["BETWEEN ", *ends[0], " AND ", *ends[1]] if frame.between else ends[0]
    if frame.exclude:
        pieces.append(f" EXCLUDE {frame.exclude.replace('_', ' ').upper()}")
    return pieces


"""CREATE FUNCTION, CREATE TYPE, CREATE DOMAIN, and ALTER and DROP of them: checked, and made into commands (hop 2).

Spec: PostgreSQL 15 documentation, CREATE FUNCTION, CREATE TYPE, CREATE DOMAIN, ALTER TYPE, ALTER DOMAIN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from shoal.catalog.access import quoted
from shoal.catalog.declarations import Constraint, FunctionArgument, FunctionDefinition, TypeDefinition
from shoal.catalog.errors import (
    DuplicateColumn,
    DuplicateObject,
    FeatureNotSupported,
    InvalidFunctionDefinition,
    InvalidParameterValue,
    InvalidTableDefinition,
    UndefinedFunction,
    UndefinedObject,
    WrongObjectType,
)
from shoal.catalog.types import SqlType
from shoal.exec.functions.registry import POLYMORPHIC
from shoal.exec.plan.expr import Literal
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql import user_types
from shoal.exec.sql.bound import Bound, ChangeFunction, ChangeType, CreateFunction, CreateType, DropFunctions, NoEffect
from shoal.exec.sql.context import CHECK, Context, Level, bare_type, fail
from shoal.exec.sql.deparse import Deparser, shown_or_none
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.type_names import domain_of, resolve_type
from shoal.exec.sql.user_functions import Meant, Overload, body_query, body_tree, overloads, text_type

_NAME_BYTES = 63


# Functions

def bind_create_function(context: Context, tree: d.CreateFunction) -> Bound:
    """Raises: FeatureNotSupported (0A000) for other languages than SQL, InvalidFunctionDefinition (42P13)."""
    from shoal.exec.sql.ddl import command, require_writable
    require_writable(context, "CREATE FUNCTION")
    if tree.language != "sql":
        if tree.language not in ("plpgsql", "c", "internal"):
            raise UndefinedObject(f'language "{tree.language}" does not exist')
        raise FeatureNotSupported(f"functions in the language {tree.language} are not supported",
                                  hint="Functions in SQL that query are.")
    arguments = tuple(FunctionArgument(a.name, a.type, a.mode, a.default) for a in tree.arguments)
    outputs = [a for a in arguments if a.mode in ("o", "b", "t")]
    inputs = [a for a in arguments if a.mode in ("i", "b", "v")]
    _check_arguments(arguments, inputs)
    if not tree.returns and not outputs:
        raise InvalidFunctionDefinition("function result type must be specified")
    signature = tuple(_shown(context, a.type) for a in inputs)
    made = FunctionDefinition(tree.target.parts[-1], signature, arguments, tree.returns, tree.returns_set, tree.body,
                              tree.strict, tree.volatility)
    result = _check_body(context, made, inputs)
    if tree.standard:
        made = replace(made, standard=_standard_text(context, tree, inputs))
    return command(context, CreateFunction(tree.target.parts, made, tree.replace, result), "CREATE FUNCTION")


def _standard_text(context: Context, tree: d.CreateFunction, inputs: Sequence[FunctionArgument]) -> str:
    """RETURN and BEGIN ATOMIC as PostgreSQL prints them; statements that cannot be printed, as they were written."""
    from shoal.exec.sql.parse import parse_several
    columns = [ScopeColumn(a.name, Literal(text_type(context, a.type), None), "") for a in inputs]
    scope = Scope([Relation(tree.target.parts[-1], columns)], columns)
    level = Level(context, None, scope, {})
    deparser = Deparser(ExpressionBinder(level, CHECK))

    def expressions(select: Any) -> list[str] | None:
        """Those of a SELECT that has nothing else."""
        if not isinstance(select, exp.Select) or any(value for name, value in select.args.items() if name != "expressions"):
            return None
        shown = [(shown_or_none(deparser.settled, target.arg), target.label) for target in select.expressions]
        return None if any(one is None for one, _ in shown) else [
            one.text(False) + (f" AS {quoted(label)}" if label else "") for one, label in shown if one is not None]

    statements = parse_several(tree.body)
    outer, context.arguments = context.arguments, (level, [column.expr for column in columns])
    try:
        return _standard_statements(tree, statements, expressions)
    finally:
        context.arguments = outer


def _standard_statements(tree: d.CreateFunction, statements: Sequence[Any],
                         expressions: Callable[[Any], list[str] | None]) -> str:
    if tree.is_return:
        values = expressions(statements[0])
        return f"RETURN {values[0] if values is not None else tree.body.removeprefix('SELECT ')}"
    texts = []
    for place, statement in enumerate(statements):
        values = expressions(statement)
        texts.append(f" SELECT {', '.join(values)};" if values is not None else f" {tree.statements[place].strip()};")
    return "\n".join(["BEGIN ATOMIC", *texts, "END"])


def _check_arguments(arguments: Sequence[FunctionArgument], inputs: Sequence[FunctionArgument]) -> None:
    """Raises: InvalidFunctionDefinition (42P13)."""
    for group in (inputs, [a for a in arguments if a.mode in ("o", "b", "t")]):
        names = [a.name for a in group if a.name]
        for name in names:
            if names.count(name) > 1:
                raise InvalidFunctionDefinition(f'parameter name "{name}" used more than once')
    defaults = False
    for argument in inputs:
        if defaults and not argument.default:
            raise InvalidFunctionDefinition("input parameters after one with a default value must also have defaults")
        defaults = defaults or bool(argument.default)


def _shown(context: Context, text: str) -> str:
    return bare_type(text_type(context, text)).sql if text.strip().lower() not in POLYMORPHIC else text.strip().lower()


def _check_body(context: Context, made: FunctionDefinition, inputs: Sequence[FunctionArgument]) -> str:
    """Binds the body once for arguments of the declared types; gives the result's type as messages tell it."""
    outputs = [a for a in made.arguments if a.mode in ("o", "b", "t")]
    types = [text_type(context, a.type) for a in (*inputs, *outputs)]
    returned = text_type(context, made.returns) if made.returns else None
    if (returned is not None and outputs and made.returns_set is False) or (
            returned is not None and outputs and outputs[0].mode != "t"):
        assert returned is not None
        wanted = "record" if len(outputs) > 1 else bare_type(types[len(inputs)]).sql
        if (returned.name if len(outputs) > 1 else bare_type(returned).sql) != wanted:
            raise InvalidFunctionDefinition(f"function result type must be {wanted} because of OUT parameters")
    polymorphic = any(t.name in POLYMORPHIC for t in types) or (returned is not None and returned.name in POLYMORPHIC)
    if polymorphic:
        if not any(t.name in POLYMORPHIC for t in types[:len(inputs)]):
            raise InvalidFunctionDefinition("cannot determine result data type", detail=(
                "A result of type anyelement requires at least one input of type anyelement, anyarray, anynonarray, "
                "anyenum, anyrange, or anymultirange."))
        body_tree(made)
        return made.returns or "record"
    if len(outputs) > 1:
        result = SqlType("record", fields=tuple((a.name or f"column{i}", t) for i, (a, t) in enumerate(
            zip(outputs, types[len(inputs):], strict=True), 1)))
    else:
        result = types[len(inputs)] if outputs else returned or SqlType("record")
    if result.name == "record" and result.fields is None:
        body_tree(made)
        return "record"
    level = Level(context, None, Scope(), {})
    meant = Meant(Overload(context.namespace.target((made.name,))[0], "", made),
                  tuple(Literal(t, None) for t in types[:len(inputs)]), result)
    body_query(ExpressionBinder(level, CHECK, []), meant, -1)
    return result.sql


def bind_comment_on_function(context: Context, tree: d.Comment) -> Bound:
    """Raises: UndefinedFunction (42883), AmbiguousFunction (42725), FeatureNotSupported (0A000) for PostgreSQL's own."""
    from shoal.exec.functions.registry import find
    from shoal.exec.sql.ddl import command
    name = ".".join(tree.target.parts)
    known = overloads(context, tree.target.parts)
    if tree.arguments is not None:
        wanted = tuple(_written(context, written) for written in tree.arguments)
        known = [o for o in known if o.definition.signature == wanted]
    if len(known) > 1:
        raise _not_unique(tree.target)
    if not known:
        if find(tree.target.parts[-1]):
            raise FeatureNotSupported("COMMENT ON FUNCTION of PostgreSQL's own functions is not supported")
        raise UndefinedFunction(f'could not find a function named "{name}"' if tree.arguments is None else
                                f"function {name}({', '.join(wanted)}) does not exist")
    old = known[0].definition
    return command(context, ChangeFunction(known[0].connector.name, known[0].schema, old,
                                           replace(old, comment=tree.text or "")), "COMMENT")


def bind_drop_functions(context: Context, tree: d.DropOther) -> Bound | None:
    """DROP FUNCTION of those that users made; None where a target is none of them."""
    from shoal.exec.sql.ddl import command
    found = []
    notices: list[str] = []
    for target, types in zip(tree.targets, tree.arguments, strict=True):
        known = overloads(context, target.parts)
        if types is not None:
            wanted = tuple(_written(context, written) for written in types)
            known = [o for o in known if o.definition.signature == wanted]
        if not known:
            return None
        if len(known) > 1:
            raise _not_unique(target)
        found.append((known[0].connector.name, known[0].schema, known[0].definition))
    return command(context, DropFunctions(tuple(found)), "DROP FUNCTION", notices)


def _written(context: Context, written: s.TypeName) -> str:
    if written.name in POLYMORPHIC and not written.dimensions:
        return written.name
    return bare_type(resolve_type(written, context)).sql


def _not_unique(target: s.TableRef) -> Exception:
    from shoal.catalog.errors import AmbiguousFunction
    return AmbiguousFunction(f'function name "{target.parts[-1]}" is not unique',
                             hint="Specify the argument list to select the function unambiguously.")


# Types

def bind_create_type(context: Context, tree: d.CreateType) -> Bound:
    from shoal.exec.sql.ddl import command, require_writable
    tag = "CREATE DOMAIN" if tree.kind == "domain" else "CREATE TYPE"
    require_writable(context, tag)
    name = tree.target.parts[-1]
    if tree.kind == "enum":
        for label in tree.labels:
            _check_label(label)
            if tree.labels.count(label) > 1:
                raise _label_twice(label)
        made = TypeDefinition(name, "enum", tuple(tree.labels))
    elif tree.kind == "composite":
        fields: list[tuple[str, SqlType]] = []
        domains: list[tuple[str, str] | None] = []
        for field, written in tree.fields:
            if any(field == known for known, _ in fields):
                raise DuplicateColumn(f'column "{field}" specified more than once')
            sql_type = resolve_type(written, context)
            if sql_type.name in ("void", "unknown") or (sql_type.name == "record" and sql_type.user is None):
                raise InvalidTableDefinition(f'column "{field}" has pseudo-type {sql_type.name}')
            fields.append((field, sql_type))
            domain = domain_of(written, context)
            domains.append(None if domain is None else domain[0])
        made = TypeDefinition(name, "composite", fields=tuple(fields), domains=tuple(domains) if any(domains) else ())
    else:
        assert tree.base is not None
        below = user_types.find(context, tree.base.parts) if tree.base.name and not tree.base.dimensions else None
        base = resolve_type(tree.base, context)
        inherited = below.domain if below is not None else None
        nullable = not tree.not_null and (inherited is None or inherited.nullable)
        made = TypeDefinition(name, "domain", base=base, nullable=nullable,
                              default=tree.default or (inherited.default if inherited else ""),
                              checks=inherited.checks if inherited else ())
        made = replace(made, checks=(*made.checks, *_checks(context, made, tree.checks)))
    return command(context, CreateType(tree.target.parts, made), tag)


def _check_label(label: str) -> None:
    if not label or len(label.encode()) > _NAME_BYTES:
        from shoal.catalog.errors import InvalidName
        raise InvalidName(f'invalid enum label "{label}"', detail=f"Labels must be {_NAME_BYTES} bytes or less.")


def _label_twice(label: str) -> Exception:
    from shoal.catalog.errors import UniqueViolation
    return UniqueViolation('duplicate key value violates unique constraint "pg_enum_typid_label_index"',
                           detail=f"Key (enumlabel)=({label}) already exists.")


def _checks(context: Context, made: TypeDefinition, nodes: Sequence[d.ConstraintNode]) -> list[Constraint]:
    assert made.base is not None
    column = ScopeColumn("value", Literal(made.base, None), "")
    found: list[Constraint] = []
    for node in nodes:
        level = Level(context, None, Scope([Relation("", [column])], [column]), {})
        ExpressionBinder(level, CHECK).bind_boolean(node.expression, "CHECK")
        taken = {c.name for c in (*made.checks, *found)}
        base = f"{made.name}_check"
        name = node.name or next(n for i in range(10_000) if (n := f"{base}{i or ''}") not in taken)
        if name in taken:
            raise DuplicateObject(f'constraint "{name}" for domain "{made.name}" already exists')
        found.append(Constraint(name, "check", (), expression=node.text, definition=f"CHECK ({node.text})"))
    return found


def bind_alter_type(context: Context, tree: d.AlterType) -> Bound:
    from shoal.exec.sql.ddl import command, require_writable
    tag = "ALTER DOMAIN" if tree.domain else "ALTER TYPE"
    require_writable(context, tag)
    shown = ".".join(tree.target.parts)
    found = user_types.find(context, tree.target.parts)
    old = None if found is None else found.definition
    if found is None:
        raise UndefinedObject(f'type "{shown}" does not exist')
    if old is None:
        raise FeatureNotSupported(f"{tag} of a type of the catalog \"{found.connector.name}\" is not supported")
    if tree.domain and old.kind != "domain":
        raise WrongObjectType(f"{old.name} is not a domain")
    notices: list[str] = []
    new = _altered(context, tree, old, notices)
    made: Any = NoEffect() if new is old else ChangeType(found.connector.name, found.schema, old, new)
    return command(context, made, tag, notices)


def _altered(context: Context, tree: d.AlterType, old: TypeDefinition, notices: list[str]) -> TypeDefinition:
    what = tree.what
    if what in ("add value", "rename value"):
        if old.kind != "enum":
            raise WrongObjectType(f"{old.name} is not an enum")
        return _with_label(tree, old, notices)
    if what == "rename":
        return replace(old, name=tree.new_name)
    if what == "owner":
        return old
    if old.kind != "domain":
        raise FeatureNotSupported(f"ALTER TYPE ... {what.upper()} is not supported")
    if what == "add constraint":
        return replace(old, checks=(*old.checks, *_checks(context, old, tree.checks)))
    if what in ("drop constraint", "rename constraint"):
        if not any(c.name == tree.name for c in old.checks):
            if tree.exists:
                notices.append(f'constraint "{tree.name}" of domain "{old.name}" does not exist, skipping')
                return old
            raise UndefinedObject(f'constraint "{tree.name}" of domain "{old.name}" does not exist')
        if what == "drop constraint":
            return replace(old, checks=tuple(c for c in old.checks if c.name != tree.name))
        return replace(old, checks=tuple(replace(c, name=tree.new_name) if c.name == tree.name else c for c in old.checks))
    if tree.name == "not null":
        return replace(old, nullable=what == "drop")
    return replace(old, default=tree.new_name if what == "set" else "")


def _with_label(tree: d.AlterType, old: TypeDefinition, notices: list[str]) -> TypeDefinition:
    if tree.what == "rename value":
        if tree.name not in old.labels:
            raise InvalidParameterValue(f'"{tree.name}" is not an existing enum label')
        if tree.new_name in old.labels:
            raise DuplicateObject(f'enum label "{tree.new_name}" already exists')
        return replace(old, labels=tuple(tree.new_name if label == tree.name else label for label in old.labels))
    _check_label(tree.name)
    if tree.name in old.labels:
        if tree.exists:
            notices.append(f'enum label "{tree.name}" already exists, skipping')
            return old
        raise DuplicateObject(f'enum label "{tree.name}" already exists')
    if not tree.place:
        return replace(old, labels=(*old.labels, tree.name))
    if tree.new_name not in old.labels:
        raise InvalidParameterValue(f'"{tree.new_name}" is not an existing enum label')
    at = old.labels.index(tree.new_name) + (tree.place == "after")
    return replace(old, labels=(*old.labels[:at], tree.name, *old.labels[at:]))


def bind_drop_types(context: Context, tree: d.DropOther) -> Bound | None:
    """DROP TYPE and DROP DOMAIN of what was made here; None where a target is nothing of it."""
    from shoal.exec.sql.bound import Several
    from shoal.exec.sql.ddl import command
    made = []
    for target in tree.targets:
        found = user_types.find(context, target.parts)
        if found is None or found.definition is None:
            return None
        if tree.kind == "domain" and found.definition.kind != "domain":
            fail(WrongObjectType, f'"{".".join(target.parts)}" is not a domain', -1)
        made.append(ChangeType(found.connector.name, found.schema, found.definition, None, tree.cascade))
    return command(context, Several(tuple(made)), f"DROP {tree.kind.upper()}")


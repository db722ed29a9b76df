"""GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, and DROP of what Shoal keeps none of: read into plain trees (hop 2).

Spec: PostgreSQL 15 documentation, GRANT, REVOKE, DROP ...; gram.y's privilege_target and DropStmt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot.tokens import TokenType as T

from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql.grammar_ddl import if_exists, table_ref

if TYPE_CHECKING:
    from shoal.exec.sql.dialect import Grammar

_TARGETS = ("table", "sequence", "schema", "database", "function", "procedure", "routine", "type", "domain", "language",
            "tablespace", "parameter")
_IN_SCHEMAS = ("tables", "sequences", "functions", "procedures", "routines", "types", "schemas")
_SIGNATURES = ("function", "procedure", "routine", "aggregate")
_ON_TABLES = ("trigger", "rule", "policy")
_KINDS = ("type", "domain", "extension", "role", "user", "group", "database", "collation", "language", "server",
                 "publication", "subscription", "tablespace", "statistics", *_SIGNATURES, *_ON_TABLES)
_TWO_WORDS = (("foreign", "table"), ("event", "trigger"), ("access", "method"))
_SAME_ROLE = ("current_user", "current_role", "session_user")


def privileges(tag: str) -> Callable[[Grammar], d.Privileges]:
    """GRANT or REVOKE after its first word."""
    def parse(g: Grammar) -> d.Privileges:
        made = d.Privileges(tag)
        _privileges(g, made)
        if g._match(T.ON):
            _target(g, made)
        _grantees(g, made)
        return made
    return parse


def default_privileges(g: Grammar) -> d.Privileges:
    """ALTER DEFAULT PRIVILEGES after its first two words."""
    g.expect_word("privileges")
    made = d.Privileges("ALTER DEFAULT PRIVILEGES")
    while not g.at_word("grant", "revoke"):
        if g._match(T.FOR):
            if not g.accept_word("role"):
                g.expect_word("user")
            made.roles += _roles(g)
        else:
            g.expect(T.IN)
            g.expect_word("schema")
            made.target, made.objects = "schema", g._parse_csv(lambda: table_ref(g))
    revokes = g._curr.text == "revoke"
    g._advance()
    given = d.Privileges("REVOKE" if revokes else "GRANT")
    _privileges(g, given)
    g.expect(T.ON)
    if not g.at_word(*_IN_SCHEMAS):
        raise g.unexpected()
    g._advance()
    _grantees(g, given)
    made.roles += given.roles
    return made


def _privileges(g: Grammar, made: d.Privileges) -> None:
    """What is given or taken: privileges, perhaps of columns, or roles."""
    if made.tag == "REVOKE" and g._next.text == "option" and g.at_word("grant", "admin"):
        g._advance(2)
        g.expect(T.FOR)
    while True:
        words = [g.label()]
        while g.at_word("privileges", "system"):
            words.append(g.label())
        made.privileges.append((" ".join(words), g.names() if g._curr.token_type == T.L_PAREN else []))
        if not g._match(T.COMMA):
            return


def _target(g: Grammar, made: d.Privileges) -> None:
    if g._match(T.ALL):
        if not g.at_word(*_IN_SCHEMAS):
            raise g.unexpected()
        g._advance()
        g.expect(T.IN)
        g.expect_word("schema")
        made.target, made.whole = "schema", True
    elif g.at_word("foreign", "large"):
        raise g.unsupported(f"{made.tag} ON {g._curr.text.upper()}", g._curr)
    else:
        made.target = "table"
        if g.at_word(*_TARGETS):
            made.target = g._curr.text
            g._advance()
    signatures = made.target in _SIGNATURES
    made.objects = g._parse_csv(lambda: _signature(g, made.arguments) if signatures else table_ref(g))


def _grantees(g: Grammar, made: d.Privileges) -> None:
    if made.tag == "GRANT":
        g.expect_word("to")
    else:
        g.expect(T.FROM)
    made.roles += _roles(g)
    if g._match(T.WITH):
        if not g.at_word("grant", "admin"):
            raise g.unexpected()
        g._advance()
        g.expect_word("option")
    if g.accept_word("granted"):
        g.expect_word("by")
        made.roles += _roles(g)
    if not g.accept_word("cascade"):
        g.accept_word("restrict")


def _roles(g: Grammar) -> list[str]:
    """Names of roles, without PUBLIC and the words for who is asking, which always exist."""
    found = []
    while True:
        g.accept_word("group")
        known = g._curr.token_type != T.IDENTIFIER and g._curr.text in ("public", *_SAME_ROLE)
        name = g.label()
        if not known:
            found.append(name)
        if not g._match(T.COMMA):
            return found


def owner(g: Grammar) -> str:
    """The role after OWNER TO; "" for who is asking."""
    found = _roles(g)
    return found[0] if found else ""


def _signature(g: Grammar, arguments: list[list[s.TypeName] | None]) -> s.TableRef:
    """A function, and in `arguments` the types of its arguments where they are given."""
    target = table_ref(g)
    if g._curr.token_type == T.L_PAREN and g._next.token_type == T.STAR:
        g._advance(2)
        g.expect(T.R_PAREN)
        arguments.append([])
        return target
    from shoal.exec.sql.grammar_routines import signature
    arguments.append(signature(g))
    return target


def drop_other(g: Grammar) -> d.DropOther | None:
    """DROP after its first word of what there is none of here; None where another kind follows."""
    words = (g._curr.text, g._next.text if g._next else "")
    if words not in _TWO_WORDS and not g.at_word(*_KINDS):
        return None
    kind = " ".join(words) if words in _TWO_WORDS else words[0]
    g._advance(kind.count(" ") + 1)
    made = d.DropOther({"user": "role", "group": "role"}.get(kind, kind), if_exists(g))
    while True:
        made.targets.append(_signature(g, made.arguments) if kind in _SIGNATURES else table_ref(g))
        if kind in _ON_TABLES:
            g.expect(T.ON)
            made.table = table_ref(g)
        if kind in _ON_TABLES or not g._match(T.COMMA):
            break
    if kind == "database" and g._match(T.WITH):
        g.expect(T.L_PAREN)
        g.expect_word("force")
        g.expect(T.R_PAREN)
    made.cascade = g.accept_word("cascade")
    if not made.cascade:
        g.accept_word("restrict")
    return made

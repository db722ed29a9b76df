"""CREATE, DROP and what stands in them, read by hand into syntax_ddl.py's plain trees (hop 2).

Spec: PostgreSQL 15 documentation, CREATE TABLE, CREATE TABLE AS, CREATE VIEW, CREATE INDEX, CREATE SEQUENCE, DROP ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import FeatureNotSupported, InvalidSchemaDefinition, SqlSyntaxError
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_ddl as d

if TYPE_CHECKING:
    from shoal.exec.sql.dialect import Grammar

_UNSUPPORTED = ("procedure", "trigger", "role", "user", "group", "database", "rule", "policy",
                "aggregate", "operator", "cast", "collation", "server", "foreign", "publication", "subscription",
                "statistics", "language", "tablespace", "event", "text", "access", "conversion", "transform", "constraint",
                "owned", "system")
_TABLE_CONSTRAINTS = ("constraint", "primary", "unique", "check", "foreign", "exclude")
_ELEMENTS = (d.CreateSequence, d.CreateTable, d.CreateView, d.CreateIndex, d.Privileges)
"""What CREATE SCHEMA may have inside."""
_ACTIONS: dict[tuple[str, ...], Any] = {("no", "action"): "a", ("restrict",): "r", ("cascade",): "c", ("set", "null"): "n",
                                        ("set", "default"): "d"}


def create(g: Grammar) -> Any:
    """CREATE after its first word."""
    replace = False
    if g._curr.token_type == T.OR and g._next.text == "replace":
        g._advance(2)
        replace = True
    temporary = False
    while g.at_word("temp", "temporary", "local", "global", "unlogged"):
        temporary = temporary or g._curr.text in ("temp", "temporary")
        g._advance()
    token = g._curr
    if not replace and g.accept_word("table"):
        return _create_table(g, temporary)
    if g.accept_word("view"):
        return _create_view(g, replace, temporary)
    if not temporary and g.accept_word("function"):
        from shoal.exec.sql.grammar_routines import create_function
        return create_function(g, replace)
    if not replace and not temporary:
        if g.accept_word("type"):
            from shoal.exec.sql.grammar_routines import create_type
            return create_type(g)
        if g.accept_word("domain"):
            from shoal.exec.sql.grammar_routines import create_domain
            return create_domain(g)
        if g.accept_word("schema"):
            return _create_schema(g)
        if g.accept_word("materialized"):
            g.expect_word("view")
            return _create_materialized(g)
        if g.at_word("index") or (g.at_word("unique") and g._next.text == "index"):
            return _create_index(g)
        if g.accept_word("extension"):
            return _create_extension(g)
    if not replace and g.accept_word("sequence"):
        exists = if_not_exists(g)
        target = table_ref(g)
        return d.CreateSequence(target, exists, temporary, sequence_options(g))
    if g.accept_word("recursive"):
        g.expect_word("view")
        return _create_view(g, replace, temporary, recursive=True)
    if g.at_word(*_UNSUPPORTED):
        what = token.text.upper() if token.text not in ("unique", "constraint") else g._next.text.upper()
        raise g.unsupported(f"CREATE {what}", token)
    raise g.unexpected()


def drop(g: Grammar) -> d.Drop | d.DropOther:
    """DROP after its first word."""
    from shoal.exec.sql.grammar_privileges import drop_other
    if (other := drop_other(g)) is not None:
        return other
    kind = object_kind(g, "DROP")
    if g.at_word("concurrently"):
        g._advance()
    exists = if_exists(g)
    targets = g._parse_csv(lambda: table_ref(g))
    cascade = g.accept_word("cascade")
    if not cascade:
        g.accept_word("restrict")
    return d.Drop(kind, targets, exists, cascade)


def object_kind(g: Grammar, verb: str) -> str:
    """TABLE, VIEW, MATERIALIZED VIEW ... after DROP, ALTER or COMMENT ON. Raises: FeatureNotSupported (0A000) for others."""
    token = g._curr
    if g.accept_word("materialized"):
        g.expect_word("view")
        return "MATERIALIZED VIEW"
    for word in ("table", "view", "sequence", "index", "schema", "extension"):
        if g.accept_word(word):
            return word.upper()
    if g.at_word(*_UNSUPPORTED):
        raise g.unsupported(f"{verb} {token.text.upper()}", token)
    raise g.unexpected()


def table_ref(g: Grammar) -> s.TableRef:
    return s.TableRef(g._curr.start, g.qualified_name())


def if_not_exists(g: Grammar) -> bool:
    if not g.accept_word("if"):
        return False
    g.expect_word("not")
    g.expect_word("exists")
    return True


def if_exists(g: Grammar) -> bool:
    if not g.accept_word("if"):
        return False
    g.expect_word("exists")
    return True


def _create_schema(g: Grammar) -> d.CreateSchema:
    exists = if_not_exists(g)
    if g.accept_word("authorization"):
        target = table_ref(g)
    else:
        target = table_ref(g)
        if g.accept_word("authorization"):
            g.label()
    if exists and g.at_word("create", "grant"):
        raise FeatureNotSupported("CREATE SCHEMA IF NOT EXISTS cannot include schema elements",
                                  position=g._curr.start + 1)
    return d.CreateSchema(target, exists, _schema_elements(g, target.parts[-1]))


def _schema_elements(g: Grammar, schema: str) -> list[str]:
    """What is made in a new schema: sequences, tables, views, indexes, GRANT, in this order."""
    found: list[tuple[int, str]] = []
    while g.at_word("create", "grant"):
        start = g._curr.start
        if g.accept_word("grant"):
            from shoal.exec.sql.grammar_privileges import privileges
            tree: Any = privileges("GRANT")(g)
        else:
            g._advance()
            tree = create(g)
        kind = next((i for i, known in enumerate(_ELEMENTS) if isinstance(tree, known)), None)
        if kind is None:
            raise g.unexpected()
        target = getattr(tree, "target", None)
        if isinstance(target, s.TableRef) and len(target.parts) > 1 and target.parts[-2] != schema:
            raise InvalidSchemaDefinition(f"CREATE specifies a schema ({target.parts[-2]}) different from the one being "
                                          f"created ({schema})")
        found.append((kind, g.sql[start:g._prev.end + 1]))
    return [text for _, text in sorted(found, key=lambda element: element[0])]


def _create_extension(g: Grammar) -> d.Ignored:
    from shoal.catalog.errors import DuplicateObject
    from shoal.exec.notices import Notice
    exists = if_not_exists(g)
    name = g.label()
    g.accept_word("with")
    while g.at_word("schema", "version", "cascade"):
        if g._curr.text != "cascade":
            g._advance()
        g._advance()
    if name != "plpgsql":
        raise FeatureNotSupported(f'extension "{name}" is not available')
    if not exists:
        raise DuplicateObject(f'extension "{name}" already exists')
    return d.Ignored("CREATE EXTENSION", notices=(Notice(f'extension "{name}" already exists, skipping',
                                                           sqlstate=DuplicateObject.sqlstate),))


# Tables

def _create_table(g: Grammar, temporary: bool) -> d.CreateTable:
    exists = if_not_exists(g)
    tree = d.CreateTable(table_ref(g), exists, temporary)
    if g.at_word("of", "partition"):
        raise g.unsupported(f"CREATE TABLE {g._curr.text.upper()}", g._curr)
    if g._match(T.L_PAREN):
        tree.columns = []
        if not g._match(T.R_PAREN):
            g._parse_csv(lambda: _table_element(g, tree))
            g.expect(T.R_PAREN)
    _table_options(g, tree)
    if g._curr.token_type == T.ALIAS:
        if tree.constraints or tree.likes or any(c.type is not None for c in tree.columns or ()):
            raise g.unexpected()
        g._advance()
        tree.query = g.query()
        tree.with_data = with_data(g)
    elif tree.columns is None or any(c.type is None for c in tree.columns):
        raise g.unexpected()
    return tree


def with_data(g: Grammar) -> bool:
    if not g.accept_word("with"):
        return True
    found = not g.accept_word("no")
    g.expect_word("data")
    return found


def _create_materialized(g: Grammar) -> d.CreateTable:
    exists = if_not_exists(g)
    tree = d.CreateTable(table_ref(g), exists, materialized=True)
    if g._curr.token_type == T.L_PAREN:
        tree.columns = _column_names(g)
    _table_options(g, tree)
    g.expect(T.ALIAS)
    start = g._curr.start
    tree.query = g.query()
    tree.text = g.sql[start:g._prev.end + 1]
    tree.with_data = with_data(g)
    return tree


def _column_names(g: Grammar) -> list[d.ColumnNode]:
    g.expect(T.L_PAREN)
    found = g._parse_csv(lambda: d.ColumnNode(g._curr.start, g.name()))
    g.expect(T.R_PAREN)
    return found


def _table_options(g: Grammar, tree: d.CreateTable) -> None:
    """ON COMMIT; storage options, which mean nothing here; inheritance and partitioning are refused."""
    while True:
        if g.at_word("inherits", "partition") or g._curr.token_type == T.PARTITION_BY:
            raise g.unsupported(f"CREATE TABLE ... {g._curr.text.upper()}", g._curr)
        if g._curr.token_type == T.WITH and g._next.token_type == T.L_PAREN:
            g._advance()
            skip_parentheses(g)
        elif g._curr.token_type == T.ON and g._next.text == "commit":
            g._advance(2)
            if g.accept_word("preserve"):
                g.expect_word("rows")
            elif g.accept_word("drop"):
                tree.on_commit = "drop"
            else:
                g.expect_word("delete")
                g.expect_word("rows")
                tree.on_commit = "delete"
        elif g.at_word("tablespace", "using"):
            g._advance()
            g.name()
        elif g.at_word("without") and g._next.text == "oids":
            g._advance(2)
        else:
            return


def _table_element(g: Grammar, tree: d.CreateTable) -> None:
    assert tree.columns is not None
    if g.at_word("like"):
        g._advance()
        tree.likes.append((len(tree.columns), _like(g)))
    elif g.at_word(*_TABLE_CONSTRAINTS) and g._curr.token_type != T.IDENTIFIER:
        tree.constraints.append(constraint(g))
    else:
        tree.columns.append(column(g))


def _like(g: Grammar) -> d.Like:
    table = table_ref(g)
    every = {"comments", "constraints", "defaults", "generated", "identity", "indexes", "statistics", "storage",
             "compression"}
    options: set[str] = set()
    while g.at_word("including", "excluding"):
        including = g._curr.text == "including"
        g._advance()
        word = g._curr.text
        if word not in every | {"all"}:
            raise g.unexpected()
        g._advance()
        named = every if word == "all" else {word}
        options = options | named if including else options - named
    return d.Like(table, options)


def column(g: Grammar) -> d.ColumnNode:
    """A column's definition, in CREATE TABLE (where AS may give the type) or ADD COLUMN."""
    found = d.ColumnNode(g._curr.start, g.name())
    if g._curr.token_type in (T.COMMA, T.R_PAREN):
        return found
    found.type = g.type_name()
    while _column_constraint(g, found):
        pass
    return found


def _column_constraint(g: Grammar, found: d.ColumnNode) -> bool:
    """One more property of the column; False where there is none."""
    name = ""
    if g.accept_word("constraint"):
        name = g.name()
    token = g._curr
    if g._match(T.NOT):
        if g.accept_word("deferrable"):
            return True
        g.expect_word("null")
        found.not_null = True
    elif g.accept_word("null"):
        found.null = True
    elif g._match(T.DEFAULT):
        found.default, found.default_text = _expression(g)
    elif g.accept_word("generated"):
        generated(g, found)
    elif collation := _collation(g):
        found.collation = collation
    elif g.at_word("compression", "storage"):
        g._advance()
        g.label()
    elif g.at_word("primary", "unique", "check", "references"):
        made = _constraint_body(g, token.start, name)
        made.columns = made.columns or [found.name]
        found.constraints.append(made)
    else:
        if name:
            raise g.unexpected()
        return False
    return True


def _expression(g: Grammar) -> tuple[Any, str]:
    """A restricted expression and its text."""
    start = g._curr.start
    tree = g.expression_at(5, restricted=True)
    return tree, g.sql[start:g._prev.end + 1]


def generated(g: Grammar, found: d.ColumnNode) -> None:
    always = g.accept_word("always")
    if not always:
        g.expect_word("by")
        g.expect(T.DEFAULT)
    g.expect(T.ALIAS)
    if g._curr.token_type == T.L_PAREN:
        if not always:
            raise SqlSyntaxError("for a generated column, GENERATED ALWAYS must be specified", position=g._curr.start + 1)
        g._advance()
        start = g._curr.start
        found.generated = g.expression_at(1)
        found.generated_text = g.sql[start:g._prev.end + 1]
        g.expect(T.R_PAREN)
        g.expect_word("stored")
        return
    g.expect_word("identity")
    found.identity, found.not_null = "a" if always else "d", True
    if g._match(T.L_PAREN):
        found.sequence = sequence_options(g)
        g.expect(T.R_PAREN)


def constraint(g: Grammar) -> d.ConstraintNode:
    """A table constraint."""
    name = g.name() if g.accept_word("constraint") else ""
    return _constraint_body(g, g._curr.start, name)


def _constraint_body(g: Grammar, pos: int, name: str) -> d.ConstraintNode:
    token = g._curr
    if g.at_word("exclude"):
        raise g.unsupported("an EXCLUDE constraint", token)
    if g.accept_word("check"):
        g.expect(T.L_PAREN)
        start = g._curr.start
        made = d.ConstraintNode(pos, "check", name, expression=g.expression_at(1))
        made.text = g.sql[start:g._prev.end + 1]
        g.expect(T.R_PAREN)
        if g.accept_word("no"):
            g.expect_word("inherit")
    elif g.accept_word("foreign"):
        g.expect_word("key")
        made = d.ConstraintNode(pos, "foreign", name, g.names())
        g.expect_word("references")
        _references(g, made)
    elif g.accept_word("references"):
        made = d.ConstraintNode(pos, "foreign", name)
        _references(g, made)
    else:
        if g.accept_word("primary"):
            g.expect_word("key")
            made = d.ConstraintNode(pos, "primary", name)
        elif g.accept_word("unique"):
            if g.accept_word("nulls"):
                if g._match(T.NOT):
                    raise g.unsupported("UNIQUE NULLS NOT DISTINCT", token)
                g.expect(T.DISTINCT)
            made = d.ConstraintNode(pos, "unique", name)
        else:
            raise g.unexpected()
        if g.accept_word("using"):
            g.expect_word("index")
            made.index = g.name()
        elif g._curr.token_type == T.L_PAREN:
            made.columns = g.names()
        if g.accept_word("include"):
            g.names()
        if g._curr.token_type == T.WITH and g._next.token_type == T.L_PAREN:
            g._advance()
            skip_parentheses(g)
    _deferring(g, made)
    return made


def _references(g: Grammar, made: d.ConstraintNode) -> None:
    made.references = table_ref(g)
    if g._curr.token_type == T.L_PAREN:
        made.referenced = g.names()
    while True:
        token = g._curr
        if g.accept_word("match"):
            if g.at_word("full", "partial"):
                raise g.unsupported(f"MATCH {g._curr.text.upper()}", token)
            g.expect_word("simple")
        elif g._curr.token_type == T.ON and g._next.text in ("delete", "update"):
            on_delete = g._next.text == "delete"
            g._advance(2)
            action = next((code for words, code in _ACTIONS.items() if _accept_words(g, words)), None)
            if action is None:
                raise g.unexpected()
            if on_delete:
                made.on_delete = action
            else:
                made.on_update = action
        else:
            return


def _accept_words(g: Grammar, words: tuple[str, ...]) -> bool:
    if g._curr.text != words[0] or (len(words) > 1 and g._next.text != words[1]):
        return False
    g._advance(len(words))
    return True


def _deferring(g: Grammar, made: d.ConstraintNode) -> None:
    while True:
        if g._curr.token_type == T.NOT and g._next.text in ("deferrable", "valid"):
            made.not_valid = made.not_valid or g._next.text == "valid"
            g._advance(2)
        elif g.accept_word("deferrable"):
            made.deferrable = True
        elif g.accept_word("initially"):
            made.deferred = g.accept_word("deferred")
            made.deferrable = made.deferrable or made.deferred
            if not made.deferred:
                g.expect_word("immediate")
        else:
            return


def skip_parentheses(g: Grammar) -> None:
    g.expect(T.L_PAREN)
    depth = 1
    while depth:
        kind = g._curr.token_type
        if kind == T.SENTINEL:
            raise g.unexpected()
        depth += (kind == T.L_PAREN) - (kind == T.R_PAREN)
        g._advance()


# Views, indexes, sequences

def _create_view(g: Grammar, replace: bool, temporary: bool, recursive: bool = False) -> d.CreateView:
    target = table_ref(g)
    columns = _column_names(g) if g._curr.token_type == T.L_PAREN or recursive else None
    if g._curr.token_type == T.WITH and g._next.token_type == T.L_PAREN:
        g._advance()
        skip_parentheses(g)
    g.expect(T.ALIAS)
    start = g._curr.start
    query = g.query()
    text = g.sql[start:g._prev.end + 1]
    if recursive:
        from shoal.catalog.access import quoted
        from shoal.exec.sql.parse import parse
        name, listed = quoted(target.parts[-1]), ", ".join(quoted(column.name) for column in columns or ())
        text = f"WITH RECURSIVE {name}({listed}) AS ({text}) SELECT {listed} FROM {name}"
        query = parse(text).tree
    tree = d.CreateView(target, columns, query, text, replace, temporary)
    if g._match(T.WITH):
        tree.check = "local" if g.accept_word("local") else "cascaded"
        g.accept_word("cascaded")
        g.expect_word("check")
        g.expect_word("option")
    return tree


def _create_index(g: Grammar) -> d.CreateIndex:
    unique = g.accept_word("unique")
    g.expect_word("index")
    g.accept_word("concurrently")
    exists = if_not_exists(g)
    name = "" if g._curr.token_type == T.ON else g.name()
    g.expect(T.ON)
    g._match(T.ONLY)
    made = d.CreateIndex(name, table_ref(g), [], unique=unique, exists=exists)
    if g.accept_word("using"):
        made.method = g.name()
    g.expect(T.L_PAREN)
    made.columns = g._parse_csv(lambda: index_column(g))
    g.expect(T.R_PAREN)
    if g.accept_word("include"):
        made.included = g.names()
    if g._curr.token_type == T.WITH and g._next.token_type == T.L_PAREN:
        g._advance()
        skip_parentheses(g)
    if g.accept_word("tablespace"):
        g.name()
    if g._match(T.WHERE):
        start = g._curr.start
        made.predicate = g.expression_at(1)
        made.predicate_text = g.sql[start:g._prev.end + 1]
    return made


def _collation(g: Grammar) -> d.Collation | None:
    """COLLATE and a name, if they stand here."""
    pos = g._curr.start
    return d.Collation(pos, g.qualified_name()) if g.accept_word("collate") else None


def index_column(g: Grammar) -> d.IndexColumn:
    """A key of an index, or of ON CONFLICT, which means those of indexes."""
    start = g._curr.start
    tree: Any = None
    if g._match(T.L_PAREN):
        tree = g.expression_at(1)
        g.expect(T.R_PAREN)
    elif g._next.token_type == T.L_PAREN:
        tree = g.expression_at(13)
    else:
        g.name()
    text = g._prev.text if tree is None else g.sql[start:g._prev.end + 1]
    made = d.IndexColumn(text if tree is None else "", tree, text, _collation(g), pos=start)
    if g.is_column_id(g._curr) and not g.at_word("asc", "desc", "nulls"):
        made.operator_class = g.qualified_name()
    if g._curr.text in ("asc", "desc"):
        made.ordered, made.descending = True, g._curr.text == "desc"
        g._advance()
    made.nulls_first = made.descending
    if g.accept_word("nulls"):
        made.nulls_given, made.nulls_first = True, g._curr.text == "first"
        g._advance()
    return made


def sequence_options(g: Grammar) -> dict[str, Any]:
    """The options of CREATE SEQUENCE, ALTER SEQUENCE and identity columns, by name; `restart` None: at its start."""
    found: dict[str, Any] = {}
    while True:
        if g.accept_word("increment"):
            g.accept_word("by")
            found["increment"] = _signed(g)
        elif g.accept_word("start"):
            g.accept_word("with")
            found["start"] = _signed(g)
        elif g.accept_word("restart"):
            g.accept_word("with")
            found["restart"] = _signed(g) if _at_number(g) else None
        elif g.accept_word("minvalue"):
            found["minimum"] = _signed(g)
        elif g.accept_word("maxvalue"):
            found["maximum"] = _signed(g)
        elif g.accept_word("cache"):
            found["cache"] = _signed(g)
        elif g.accept_word("cycle"):
            found["cycle"] = True
        elif g.accept_word("no"):
            word = g._curr.text
            if word not in ("minvalue", "maxvalue", "cycle"):
                raise g.unexpected()
            g._advance()
            found[{"minvalue": "minimum", "maxvalue": "maximum", "cycle": "cycle"}[word]] = None
        elif g._match(T.ALIAS):
            found["type"] = g.type_name()
        elif g.accept_word("owned"):
            g.expect_word("by")
            found["owner"] = g.qualified_name()
        elif g.accept_word("sequence"):
            g.expect_word("name")
            g.qualified_name()
        else:
            return found


def _at_number(g: Grammar) -> bool:
    return g._curr.token_type in (T.NUMBER, T.DASH, T.PLUS)


def _signed(g: Grammar) -> int:
    negative = g._match(T.DASH)
    if not negative:
        g._match(T.PLUS)
    token = g._curr
    if token.token_type != T.NUMBER or not token.text.isdigit():
        raise g.unexpected()
    g._advance()
    return -int(token.text) if negative else int(token.text)

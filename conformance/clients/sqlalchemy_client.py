"""SQLAlchemy 2 on psycopg, psycopg2 and asyncpg: schema and reflection, ORM, streaming, transactions, errors."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import uuid
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from checking import Check, equal
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

check = Check(sa.__version__)


def url(driver: str) -> sa.URL:
    env = os.environ
    return sa.URL.create(
        f"postgresql+{driver}", env["PGUSER"], env["PGPASSWORD"], env["PGHOST"], int(env["PGPORT"]), env["PGDATABASE"]
    )


def engine(driver: str = "psycopg", **options: Any) -> sa.Engine:
    return sa.create_engine(url(driver), **options)


class Base(DeclarativeBase):
    pass


class Port(Base):
    __tablename__ = "ports"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40), unique=True, comment="as on the chart")
    opened: Mapped[dt.date | None]
    boats: Mapped[list[Boat]] = relationship(back_populates="port", order_by="Boat.id")
    __table_args__ = {"comment": "where boats lie"}


class Boat(Base):
    __tablename__ = "boats"
    id: Mapped[int] = mapped_column(sa.Integer, sa.Identity(), primary_key=True)
    port_id: Mapped[int] = mapped_column(sa.ForeignKey("ports.id", name="boats_port_fk"), index=True)
    length_m: Mapped[Decimal] = mapped_column(sa.Numeric(6, 2), server_default="0")
    tags: Mapped[list[str]] = mapped_column(pg.ARRAY(sa.Text))
    details: Mapped[dict] = mapped_column(pg.JSONB)
    seen: Mapped[dt.datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    token: Mapped[uuid.UUID]
    port: Mapped[Port] = relationship(back_populates="boats")
    __table_args__ = (sa.CheckConstraint("length_m >= 0", name="boats_length"),)


@check.part("create_all, has_table")
def _() -> None:
    db = engine()
    Base.metadata.create_all(db)
    Base.metadata.create_all(db)
    assert sa.inspect(db).has_table("boats") and not sa.inspect(db).has_table("nowhere")


@check.part("ORM: insert with identity, read, eager loading, update, delete")
def _() -> None:
    db = engine()
    with Session(db) as session:
        port = Port(id=1, name="Killybegs", opened=dt.date(1800, 1, 1))
        port.boats = [
            Boat(length_m=Decimal("12.50"), tags=["red", "old"], details={"crew": [1, 2]}, token=uuid.UUID(int=n))
            for n in range(5)
        ]
        session.add_all([port, Port(id=2, name="Peniche")])
        session.commit()
        equal([boat.id for boat in port.boats], [1, 2, 3, 4, 5])
        port.boats[0].length_m = Decimal("20.00")
        session.delete(port.boats[4])
        session.commit()
    with Session(db) as session:
        ports = session.scalars(sa.select(Port).options(selectinload(Port.boats)).order_by(Port.id)).all()
        equal([(p.name, len(p.boats)) for p in ports], [("Killybegs", 4), ("Peniche", 0)])
        boat = session.get_one(Boat, 1)
        equal(
            (boat.length_m, boat.tags, boat.details, boat.token),
            (Decimal("20.00"), ["red", "old"], {"crew": [1, 2]}, uuid.UUID(int=0)),
        )
        query = (
            sa.select(Port.name, sa.func.count(Boat.id), sa.func.sum(Boat.length_m))
            .outerjoin(Boat)
            .group_by(Port.name)
            .having(sa.func.count() > 0)
            .order_by(sa.desc(sa.func.count(Boat.id)))
        )
        equal([tuple(row) for row in session.execute(query)], [("Killybegs", 4, Decimal("57.50")), ("Peniche", 0, None)])
        equal(session.scalar(sa.select(sa.func.count()).where(Boat.details["crew"][0].as_integer() == 1)), 4)
        equal(session.scalar(sa.select(Boat.id).where(Boat.tags.contains(["old"]), Boat.id.in_([2, 9]))), 2)


@check.part("core: insert many with RETURNING, upsert, CTE, window, lateral, values, recursion")
def _() -> None:
    items = sa.Table(
        "items",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer),
        sa.Column("note", sa.String),
    )
    with engine().begin() as db:
        items.create(db)
        got = (
            db.execute(items.insert().returning(items.c.id), [{"id": i, "n": i * i, "note": f"n{i}"} for i in range(300)])
            .scalars()
            .all()
        )
        equal(len(got), 300)
        upsert = pg.insert(items).values(id=5, n=0, note="again")
        db.execute(upsert.on_conflict_do_update(index_elements=["id"], set_={"note": upsert.excluded.note}))
        equal(tuple(db.execute(sa.select(items.c.n, items.c.note).where(items.c.id == 5)).one()), (25, "again"))
        total = sa.select(sa.func.sum(items.c.n).over(order_by=items.c.id).label("running"), items.c.id).cte("t")
        equal(db.scalar(sa.select(total.c.running).where(total.c.id == 10)), 385)
        numbers = sa.values(sa.column("k", sa.Integer), name="v").data([(1,), (2,)])
        inner = sa.select(items.c.note).where(items.c.id == numbers.c.k).lateral("l")
        equal(sorted(db.scalars(sa.select(inner.c.note).select_from(numbers.join(inner, sa.true())))), ["n1", "n2"])
        walk = sa.select(sa.literal(1).label("n")).cte("walk", recursive=True)
        walk = walk.union_all(sa.select(walk.c.n + 1).where(walk.c.n < 10))
        equal(db.scalar(sa.select(sa.func.sum(walk.c.n))), 55)


@check.part("reflection: columns, types, keys, indexes, checks, comments, identity")
def _() -> None:
    inspector = sa.inspect(engine())
    equal(sorted(set(inspector.get_table_names()) & {"boats", "ports"}), ["boats", "ports"])
    columns = {column["name"]: column for column in inspector.get_columns("boats")}
    equal(
        [repr(columns[name]["type"]) for name in ("id", "length_m", "seen", "token", "details")],
        ["INTEGER()", "NUMERIC(precision=6, scale=2)", "TIMESTAMP(timezone=True)", "UUID()", "JSONB(astext_type=Text())"],
    )
    assert isinstance(columns["tags"]["type"], pg.ARRAY)
    equal((columns["id"]["nullable"], columns["id"]["identity"]["start"], columns["seen"]["default"]), (False, 1, "now()"))
    equal(inspector.get_pk_constraint("boats")["constrained_columns"], ["id"])
    keys = inspector.get_foreign_keys("boats")
    equal(
        [(k["name"], k["constrained_columns"], k["referred_table"], k["referred_columns"]) for k in keys],
        [("boats_port_fk", ["port_id"], "ports", ["id"])],
    )
    equal(
        [(u["name"], u["column_names"]) for u in inspector.get_unique_constraints("ports")], [("ports_name_key", ["name"])]
    )
    equal(
        [(i["name"], i["column_names"], i["unique"]) for i in inspector.get_indexes("boats")],
        [("ix_boats_port_id", ["port_id"], False)],
    )
    equal([c["name"] for c in inspector.get_check_constraints("boats")], ["boats_length"])
    equal(inspector.get_table_comment("ports"), {"text": "where boats lie"})
    equal({c["name"]: c["comment"] for c in inspector.get_columns("ports")}["name"], "as on the chart")


@check.part("reflection: whole MetaData, views, schemas, sequences, multi-table calls")
def _() -> None:
    db = engine()
    with db.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA harbour"))
        connection.execute(sa.text('CREATE TABLE harbour."Weird Name" ("A b" int)'))
        connection.execute(sa.text("CREATE VIEW long_boats AS SELECT id, length_m FROM boats WHERE length_m > 10"))
    inspector = sa.inspect(db)
    assert {"public", "harbour", "information_schema"} <= set(inspector.get_schema_names())
    equal(inspector.get_table_names(schema="harbour"), ["Weird Name"])
    equal(inspector.get_view_names(), ["long_boats"])
    assert "length_m" in inspector.get_view_definition("long_boats")
    every = inspector.get_multi_columns(kind=sa.engine.reflection.ObjectKind.ANY)
    assert {(None, "boats"), (None, "ports"), (None, "long_boats")} <= set(every), every.keys()
    metadata = sa.MetaData()
    metadata.reflect(db, views=True)
    boats = metadata.tables["boats"]
    equal([str(key.column) for key in boats.foreign_keys], ["ports.id"])
    with db.connect() as connection:
        equal(connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables["long_boats"])), 4)
        equal(
            len(
                connection.execute(
                    sa.select(boats, metadata.tables["ports"]).join_from(boats, metadata.tables["ports"])
                ).all()
            ),
            4,
        )


@check.part("transactions: nested, isolation level, read only, autocommit, pre-ping")
def _() -> None:
    db = engine(pool_pre_ping=True)
    with db.connect() as connection:
        with connection.begin():
            try:
                with connection.begin_nested():
                    connection.execute(sa.text("DELETE FROM ports WHERE id = 2"))
                    raise KeyError
            except KeyError:
                pass
        equal(connection.scalar(sa.text("SELECT count(*) FROM ports")), 2)
    with db.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
        equal(connection.get_isolation_level(), "REPEATABLE READ")
        try:
            connection.execute(sa.text("DELETE FROM ports"))
        except sa.exc.InternalError as error:
            equal(error.orig.sqlstate, "25006")  # type: ignore[union-attr]
    with db.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM"))


@check.part("errors: integrity, programming, data")
def _() -> None:
    with engine().connect() as db:
        for statement, error in (
            ("INSERT INTO ports (id, name) VALUES (1, 'x')", sa.exc.IntegrityError),
            ("SELECT nope", sa.exc.ProgrammingError),
            (
                "INSERT INTO boats (port_id, tags, details, token) "
                "VALUES (99, '{}', '{}', '00000000-0000-0000-0000-000000000000')",
                sa.exc.IntegrityError,
            ),
            ("SELECT CAST('x' AS int)", sa.exc.DataError),
        ):
            try:
                db.execute(sa.text(statement))
            except error:
                db.rollback()
            else:
                raise AssertionError(f"no {error.__name__} of {statement}")


for name in ("psycopg", "psycopg2", "pg8000"):

    def other(name: str = name) -> None:
        with engine(name).connect() as db:
            streamed = db.execution_options(stream_results=True, yield_per=100).execute(
                sa.text("SELECT g FROM generate_series(1, 1000) g")
            )
            equal(sum(streamed.scalars()), 500500)
            row = db.execute(
                sa.select(sa.literal(Decimal("1.50")), sa.literal("x"), sa.literal(None), sa.literal(dt.date(2020, 1, 1)))
            ).one()
            equal(tuple(row), (Decimal("1.50"), "x", None, dt.date(2020, 1, 1)))
            equal(sa.inspect(db).get_pk_constraint("ports")["constrained_columns"], ["id"])

    check.part(f"{name}: streaming, literals, inspection")(other)


@check.part("asyncpg: streaming, reflection, ORM rows")
async def _() -> None:
    db = create_async_engine(url("asyncpg"))
    async with db.connect() as connection:
        streamed = await connection.stream(sa.text("SELECT g FROM generate_series(1, 1000) g"))
        equal(sum([row[0] async for row in streamed]), 500500)
        metadata = sa.MetaData()
        await connection.run_sync(metadata.reflect)
        assert "boats" in metadata.tables
        rows = (await connection.execute(sa.select(Boat.__table__).where(Boat.id.in_([1, 2])).order_by(Boat.id))).all()
        equal(
            [(row.tags, row.details["crew"], row.length_m) for row in rows],
            [(["red", "old"], [1, 2], Decimal("20.00")), (["red", "old"], [1, 2], Decimal("12.50"))],
        )
    await asyncio.wait_for(db.dispose(), 5)


check.run()

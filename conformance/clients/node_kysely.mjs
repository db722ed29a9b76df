// kysely: introspection, typed selects, inserts with RETURNING, json helpers, cursors, transactions.

import { connection, equal, fails, part, require, run } from "./checking.mjs";

const { Kysely, PostgresDialect, sql } = require("kysely");
const { jsonArrayFrom, jsonObjectFrom } = require("kysely/helpers/postgres");
const pg = require("pg");
const db = new Kysely({
  dialect: new PostgresDialect({ pool: new pg.Pool({ ...connection, max: 3 }), cursor: require("pg-cursor") }),
});

part("schema builder", async () => {
  await db.schema
    .createTable("ky_authors")
    .addColumn("id", "integer", (c) => c.primaryKey())
    .addColumn("name", "varchar(60)", (c) => c.notNull())
    .addColumn("rating", "numeric(6, 2)", (c) => c.defaultTo(1.5))
    .execute();
  await db.schema
    .createTable("ky_books")
    .ifNotExists()
    .addColumn("id", "integer", (c) => c.primaryKey())
    .addColumn("author_id", "integer", (c) => c.references("ky_authors.id"))
    .addColumn("title", "text", (c) => c.notNull())
    .execute();
  await db.schema.createView("ky_titles").as(db.selectFrom("ky_books").select("title")).execute();
});
part("introspection", async () => {
  const tables = await db.introspection.getTables();
  const found = tables.find((table) => table.name === "ky_authors");
  equal(
    found.columns.map((c) => [c.name, c.dataType, c.isNullable, c.hasDefaultValue, c.isAutoIncrementing]),
    [
      ["id", "int4", false, false, false],
      ["name", "varchar", false, false, false],
      ["rating", "numeric", true, true, false],
    ],
  );
  equal(
    tables
      .filter((table) => table.isView)
      .map((table) => table.name)
      .filter((name) => name.startsWith("ky_")),
    ["ky_titles"],
  );
  equal(
    (await db.introspection.getSchemas()).some((schema) => schema.name === "public"),
    true,
  );
});
part("inserts, updates, deletes with RETURNING", async () => {
  equal(
    await db
      .insertInto("ky_authors")
      .values([
        { id: 1, name: "Le Guin" },
        { id: 2, name: "Lem", rating: 4.25 },
      ])
      .returning(["id", "rating"])
      .execute(),
    [
      { id: 1, rating: "1.50" },
      { id: 2, rating: "4.25" },
    ],
  );
  await db
    .insertInto("ky_books")
    .values([
      { id: 1, author_id: 1, title: "The Dispossessed" },
      { id: 2, author_id: 1, title: "Tehanu" },
      { id: 3, author_id: 2, title: "Solaris" },
    ])
    .execute();
  equal(
    (
      await db
        .updateTable("ky_books")
        .set({ title: sql`upper(title)` })
        .where("id", "=", 3)
        .returningAll()
        .executeTakeFirst()
    ).title,
    "SOLARIS",
  );
  equal((await db.deleteFrom("ky_books").where("id", "=", 99).executeTakeFirst()).numDeletedRows, 0n);
  await db
    .insertInto("ky_authors")
    .values({ id: 2, name: "x" })
    .onConflict((c) => c.column("id").doUpdateSet({ name: "Stanisław Lem" }))
    .execute();
});
part("selects with json helpers", async () => {
  const rows = await db
    .selectFrom("ky_authors as a")
    .select((eb) => [
      "a.name",
      jsonArrayFrom(eb.selectFrom("ky_books as b").select(["b.id"]).whereRef("b.author_id", "=", "a.id").orderBy("b.id")).as(
        "books",
      ),
    ])
    .orderBy("a.id")
    .execute();
  equal(rows, [
    { name: "Le Guin", books: [{ id: 1 }, { id: 2 }] },
    { name: "Stanisław Lem", books: [{ id: 3 }] },
  ]);
  const book = await db
    .selectFrom("ky_books as b")
    .select((eb) => [
      "b.id",
      jsonObjectFrom(eb.selectFrom("ky_authors as a").select("a.name").whereRef("a.id", "=", "b.author_id")).as("author"),
    ])
    .where("b.id", "=", 3)
    .executeTakeFirstOrThrow();
  equal(book, { id: 3, author: { name: "Stanisław Lem" } });
  equal(
    await db
      .selectFrom("ky_books")
      .select((eb) => ["author_id", eb.fn.countAll().as("n")])
      .groupBy("author_id")
      .having((eb) => eb.fn.countAll(), ">", 1)
      .execute(),
    [{ author_id: 1, n: "2" }],
  );
});
part("cursors", async () => {
  let sum = 0;
  for await (const row of db
    .selectFrom(sql`generate_series(1, 1000)`.as("g"))
    .select(sql`g`.as("g"))
    .stream(100))
    sum += row.g;
  equal(sum, 500500);
});
part("transactions and errors", async () => {
  await db
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (trx) => {
      await trx.deleteFrom("ky_books").execute();
      throw new Error("undo");
    })
    .catch((error) => equal(error.message, "undo"));
  equal((await db.selectFrom("ky_books").select("id").execute()).length, 3);
  await fails(db.insertInto("ky_authors").values({ id: 1, name: "again" }).execute(), "23505");
});
part("altering and dropping", async () => {
  await db.schema.alterTable("ky_books").addColumn("pages", "integer").execute();
  await db.schema.dropView("ky_titles").execute();
  await db.schema.dropTable("ky_books").execute();
  await db.schema.dropTable("ky_authors").execute();
});

await run("kysely", () => db.destroy());

// knex: schema builder and its introspection, inserts with RETURNING, joins, aggregates, transactions, streams.

import { connection, equal, fails, ok, part, require, run } from "./checking.mjs";

const knex = require("knex")({ client: "pg", connection, pool: { min: 0, max: 4 } });

part("creating tables", async () => {
  await knex.schema.createTable("knex_authors", (table) => {
    table.integer("id").primary();
    table.string("name", 60).notNullable();
    table.date("born");
    table.decimal("rating", 6, 2).defaultTo(1.5);
  });
  await knex.schema.createTable("knex_books", (table) => {
    table.integer("id").primary();
    table.integer("author_id").references("id").inTable("knex_authors");
    table.text("title").notNullable();
    table.jsonb("extra");
    table.timestamp("added", { useTz: true });
    table.unique(["author_id", "title"]);
  });
});
part("introspection", async () => {
  equal(
    [
      await knex.schema.hasTable("knex_books"),
      await knex.schema.hasTable("knex_none"),
      await knex.schema.hasColumn("knex_books", "title"),
    ],
    [true, false, true],
  );
  const info = await knex("knex_authors").columnInfo();
  equal(info.name, { type: "character varying", maxLength: 60, nullable: false, defaultValue: null });
  equal([info.rating.type, info.born.nullable, info.id.nullable], ["numeric", true, false]);
  ok(info.rating.defaultValue.includes("1.5"));
});
part("inserts with RETURNING", async () => {
  const rows = await knex("knex_authors")
    .insert([
      { id: 1, name: "Le Guin", born: "1929-10-21" },
      { id: 2, name: "Lem", rating: 4.25 },
    ])
    .returning(["id", "rating"]);
  equal(rows, [
    { id: 1, rating: "1.50" },
    { id: 2, rating: "4.25" },
  ]);
  const added = new Date(Date.UTC(2020, 1, 29, 12));
  await knex.batchInsert(
    "knex_books",
    [
      { id: 1, author_id: 1, title: "The Dispossessed", extra: JSON.stringify({ pages: 341 }), added },
      { id: 2, author_id: 1, title: "Tehanu", extra: null, added: null },
      { id: 3, author_id: 2, title: "Solaris", extra: JSON.stringify({ pages: 204 }), added: null },
    ],
    2,
  );
  equal((await knex("knex_books").where({ id: 1 }).first()).added, added);
});
part("joins, aggregates, sub-queries, CTEs, windows", async () => {
  equal(
    await knex("knex_books as b")
      .join("knex_authors as a", "a.id", "b.author_id")
      .groupBy("a.name")
      .orderBy("a.name", "desc")
      .select("a.name")
      .count("* as n")
      .max("b.title as last"),
    [
      { name: "Lem", n: "1", last: "Solaris" },
      { name: "Le Guin", n: "2", last: "The Dispossessed" },
    ],
  );
  equal(
    await knex("knex_authors")
      .whereIn("id", knex("knex_books").select("author_id").where("title", "ilike", "sol%"))
      .pluck("name"),
    ["Lem"],
  );
  equal(
    await knex
      .with("w", knex("knex_books").where("author_id", 1))
      .from("w")
      .whereNotNull("extra")
      .select(knex.raw("extra->>? as pages", ["pages"])),
    [{ pages: "341" }],
  );
  equal(
    await knex("knex_books")
      .select("id")
      .rowNumber("n", (over) => over.partitionBy("author_id").orderBy("title"))
      .orderBy("id"),
    [
      { id: 1, n: "2" },
      { id: 2, n: "1" },
      { id: 3, n: "1" },
    ],
  );
  equal(await knex("knex_books").whereJsonSupersetOf("extra", { pages: 341 }).pluck("id"), [1]);
  equal(
    await knex("knex_books")
      .distinctOn("author_id")
      .orderBy(["author_id", { column: "id", order: "desc" }])
      .pluck("id"),
    [2, 3],
  );
  equal(
    await knex("knex_authors")
      .where("id", 1)
      .union([knex("knex_authors").where("id", 2)])
      .orderBy("id"),
    await knex("knex_authors").orderBy("id"),
  );
  equal((await knex("knex_books").orderBy("id").limit(1).offset(2))[0].id, 3);
});
part("updates, upserts, deletes", async () => {
  equal(await knex("knex_authors").where({ id: 2 }).update({ rating: 5 }, ["rating"]), [{ rating: "5.00" }]);
  equal(await knex("knex_authors").where({ id: 2 }).increment("rating", 1), 1);
  await knex("knex_authors").insert({ id: 2, name: "Stanisław Lem" }).onConflict("id").merge(["name"]);
  equal(await knex("knex_authors").where({ id: 2 }).first("name", "rating"), { name: "Stanisław Lem", rating: "6.00" });
  await knex("knex_authors").insert({ id: 2, name: "nobody" }).onConflict("id").ignore();
  equal(await knex("knex_books").where("id", 3).del(), 1);
});
part("generated keys and timestamps", async () => {
  await knex.schema.createTable("knex_notes", (table) => {
    table.increments("id");
    table.text("note");
    table.timestamps(true, true);
    table.index(["note"], "knex_notes_note");
  });
  equal(await knex("knex_notes").insert([{ note: "a" }, { note: "b" }], "id"), [{ id: 1 }, { id: 2 }]);
  const row = await knex("knex_notes").first();
  ok(row.created_at instanceof Date && row.updated_at <= new Date());
  ok((await knex("knex_notes").columnInfo("id")).defaultValue.startsWith("nextval("));
  await knex("knex_notes").truncate();
  equal(await knex("knex_notes").insert({ note: "c" }, "id"), [{ id: 1 }]);
  await knex.schema.dropTable("knex_notes");
});
part("transactions", async () => {
  await knex
    .transaction(async (trx) => {
      await trx("knex_books").del();
      await trx
        .transaction(async (inner) => {
          await inner("knex_authors").insert({ id: 9, name: "x" });
          throw new Error("inner");
        })
        .catch(() => {});
      equal((await trx("knex_authors").count("* as n"))[0].n, "2");
      throw new Error("outer");
    })
    .catch((error) => equal(error.message, "outer"));
  equal((await knex("knex_books").count("* as n"))[0].n, "2");
  const trx = await knex.transaction({ isolationLevel: "repeatable read", readOnly: true });
  equal((await trx.raw("SHOW transaction_isolation")).rows, [{ transaction_isolation: "repeatable read" }]);
  await trx.commit();
});
part("errors and timeouts", async () => {
  await fails(knex("knex_books").insert({ id: 1, title: "again" }), "23505");
  await fails(knex("knex_books").insert({ id: 7, title: "x", author_id: 77 }), "23503");
  await fails(knex("knex_none").select(), "42P01");
  const slow = knex
    .raw("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b")
    .timeout(300, { cancel: true });
  equal(
    (
      await slow.then(
        () => null,
        (error) => error,
      )
    ).name,
    "KnexTimeoutError",
  );
});
part("streams", async () => {
  let sum = 0;
  for await (const row of knex.select("g").fromRaw("generate_series(1, 1000) AS g").stream()) sum += row.g;
  equal(sum, 500500);
});
part("altering and dropping", async () => {
  await knex.schema.alterTable("knex_books", (table) => {
    table.integer("pages");
    table.dropColumn("extra");
  });
  await knex.schema.alterTable("knex_books", (table) => {
    table.renameColumn("title", "name");
  });
  equal(Object.keys(await knex("knex_books").columnInfo()), ["id", "author_id", "name", "added", "pages"]);
  await knex.schema.dropTable("knex_books");
  await knex.schema.dropTableIfExists("knex_authors");
  await knex.schema.dropTableIfExists("knex_authors");
});

await run("knex", () => knex.destroy());

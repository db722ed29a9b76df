// drizzle-orm over node-postgres and postgres.js: schema, relational queries (lateral joins, json), inserts, transactions.

import { connection, equal, fails, ok, part, require, run } from "./checking.mjs";

const { and, asc, count, eq, exists, gt, inArray, max, relations, sql } = require("drizzle-orm");
const { date, integer, jsonb, numeric, pgTable, serial, text, timestamp, varchar, boolean } = require("drizzle-orm/pg-core");
const pg = require("pg");
const postgres = require("postgres");
const authors = pgTable("dz_authors", {
  id: integer().primaryKey(),
  name: varchar({ length: 60 }).notNull(),
  born: date(),
  rating: numeric({ precision: 6, scale: 2 }).default("1.5"),
});
const books = pgTable("dz_books", {
  id: integer().primaryKey(),
  authorId: integer("author_id").references(() => authors.id),
  title: text().notNull().unique(),
  extra: jsonb(),
  tags: text().array(),
  added: timestamp({ withTimezone: true }),
  sold: boolean().default(false),
});
const notes = pgTable("dz_notes", {
  id: serial().primaryKey(),
  made: timestamp({ withTimezone: true }).defaultNow(),
  note: text(),
});
const schema = {
  authors,
  books,
  authorRelations: relations(authors, ({ many }) => ({ books: many(books) })),
  bookRelations: relations(books, ({ one }) => ({
    author: one(authors, { fields: [books.authorId], references: [authors.id] }),
  })),
};
const pool = new pg.Pool({ ...connection, max: 3 });
const client = postgres({ ...connection, max: 2, onnotice: () => {} });
const drivers = [
  ["pg", require("drizzle-orm/node-postgres").drizzle(pool, { schema })],
  ["postgres.js", require("drizzle-orm/postgres-js").drizzle(client, { schema })],
];

for (const [driver, db] of drivers) {
  part(`${driver}: creating tables`, async () => {
    await db.execute(
      sql`CREATE TABLE ${authors} (id int PRIMARY KEY, name varchar(60) NOT NULL, born date, rating numeric(6, 2) DEFAULT 1.5)`,
    );
    await db.execute(sql`CREATE TABLE ${books} (id int PRIMARY KEY, author_id int REFERENCES dz_authors (id), title text NOT NULL UNIQUE, 
      extra jsonb, tags text[], added timestamptz, sold boolean DEFAULT false)`);
  });
  part(`${driver}: inserts with RETURNING`, async () => {
    equal(
      await db
        .insert(authors)
        .values([
          { id: 1, name: "Le Guin", born: "1929-10-21" },
          { id: 2, name: "Lem", rating: "4.25" },
        ])
        .returning({ id: authors.id, rating: authors.rating }),
      [
        { id: 1, rating: "1.50" },
        { id: 2, rating: "4.25" },
      ],
    );
    const added = new Date(Date.UTC(2020, 1, 29, 12));
    const rows = await db
      .insert(books)
      .values([
        { id: 1, authorId: 1, title: "The Dispossessed", extra: { pages: 341 }, tags: ["a", 'q"'], added },
        { id: 2, authorId: 1, title: "Tehanu", tags: [] },
        { id: 3, authorId: 2, title: "Solaris", sold: true },
      ])
      .returning();
    equal(rows[0], {
      id: 1,
      authorId: 1,
      title: "The Dispossessed",
      extra: { pages: 341 },
      tags: ["a", 'q"'],
      added,
      sold: false,
    });
    await db
      .insert(authors)
      .values({ id: 2, name: "Stanisław Lem" })
      .onConflictDoUpdate({ target: authors.id, set: { name: sql`excluded.name` } });
    await db.insert(authors).values({ id: 2, name: "nobody" }).onConflictDoNothing();
  });
  part(`${driver}: joins, aggregates, sub-queries`, async () => {
    equal(
      await db
        .select({ name: authors.name, n: count(), last: max(books.title) })
        .from(books)
        .innerJoin(authors, eq(authors.id, books.authorId))
        .groupBy(authors.name)
        .orderBy(asc(authors.name)),
      [
        { name: "Le Guin", n: 2, last: "The Dispossessed" },
        { name: "Stanisław Lem", n: 1, last: "Solaris" },
      ],
    );
    equal(
      await db
        .select({ id: authors.id })
        .from(authors)
        .where(
          exists(
            db
              .select()
              .from(books)
              .where(and(eq(books.authorId, authors.id), eq(books.sold, true))),
          ),
        ),
      [{ id: 2 }],
    );
    const cte = db.$with("c").as(
      db
        .select({ id: books.id })
        .from(books)
        .where(inArray(books.id, [1, 3])),
    );
    equal(await db.with(cte).select().from(cte).orderBy(cte.id), [{ id: 1 }, { id: 3 }]);
    equal(await db.$count(books, gt(books.id, 1)), 2);
  });
  part(`${driver}: relational queries`, async () => {
    const found = await db.query.authors.findMany({
      with: { books: { columns: { id: true, title: true }, orderBy: (book, { desc }) => desc(book.id), limit: 1 } },
      orderBy: (author) => author.id,
    });
    equal(
      found.map((author) => [author.name, author.books]),
      [
        ["Le Guin", [{ id: 2, title: "Tehanu" }]],
        ["Stanisław Lem", [{ id: 3, title: "Solaris" }]],
      ],
    );
    const book = await db.query.books.findFirst({
      where: (b, { eq }) => eq(b.id, 1),
      with: { author: true },
      extras: { shout: sql`upper(${books.title})`.as("shout") },
    });
    equal(
      [book.shout, book.author.name, book.added.toISOString()],
      ["THE DISPOSSESSED", "Le Guin", "2020-02-29T12:00:00.000Z"],
    );
  });
  part(`${driver}: prepared with placeholders`, async () => {
    const byId = db
      .select({ title: books.title })
      .from(books)
      .where(eq(books.id, sql.placeholder("id")))
      .prepare("dz_by_id");
    for (const [id, title] of [
      [1, "The Dispossessed"],
      [3, "Solaris"],
    ])
      equal(await byId.execute({ id }), [{ title }]);
  });
  part(`${driver}: updates and transactions`, async () => {
    equal(
      await db
        .update(authors)
        .set({ rating: sql`${authors.rating} + 1` })
        .where(eq(authors.id, 2))
        .returning({ rating: authors.rating }),
      [{ rating: "5.25" }],
    );
    const error = await db
      .transaction(
        async (tx) => {
          await tx.delete(books).where(eq(books.id, 3));
          await tx
            .transaction(async (inner) => {
              await inner.delete(books);
              inner.rollback();
            })
            .catch(() => {});
          equal(await tx.$count(books), 2);
          tx.rollback();
        },
        { isolationLevel: "read committed", accessMode: "read write" },
      )
      .then(
        () => null,
        (reason) => reason,
      );
    ok(error?.constructor.name === "TransactionRollbackError", String(error));
    equal(await db.$count(books), 3);
  });
  part(`${driver}: errors`, async () => {
    await fails(db.insert(authors).values({ id: 1, name: "again" }).execute(), "23505");
    await fails(db.execute(sql`SELECT * FROM dz_none`), "42P01");
  });
  part(`${driver}: generated keys`, async () => {
    await db.execute(sql`CREATE TABLE ${notes} (id serial PRIMARY KEY, made timestamptz NOT NULL DEFAULT now(), note text)`);
    const rows = await db
      .insert(notes)
      .values([{ note: "a" }, { note: "b" }])
      .returning();
    equal(
      rows.map((row) => [row.id, row.note, row.made instanceof Date]),
      [
        [1, "a", true],
        [2, "b", true],
      ],
    );
    await db.execute(sql`DROP TABLE ${notes}`);
  });
  part(`${driver}: dropping`, async () => {
    await db.execute(sql`DROP TABLE ${books}`);
    await db.execute(sql`DROP TABLE ${authors}`);
  });
}

await run("drizzle-orm", () => Promise.all([pool.end(), client.end()]));

// typeorm: schema synchronisation and its introspection, repositories, relations, query builder, transactions, streams.

import { connection, equal, fails, ok, part, require, run } from "./checking.mjs";

require("reflect-metadata");
const { DataSource, EntitySchema, In, MoreThan, Table, TableColumn } = require("typeorm");
const Author = new EntitySchema({
  name: "Author",
  tableName: "to_authors",
  columns: {
    id: { type: "integer", primary: true },
    name: { type: "varchar", length: 60 },
    born: { type: "date", nullable: true },
    rating: { type: "numeric", precision: 6, scale: 2, default: () => "1.5" },
  },
  relations: { books: { type: "one-to-many", target: "Book", inverseSide: "author" } },
});
const Book = new EntitySchema({
  name: "Book",
  tableName: "to_books",
  columns: {
    id: { type: "integer", primary: true },
    title: { type: "text", unique: true },
    extra: { type: "jsonb", nullable: true },
    tags: { type: "text", array: true, nullable: true },
    added: { type: "timestamptz", nullable: true },
  },
  relations: { author: { type: "many-to-one", target: "Author", inverseSide: "books", joinColumn: { name: "author_id" } } },
});
const Note = new EntitySchema({
  name: "Note",
  tableName: "to_notes",
  columns: {
    id: { type: "integer", primary: true, generated: "increment" },
    text: { type: "varchar" },
    made: { type: "timestamptz", createDate: true },
    version: { type: "integer", version: true },
  },
  indices: [{ name: "to_notes_text", columns: ["text"] }],
});
const source = new DataSource({
  type: "postgres",
  host: connection.host,
  port: connection.port,
  username: connection.user,
  password: connection.password,
  database: connection.database,
  entities: [Author, Book, Note],
  synchronize: false,
  installExtensions: false,
});
const [authors, books] = [() => source.getRepository("Author"), () => source.getRepository("Book")];

part("initialise and synchronise", async () => {
  await source.initialize();
  await source.synchronize();
});
part("a second synchronisation finds nothing to change", async () => {
  const { upQueries } = await source.driver.createSchemaBuilder().log();
  equal(
    upQueries.map(({ query }) => query),
    [],
  );
});
part("introspection", async () => {
  const runner = source.createQueryRunner();
  const table = await runner.getTable("to_books");
  equal(
    table.columns.map((column) => [column.name, column.type, column.isNullable, column.isArray]),
    [
      ["id", "integer", false, false],
      ["title", "text", false, false],
      ["extra", "jsonb", true, false],
      ["tags", "text", true, true],
      ["added", "timestamp with time zone", true, false],
      ["author_id", "integer", true, false],
    ],
  );
  equal(
    table.primaryColumns.map((column) => column.name),
    ["id"],
  );
  equal(
    table.foreignKeys.map((key) => [key.columnNames, key.referencedTableName, key.referencedColumnNames]),
    [[["author_id"], "to_authors", ["id"]]],
  );
  equal(
    table.uniques.map((unique) => unique.columnNames),
    [["title"]],
  );
  equal(
    [
      await runner.hasTable("to_none"),
      await runner.hasColumn("to_books", "title"),
      await runner.hasSchema("public"),
      await runner.getCurrentSchema(),
    ],
    [false, true, true, "public"],
  );
  ok((await runner.getDatabases()).includes(connection.database) || (await runner.hasDatabase(connection.database)));
  await runner.release();
});
part("saving", async () => {
  await authors().save([
    { id: 1, name: "Le Guin", born: "1929-10-21" },
    { id: 2, name: "Lem", rating: 4.25 },
  ]);
  const saved = await books().save({
    id: 1,
    title: "The Dispossessed",
    extra: { pages: 341 },
    tags: ["a", 'q"'],
    added: new Date(Date.UTC(2020, 1, 29, 12)),
    author: { id: 1 },
  });
  equal(saved.id, 1);
  const result = await books().insert([
    { id: 2, title: "Tehanu", tags: [], author: { id: 1 } },
    { id: 3, title: "Solaris", author: { id: 2 } },
  ]);
  equal(result.identifiers, [{ id: 2 }, { id: 3 }]);
});
part("reads and relations", async () => {
  const found = await authors().find({ relations: { books: true }, order: { id: "ASC", books: { id: "DESC" } } });
  equal(
    found.map((author) => [author.name, author.rating, author.born, author.books.map((book) => book.id)]),
    [
      ["Le Guin", "1.50", "1929-10-21", [2, 1]],
      ["Lem", "4.25", null, [3]],
    ],
  );
  const book = await books().findOneOrFail({
    where: { author: { name: "Le Guin" }, id: In([1, 3]) },
    relations: { author: true },
  });
  equal(
    [book.extra, book.tags, book.added.toISOString(), book.author.id],
    [{ pages: 341 }, ["a", 'q"'], "2020-02-29T12:00:00.000Z", 1],
  );
  equal(await books().countBy({ id: MoreThan(1) }), 2);
  const [page, total] = await authors().findAndCount({ relations: { books: true }, skip: 1, take: 1, order: { id: "ASC" } });
  equal([page.map((author) => author.books.length), total], [[1], 2]);
  equal([await authors().sum("rating"), await authors().exists({ where: { name: "Nobody" } })], [5.75, false]);
});
part("query builder", async () => {
  const rows = await books()
    .createQueryBuilder("b")
    .innerJoin("b.author", "a")
    .select("a.name", "name")
    .addSelect("COUNT(*)", "n")
    .where("b.id < :top", { top: 9 })
    .groupBy("a.name")
    .having("COUNT(*) > :least", { least: 0 })
    .orderBy("a.name")
    .getRawMany();
  equal(
    rows.map((row) => ({ ...row })),
    [
      { name: "Le Guin", n: "2" },
      { name: "Lem", n: "1" },
    ],
  );
  const updated = await authors()
    .createQueryBuilder()
    .update()
    .set({ rating: () => "rating + 1" })
    .where("id = :id", { id: 2 })
    .returning(["rating"])
    .execute();
  equal([updated.affected, updated.raw], [1, [{ rating: "5.25" }]]);
  await authors().upsert({ id: 2, name: "Stanisław Lem" }, ["id"]);
  equal((await authors().findOneBy({ id: 2 })).name, "Stanisław Lem");
  let streamed = 0;
  for await (const row of await books().createQueryBuilder("b").orderBy("b.id").stream()) streamed += row.b_id;
  equal(streamed, 6);
  equal(await source.query("SELECT $1::int + 1 AS n", [41]), [{ n: 42 }]);
});
part("generated keys, dates and versions", async () => {
  const notes = source.getRepository("Note");
  const [first, second] = await notes.save([{ text: "a" }, { text: "b" }]);
  equal([first.id, second.id, first.version, first.made instanceof Date], [1, 2, 1, true]);
  first.text = "changed";
  equal((await notes.save(first)).version, 2);
  equal((await notes.findOneBy({ text: "changed" })).id, 1);
});
part("transactions", async () => {
  await source
    .transaction(async (manager) => {
      await manager.delete("Book", { id: 3 });
      await manager
        .transaction(async (inner) => {
          await inner.clear("Book");
          throw new Error("inner");
        })
        .catch(() => {});
      equal(await manager.count("Book"), 2);
      throw new Error("outer");
    })
    .catch((error) => equal(error.message, "outer"));
  equal(await books().count(), 3);
  await source.transaction("SERIALIZABLE", async (manager) => equal(await manager.count("Author"), 2));
});
part("errors", async () => {
  await fails(authors().insert({ id: 1, name: "again" }), "23505");
  await fails(books().insert({ id: 9, title: "x", author: { id: 99 } }), "23503");
  await fails(source.query("SELECT * FROM to_none"), "42P01");
});
part("altering and dropping", async () => {
  const runner = source.createQueryRunner();
  await runner.createTable(new Table({ name: "to_more", columns: [{ name: "id", type: "int", isPrimary: true }] }));
  await runner.addColumn("to_more", new TableColumn({ name: "note", type: "text", isNullable: true }));
  await runner.renameColumn("to_more", "note", "remark");
  equal(
    (await runner.getTable("to_more")).columns.map((column) => column.name),
    ["id", "remark"],
  );
  await runner.dropTable("to_more");
  await runner.dropTable("to_notes");
  await runner.dropTable("to_books");
  await runner.dropTable("to_authors");
  await runner.release();
});

await run("typeorm", () => source.destroy());

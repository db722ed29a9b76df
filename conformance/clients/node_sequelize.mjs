// sequelize: sync, introspection through its query interface, model reads, includes, aggregates, transactions, bulk inserts.

import { connection, equal, fails, ok, part, require, run } from "./checking.mjs";

const { DataTypes, Op, QueryTypes, Sequelize } = require("sequelize");
const { user, password, database, ...rest } = connection;
const sequelize = new Sequelize(database, user, password, {
  ...rest,
  dialect: "postgres",
  logging: false,
  pool: { max: 4 },
});
const options = { timestamps: false };
const Author = sequelize.define(
  "seq_author",
  {
    id: { type: DataTypes.INTEGER, primaryKey: true },
    name: { type: DataTypes.STRING(60), allowNull: false },
    born: DataTypes.DATEONLY,
    rating: { type: DataTypes.DECIMAL(6, 2), defaultValue: 1.5 },
  },
  { ...options, tableName: "seq_authors" },
);
const Book = sequelize.define(
  "seq_book",
  {
    id: { type: DataTypes.INTEGER, primaryKey: true },
    title: { type: DataTypes.TEXT, unique: true },
    extra: DataTypes.JSONB,
    tags: DataTypes.ARRAY(DataTypes.TEXT),
    added: DataTypes.DATE,
    code: DataTypes.UUID,
  },
  { ...options, tableName: "seq_books" },
);
Author.hasMany(Book, { foreignKey: "authorId", as: "books" });
Book.belongsTo(Author, { foreignKey: "authorId", as: "author" });

part("authenticate and version", async () => {
  await sequelize.authenticate();
  ok(/^15\./.test(await sequelize.databaseVersion()));
});
part("sync creates tables", async () => {
  await Author.sync();
  await Book.sync();
  await Book.sync();
});
part("introspection", async () => {
  const queries = sequelize.getQueryInterface();
  const tables = (await queries.showAllTables()).map((table) => table.tableName ?? table);
  ok(tables.includes("seq_authors") && tables.includes("seq_books"), String(tables));
  const columns = await queries.describeTable("seq_authors");
  equal(
    [columns.id.type, columns.id.primaryKey, columns.name.type, columns.name.allowNull, columns.born.type],
    ["INTEGER", true, "CHARACTER VARYING(60)", false, "DATE"],
  );
  equal(
    (await queries.showIndex("seq_books"))
      .map((index) => [index.primary, index.unique, index.fields.map((field) => field.attribute)])
      .sort(),
    [
      [false, true, ["title"]],
      [true, true, ["id"]],
    ],
  );
  equal(
    (await queries.getForeignKeyReferencesForTable("seq_books")).map((key) => [
      key.columnName,
      key.referencedTableName,
      key.referencedColumnName,
    ]),
    [["authorId", "seq_authors", "id"]],
  );
  equal(await queries.tableExists("seq_none"), false);
});
part("creating and bulk inserts with RETURNING", async () => {
  const author = await Author.create({ id: 1, name: "Le Guin", born: "1929-10-21" });
  equal([author.rating, author.born], ["1.50", "1929-10-21"]);
  await Author.bulkCreate([
    { id: 2, name: "Lem", rating: 4.25 },
    { id: 3, name: "Nobody" },
  ]);
  const books = await Book.bulkCreate(
    [
      {
        id: 1,
        title: "The Dispossessed",
        extra: { pages: 341 },
        tags: ["a", 'q"'],
        added: new Date(Date.UTC(2020, 1, 29, 12)),
        authorId: 1,
      },
      { id: 2, title: "Tehanu", tags: [], code: "8f2a1f6e-1c1c-4d3e-9b6a-1f2e3d4c5b6a", authorId: 1 },
      { id: 3, title: "Solaris", extra: { pages: 204 }, authorId: 2 },
    ],
    { returning: true },
  );
  equal(
    books.map((book) => book.id),
    [1, 2, 3],
  );
  const book = await Book.findByPk(1);
  equal([book.extra, book.tags, book.added.toISOString()], [{ pages: 341 }, ["a", 'q"'], "2020-02-29T12:00:00.000Z"]);
});
part("reads, includes and aggregates", async () => {
  const authors = await Author.findAll({
    include: { model: Book, as: "books", required: true },
    order: [
      ["id", "ASC"],
      [{ model: Book, as: "books" }, "id", "DESC"],
    ],
  });
  equal(
    authors.map((author) => [author.name, author.books.map((book) => book.id)]),
    [
      ["Le Guin", [2, 1]],
      ["Lem", [3]],
    ],
  );
  const limited = await Author.findAll({ include: "books", limit: 2, offset: 1, order: ["id"] });
  equal(
    limited.map((author) => [author.id, author.books.length]),
    [
      [2, 1],
      [3, 0],
    ],
  );
  equal(
    (await Author.findAll({ include: { association: "books", separate: true, order: ["id"] }, order: ["id"] })).map(
      (author) => author.books.length,
    ),
    [2, 1, 0],
  );
  equal(await Book.count({ where: { title: { [Op.iLike]: "%e%", [Op.ne]: null } } }), 2);
  equal(await Book.count({ where: { "extra.pages": { [Op.gt]: 300 } } }), 1);
  equal(await Book.count({ where: { tags: { [Op.contains]: ["a"] } } }), 1);
  const { count, rows } = await Book.findAndCountAll({
    include: "author",
    where: { "$author.name$": "Le Guin" },
    limit: 1,
    order: [["id", "DESC"]],
  });
  equal([count, rows[0].author.name], [2, "Le Guin"]);
  equal(
    await Book.findAll({
      attributes: ["authorId", [sequelize.fn("COUNT", sequelize.col("id")), "n"]],
      group: ["authorId"],
      order: ["authorId"],
      raw: true,
    }),
    [
      { authorId: 1, n: "2" },
      { authorId: 2, n: "1" },
    ],
  );
  equal([await Author.max("rating"), await Author.sum("id")], [4.25, 6]);
  equal(await sequelize.query("SELECT :a::int + 1 AS n", { replacements: { a: 4 }, type: QueryTypes.SELECT }), [{ n: 5 }]);
  equal(await sequelize.query("SELECT $1::int * 2 AS n", { bind: [21], type: QueryTypes.SELECT }), [{ n: 42 }]);
});
part("updates and upserts", async () => {
  const [count, rows] = await Author.update({ rating: 5 }, { where: { id: 2 }, returning: true });
  equal([count, rows[0].rating], [1, "5.00"]);
  const [author, created] = await Author.findOrCreate({ where: { name: "Lem" }, defaults: { id: 9 } });
  equal([author.id, created], [2, false]);
  await Author.upsert({ id: 2, name: "Stanisław Lem" });
  await author.increment("rating", { by: 2 });
  equal([(await author.reload()).name, author.rating], ["Stanisław Lem", "7.00"]);
  equal(await Author.destroy({ where: { id: 3 } }), 1);
});
part("generated keys and timestamps", async () => {
  const Note = sequelize.define("seq_note", { text: DataTypes.STRING, rank: { type: DataTypes.INTEGER, defaultValue: 5 } });
  await Note.sync({ force: true });
  const note = await Note.create({ text: "a" });
  equal([note.id, note.rank, note.createdAt instanceof Date], [1, 5, true]);
  equal(
    (await Note.bulkCreate([{ text: "b" }, { text: "c" }], { returning: true })).map((row) => row.id),
    [2, 3],
  );
  await note.update({ text: "changed" });
  equal((await Note.findOne({ where: { text: "changed" } })).id, 1);
  ok((await sequelize.getQueryInterface().describeTable("seq_notes")).id.autoIncrement ?? true);
  await Note.truncate({ restartIdentity: true });
  equal((await Note.create({ text: "d" })).id, 1);
  await Note.drop();
});
part("transactions", async () => {
  await sequelize
    .transaction(async (transaction) => {
      equal(await Book.destroy({ where: { id: 3 }, transaction }), 1);
      await sequelize
        .transaction({ transaction }, async (inner) => {
          await Book.destroy({ where: {}, transaction: inner });
          throw new Error("inner");
        })
        .catch(() => {});
      equal(await Book.count({ transaction }), 2);
      throw new Error("outer");
    })
    .catch((error) => equal(error.message, "outer"));
  equal(await Book.count(), 3);
  await sequelize.transaction({ isolationLevel: "SERIALIZABLE" }, (transaction) =>
    Book.findOne({ where: { id: 1 }, lock: transaction.LOCK.UPDATE, transaction }),
  );
});
part("errors", async () => {
  const repeated = await Author.create({ id: 1, name: "again" }).then(
    () => null,
    (error) => error,
  );
  equal([repeated.name, repeated.fields, repeated.original.code], ["SequelizeUniqueConstraintError", { id: "1" }, "23505"]);
  const orphan = await Book.create({ id: 8, title: "x", authorId: 88 }).then(
    () => null,
    (error) => error,
  );
  equal([orphan.name, orphan.table], ["SequelizeForeignKeyConstraintError", "seq_books"]);
  await fails(sequelize.query("SELECT * FROM seq_none"), "42P01");
});
part("altering and dropping", async () => {
  const queries = sequelize.getQueryInterface();
  await queries.addColumn("seq_books", "pages", { type: DataTypes.INTEGER, defaultValue: 7 });
  equal((await Book.findOne({ where: { id: 1 }, attributes: ["pages"], raw: true })).pages, 7);
  await queries.removeColumn("seq_books", "pages");
  await Book.drop();
  await Author.drop();
});

await run("sequelize", () => sequelize.close());

// postgres (postgres.js): tagged templates, fragments, type fetch, arrays, cursors, transactions, COPY, listen, cancel.

import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { connection, equal, fails, ok, part, require, run } from "./checking.mjs";

const postgres = require("postgres");
const sql = postgres({ ...connection, max: 3, onnotice: () => {}, connection: { application_name: "postgres.js" } });

part("types in and out", async () => {
  const when = new Date(Date.UTC(2026, 2, 29, 1, 30, 5, 7));
  const [row] =
    await sql`SELECT ${1}::int AS i, ${"x"} AS t, ${true}::bool AS b, ${2.5}::float8 AS f, ${"12.340"}::numeric AS n,
    ${9007199254740993n}::int8 AS l, ${when}::timestamptz AS w, ${Buffer.from([0, 255])}::bytea AS y, ${null}::text AS nothing,
    ${sql.json({ a: [1, null] })}::jsonb AS j, date '2024-02-29' AS d`;
  equal(
    { ...row },
    {
      i: 1,
      t: "x",
      b: true,
      f: 2.5,
      n: "12.340",
      l: "9007199254740993",
      w: when,
      y: Buffer.from([0, 255]),
      nothing: null,
      j: { a: [1, null] },
      d: new Date(Date.UTC(2024, 1, 29)),
    },
  );
});
part("arrays by the types fetched from pg_type", async () => {
  const [row] = await sql`SELECT ${[1, 2, 3]}::int[] AS i, ${["a", 'q"', "{x}"]}::text[] AS t, ${[]}::int[] AS e,
    ARRAY['2024-01-02'::date] AS d, ARRAY[1.5, 2]::numeric[] AS n, ${sql.array([4, 5])} AS a`;
  equal([row.i, row.t, row.e, row.n, row.a], [[1, 2, 3], ["a", 'q"', "{x}"], [], ["1.5", "2"], ["4", "5"]]);
  equal(row.d[0].toISOString(), "2024-01-02T00:00:00.000Z");
  equal((await sql`SELECT count(*)::int AS n FROM generate_series(1, 9) AS g WHERE g = ANY(${[2, 4, 99]})`)[0].n, 2);
});
part("arrays of two dimensions", async () => {
  const square = [
    [1, 2],
    [3, 4],
  ];
  const [row] = await sql`SELECT ARRAY[[1, 2], [3, 4]] AS m, ${square}::int[] AS p`;
  equal([row.m, row.p], [square, square]);
});
part("inserting objects, dynamic columns and fragments", async () => {
  await sql`CREATE TABLE js_users (id int PRIMARY KEY, name text NOT NULL, age int, tags text[])`;
  const users = [
    { id: 1, name: "Ada", age: 36, tags: ["a"] },
    { id: 2, name: "Bo", age: null, tags: [] },
    { id: 3, name: "Cy", age: 20, tags: null },
  ];
  equal(
    (await sql`INSERT INTO js_users ${sql(users, "id", "name", "age", "tags")} RETURNING id, tags`).map((row) => ({
      ...row,
    })),
    users.map(({ id, tags }) => ({ id, tags })),
  );
  const older = (age) => sql`AND age > ${age}`;
  equal(
    (await sql`SELECT ${sql(["name", "age"])} FROM ${sql("js_users")} WHERE id IN ${sql([1, 2, 3])} ${older(25)}`).map(
      (row) => ({ ...row }),
    ),
    [{ name: "Ada", age: 36 }],
  );
  equal((await sql`UPDATE js_users SET ${sql({ name: "Bob", age: 4 }, "name", "age")} WHERE id = ${2}`).count, 1);
  equal((await sql`SELECT * FROM js_users ORDER BY id`.values())[1], [2, "Bob", 4, []]);
});
part("columns, describe, raw and simple", async () => {
  const result = await sql`SELECT id, name FROM js_users`;
  equal(
    result.columns.map(({ name, type }) => [name, type]),
    [
      ["id", 23],
      ["name", 25],
    ],
  );
  equal(result.command, "SELECT");
  const described = await sql`SELECT name FROM js_users WHERE id = ${1} AND age < ${9}`.describe();
  equal([described.types, described.columns.map(({ type }) => type)], [[23, 23], [25]]);
  equal((await sql`SELECT 1 AS a, 'x' AS b`.raw())[0].map(String), ["1", "x"]);
  equal(
    (await sql`SELECT 1 AS a; SELECT 2 AS b`.simple()).map((rows) => ({ ...rows[0] })),
    [{ a: 1 }, { b: 2 }],
  );
  equal((await sql.unsafe("SELECT $1::int + 1 AS n", [41]))[0].n, 42);
});
part("cursors and forEach", async () => {
  const sizes = [];
  await sql`SELECT * FROM generate_series(1, 250) AS g`.cursor(100, (rows) => {
    sizes.push(rows.length);
  });
  equal(sizes, [100, 100, 50]);
  let sum = 0;
  for await (const rows of sql`SELECT * FROM generate_series(1, 100000) AS g`.cursor(10)) {
    sum += rows.length;
    if (sum >= 30) break;
  }
  equal(sum, 30);
  let seen = 0;
  await sql`SELECT * FROM generate_series(1, 500) AS g`.forEach(() => {
    seen++;
  });
  equal(seen, 500);
});
part("transactions, savepoints, pipelining", async () => {
  await sql
    .begin(async (tx) => {
      await tx`DELETE FROM js_users WHERE id = 1`;
      await tx
        .savepoint(async (inner) => {
          await inner`DELETE FROM js_users`;
          throw new Error("back");
        })
        .catch(() => {});
      equal((await tx`SELECT count(*)::int AS n FROM js_users`)[0].n, 2);
      throw new Error("undo");
    })
    .catch((error) => equal(error.message, "undo"));
  equal((await sql`SELECT count(*)::int AS n FROM js_users`)[0].n, 3);
  const [[a], [b], [c]] = await sql.begin("READ ONLY", (tx) => [
    tx`SELECT 1 AS x`,
    tx`SELECT 2 AS x`,
    tx`SHOW transaction_read_only`,
  ]);
  equal([a.x, b.x, c.transaction_read_only], [1, 2, "on"]);
  const many = await Promise.all(Array.from({ length: 100 }, (_, n) => sql`SELECT ${n}::int AS n`));
  equal(
    many.map(([row]) => row.n),
    Array.from({ length: 100 }, (_, n) => n),
  );
});
part("errors", async () => {
  const error = await fails(sql`SELECT nothing FROM js_users`, "42703");
  equal([error.name, error.severity, error.position], ["PostgresError", "ERROR", "8"]);
  const violated = await fails(sql`INSERT INTO js_users (id, name) VALUES (1, 'x')`, "23505");
  equal(
    [violated.constraint_name, violated.table_name, violated.detail],
    ["js_users_pkey", "js_users", "Key (id)=(1) already exists."],
  );
  await fails(sql`SELECT ${"x"}::int`, "22P02");
  equal((await sql`SELECT 1 AS a`)[0].a, 1);
});
part("COPY by streams", async () => {
  const into = await sql`COPY js_users (id, name) FROM STDIN`.writable();
  await pipeline(Readable.from(["10\tten\n", "11\televen\n"]), into);
  const out = await sql`COPY (SELECT id, name FROM js_users WHERE id > 9 ORDER BY id) TO STDOUT`.readable();
  let text = "";
  for await (const chunk of out) text += chunk;
  equal(text, "10\tten\n11\televen\n");
});
part("listen and notify", async () => {
  const heard = new Promise((resolve) => {
    sql.listen("js_news", resolve).then(() => sql.notify("js_news", "hello"));
  });
  equal(await Promise.race([heard, sleep(5000)]), "hello");
});
part("cancel", async () => {
  const query = sql`SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b`;
  setTimeout(() => query.cancel(), 300);
  await fails(query, "57014");
  equal((await sql`SELECT 1 AS a`)[0].a, 1);
});
part("reserved connections and clean-up", async () => {
  const reserved = await sql.reserve();
  await reserved`SET application_name = 'reserved'`;
  equal((await reserved`SHOW application_name`)[0].application_name, "reserved");
  reserved.release();
  ok((await sql`DROP TABLE js_users`).command === "DROP TABLE");
});

await run("postgres", () => sql.end({ timeout: 2 }));

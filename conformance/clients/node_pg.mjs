// pg (node-postgres) with pg-cursor, pg-query-stream and pg-copy-streams: types, parameters, prepared names, pool, cancel.

import { pipeline } from "node:stream/promises";
import { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { connection, equal, fails, ok, part, require, run } from "./checking.mjs";

const pg = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");
const copyStreams = require("pg-copy-streams");
const pool = new pg.Pool({ ...connection, max: 4 });
pool.on("error", () => {});
const one = async (text, values) => Object.values((await pool.query(text, values)).rows[0])[0];

const VALUES = [
  ["bool", true, true],
  ["int2", -32768, -32768],
  ["int4", 2147483647, 2147483647],
  ["int8", "-9223372036854775808", "-9223372036854775808"],
  ["float4", 0.5, 0.5],
  ["float8", 1e-7, 1e-7],
  ["float8", Infinity, Infinity],
  ["numeric", "12345678901234567890.1230", "12345678901234567890.1230"],
  ["text", "Göteborg 気仙沼", "Göteborg 気仙沼"],
  ["varchar", "", ""],
  ["bytea", Buffer.from([0, 1, 92, 255]), Buffer.from([0, 1, 92, 255])],
  ["timestamptz", new Date(Date.UTC(2026, 2, 29, 1, 30, 5, 7)), new Date(Date.UTC(2026, 2, 29, 1, 30, 5, 7))],
  ["uuid", "8f2a1f6e-1c1c-4d3e-9b6a-1f2e3d4c5b6a", "8f2a1f6e-1c1c-4d3e-9b6a-1f2e3d4c5b6a"],
  ["json", { a: [1, null, "x"] }, { a: [1, null, "x"] }],
  ["jsonb", { b: { c: 1.5 } }, { b: { c: 1.5 } }],
  ["int4[]", [1, null, -3], [1, null, -3]],
  ["text[]", ["a", 'q"', null, "{x,y}", ""], ["a", 'q"', null, "{x,y}", ""]],
  ["bool[]", [true, false], [true, false]],
  ["text", null, null],
];

part("types through parameters and back", async () => {
  for (const [type, sent, wanted] of VALUES) {
    equal(await one(`SELECT $1::${type} AS v`, [sent]), wanted, type);
  }
});
part("arrays of two dimensions", async () => {
  const square = [
    [1, 2],
    [3, 4],
  ];
  equal(await one("SELECT $1::int[] AS v", [square]), square);
});
part("types of literals", async () => {
  const {
    rows: [row],
    fields,
  } = await pool.query(`SELECT date '2024-02-29' AS d, timestamp '2024-01-02 03:04:05.678' AS ts,
    interval '1 year 2 mons -3 days 04:05:06.789' AS i, 1.10::numeric(5,2) AS n, 'NaN'::float8 AS nan, NULL AS nothing`);
  equal([row.d.getDate(), row.d.getMonth(), row.ts.getMilliseconds()], [29, 1, 678]);
  equal({ ...row.i }, { years: 1, months: 2, days: -3, hours: 4, minutes: 5, seconds: 6, milliseconds: 789 });
  equal([row.n, row.nan, row.nothing], ["1.10", NaN, null]);
  equal(
    fields.map((field) => field.dataTypeID),
    [1082, 1114, 1186, 1700, 701, 25],
  );
});
part("binary results", async () => {
  const result = await pool.query({
    text: "SELECT $1::int4 AS i, $2::text AS t, $3::float8 AS f, $4::bool AS b, $5::int8 AS l",
    values: [7, "x", 2.5, true, 9],
    binary: true,
  });
  equal({ ...result.rows[0] }, { i: 7, t: "x", f: 2.5, b: true, l: "9" });
});
part("row mode array and duplicate names", async () => {
  const result = await pool.query({ text: "SELECT 1 AS a, 'x' AS a, now() IS NULL", rowMode: "array" });
  equal(result.rows, [[1, "x", false]]);
  equal(
    result.fields.map((field) => field.name),
    ["a", "a", "?column?"],
  );
});
part("several statements and commands' counts", async () => {
  const results = await pool.query("SELECT 1 AS a; SELECT 2 AS b; SET application_name = 'node'");
  equal(
    results.map((result) => result.command),
    ["SELECT", "SELECT", "SET"],
  );
  equal(results[1].rowCount, 1);
});
part("tables, RETURNING, transactions and savepoints", async () => {
  const client = await pool.connect();
  try {
    await client.query(
      `CREATE TABLE node_pg (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2), made timestamptz DEFAULT now(),
        tags text[])`,
    );
    const { rows } = await client.query(
      "INSERT INTO node_pg (id, name, price, tags) VALUES ($1, $2, $3, $4), ($5, $6, $7, $8) RETURNING id, made, tags",
      [1, "one", "1.50", ["a", "b"], 2, "two", 2, []],
    );
    equal(
      rows.map((row) => [row.id, row.made instanceof Date, row.tags]),
      [
        [1, true, ["a", "b"]],
        [2, true, []],
      ],
    );
    await client.query("BEGIN");
    equal(
      (await client.query("UPDATE node_pg SET price = price + $1 WHERE id = ANY($2) RETURNING price", [1, [1, 2]])).rows
        .map((row) => row.price)
        .sort(),
      ["2.50", "3.00"],
    );
    await client.query("SAVEPOINT s");
    await fails(client.query("INSERT INTO node_pg (id, name) VALUES (1, 'again')"), "23505");
    await fails(client.query("SELECT 1"), "25P02");
    await client.query("ROLLBACK TO SAVEPOINT s");
    equal((await client.query("DELETE FROM node_pg WHERE id = 2")).rowCount, 1);
    await client.query("ROLLBACK");
    equal((await client.query("SELECT id, price FROM node_pg ORDER BY id")).rows, [
      { id: 1, price: "1.50" },
      { id: 2, price: "2.00" },
    ]);
  } finally {
    client.release();
  }
});
part("prepared statements by name", async () => {
  const client = await pool.connect();
  try {
    for (const id of [1, 2, 1]) {
      const { rows } = await client.query({ name: "by-id", text: "SELECT name FROM node_pg WHERE id = $1", values: [id] });
      equal(rows, [{ name: id === 1 ? "one" : "two" }]);
    }
    await fails(client.query({ name: "wrong", text: "SELECT * FROM node_pg_none WHERE id = $1", values: [1] }), "42P01");
    equal((await client.query("SELECT count(*)::int AS n FROM pg_prepared_statements WHERE name = 'by-id'")).rows[0].n, 1);
  } finally {
    client.release();
  }
});
part("errors", async () => {
  const error = await fails(pool.query("SELECT nothing FROM node_pg"), "42703");
  equal([error.severity, error.position, error.message], ["ERROR", "8", 'column "nothing" does not exist']);
  await fails(pool.query("SELECT $1::int", ["x"]), "22P02");
  await fails(pool.query("SELECT 1 / $1::int", [0]), "22012");
  const violated = await fails(pool.query("INSERT INTO node_pg (id, name) VALUES (5, NULL)"), "23502");
  equal([violated.table, violated.column, violated.schema], ["node_pg", "name", "public"]);
  await fails(new pg.Client({ ...connection, database: "no_such_database" }).connect(), "3D000");
});
part("pg-cursor: batches, close, several at once", async () => {
  const client = await pool.connect();
  const cursor = client.query(new Cursor("SELECT g FROM generate_series(1, $1::int) AS g", [250]));
  equal((await cursor.read(100)).length, 100);
  equal((await cursor.read(100))[99], { g: 200 });
  equal((await cursor.read(100)).length, 50);
  equal((await cursor.read(100)).length, 0);
  await cursor.close();
  const half = client.query(new Cursor("SELECT g FROM generate_series(1, 1000000) AS g"));
  await half.read(10);
  await half.close();
  equal((await client.query("SELECT 1 AS a")).rows, [{ a: 1 }]);
  client.release();
});
part("pg-query-stream", async () => {
  const client = await pool.connect();
  let sum = 0;
  for await (const row of client.query(
    new QueryStream("SELECT g FROM generate_series(1, 5000) AS g", [], { batchSize: 64 }),
  ))
    sum += row.g;
  equal(sum, 12502500);
  client.release();
});
part("pg-copy-streams in and out", async () => {
  const client = await pool.connect();
  try {
    await client.query("CREATE TABLE node_copy (id int, note text)");
    const lines = Array.from({ length: 2000 }, (_, n) => `${n}\tnote ${n}\n`);
    const into = client.query(copyStreams.from("COPY node_copy FROM STDIN"));
    await pipeline(Readable.from(lines), into);
    equal(into.rowCount, 2000);
    const chunks = [];
    await pipeline(
      client.query(copyStreams.to("COPY (SELECT * FROM node_copy WHERE id < 3 ORDER BY id) TO STDOUT (FORMAT csv)")),
      new Writable({
        write(chunk, _, done) {
          chunks.push(chunk);
          done();
        },
      }),
    );
    equal(Buffer.concat(chunks).toString(), "0,note 0\n1,note 1\n2,note 2\n");
    await fails(pipeline(Readable.from(["x\ty\n"]), client.query(copyStreams.from("COPY node_copy FROM STDIN"))), "22P02");
    equal((await client.query("SELECT count(*)::int AS n FROM node_copy")).rows[0].n, 2000);
  } finally {
    client.release();
  }
});
part("LISTEN and NOTIFY between sessions", async () => {
  const [listener, sender] = [await pool.connect(), await pool.connect()];
  const heard = new Promise((resolve) => listener.once("notification", resolve));
  await listener.query('LISTEN "node news"');
  await sender.query("SELECT pg_notify('node news', $1)", ["hello"]);
  const { channel, payload, processId } = await heard;
  equal([channel, payload, processId], ["node news", "hello", sender.processID]);
  await listener.query("UNLISTEN *");
  listener.release();
  sender.release();
});
part("cancel and timeouts", async () => {
  const client = new pg.Client(connection);
  await client.connect();
  const query = new pg.Query("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b");
  const done = new Promise((resolve) => query.on("error", resolve).on("end", () => resolve(null)));
  client.query(query);
  await sleep(300);
  new pg.Client(connection).cancel(client, query);
  equal((await done)?.code, "57014");
  equal((await client.query("SELECT 1 AS a")).rows, [{ a: 1 }]);
  await client.end();
  const hasty = new pg.Client({ ...connection, statement_timeout: 200 });
  await hasty.connect();
  await fails(hasty.query("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"), "57014");
  await hasty.end();
});
part("the pool", async () => {
  const counts = await Promise.all(Array.from({ length: 30 }, (_, n) => one("SELECT $1::int * 2 AS n", [n])));
  equal(
    counts,
    Array.from({ length: 30 }, (_, n) => n * 2),
  );
  ok(pool.totalCount <= 4);
  await pool.query("DROP TABLE node_pg");
  await pool.query("DROP TABLE node_copy");
});

await run("pg", () => pool.end());

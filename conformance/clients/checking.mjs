// What the Node.js checks share: parts that run one after another, each reported by one line; one failure stops none.
// `require` finds packages through NODE_PATH, which `import` does not read.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

export const require = createRequire(import.meta.url);
export const connection = {
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT),
  user: process.env.PGUSER,
  password: process.env.PGPASSWORD,
  database: process.env.PGDATABASE,
};
const parts = [];

/** Adds a part: a name and an async function that throws if something does not hold. */
export function part(what, run) {
  parts.push([what, run]);
}

/** Values and types must be the same. */
export const equal = assert.deepStrictEqual;
export const ok = assert.ok;

/** The error of a promise that must fail with a SQLSTATE as the driver shows it. */
export async function fails(promise, code) {
  const error = await promise.then(
    () => null,
    (reason) => reason,
  );
  assert.ok(error, `no error, want SQLSTATE ${code}`);
  let shown = error;
  while (shown && shown.code === undefined) shown = shown.original ?? shown.driverError ?? shown.cause;
  assert.equal(shown?.code, code, error.message);
  return shown;
}

/** The version of an installed package. */
export function version(name) {
  return JSON.parse(readFileSync(join(process.env.NODE_PATH, name, "package.json"), "utf8")).version;
}

/** Runs a client's (an npm package's) parts, or those named by a word of the command line; exits with 1 after a failure. */
export async function run(client, close = async () => {}) {
  console.log(`version: ${version(client)}`);
  const words = process.argv.slice(2);
  let failed = false;
  for (const [what, run] of parts) {
    if (words.length && !words.some((word) => what.includes(word))) continue;
    try {
      await run();
      console.log(`ok ${what}`);
    } catch (error) {
      failed = true;
      const place = /\/([\w.]+:\d+):\d+\)?$/m.exec(
        (error.stack ?? "").replaceAll(/.*(node_modules|node:|checking\.mjs).*/g, ""),
      );
      console.log(
        `failed ${what}: ${String(error.message || error)
          .replaceAll(/\s+/g, " ")
          .slice(0, 600)} (${place?.[1] ?? "?"})`,
      );
      if (process.env.SHOAL_CLIENT_TRACE) console.log(error);
    }
  }
  await close().catch(() => {});
  process.exit(failed ? 1 : 0);
}

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { child, withFile } from "../../operations/backup/child";
import { DUMP, factsOf, MANIFEST } from "../../operations/backup/manifest";
import { adminSql, type DatabaseAt, insideDatabase } from "../../platform/box/database";

/** The database that attack dumps are made from, beside the one that serves. */
export const BAIT = "bait";

/** Room for an attack where a statement stood: the parts of a dump have fixed lengths. */
const ROOM = 2000;

/**
 * An empty database, with what these statements of a superuser make.
 * @param asked a question about it
 * @returns the answer, after what the statements said themselves
 */
export function makeBait(at: DatabaseAt, sql: string, asked = ""): Promise<string> {
  const empty = `DROP DATABASE IF EXISTS ${BAIT} WITH (FORCE); CREATE DATABASE ${BAIT} TEMPLATE template0;`;
  return adminSql(at, `${empty}\n\\connect ${BAIT}\n${sql};\n${asked}`);
}

/** Dumps the bait's database, as the superuser. */
export async function dumpBait(at: DatabaseAt, path: string, ...options: string[]): Promise<Buffer> {
  rmSync(path, { force: true });
  const script = `pg_dump -h /tmp -U postgres -Fc ${options.join(" ")} ${BAIT}`;
  const { code, stderr } = await withFile(path, "wx", (file) =>
    child(at.docker, insideDatabase(at, script), ["ignore", file, "pipe"]),
  );
  if (code !== 0) throw new Error(stderr);
  return readFileSync(path);
}

/** A dump as a backup from before signatures: whoever can write a folder can make one. */
export async function unsignedBackup(
  folder: string,
  stack: string,
  dump: Buffer,
  saltFingerprint: string,
): Promise<string> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const path = join(folder, DUMP);
  writeFileSync(path, dump);
  const manifest = {
    ...{ stack, madeAt: new Date().toISOString(), reason: "an attack", saltFingerprint },
    ...{ postgres: "17", tables: {}, ...(await factsOf(path)) },
  };
  writeFileSync(join(folder, MANIFEST), JSON.stringify(manifest));
  return folder;
}

/** A table whose statement in a dump {@link insteadOfTable} can replace. */
export const TABLE = `CREATE TABLE public.fine (n text DEFAULT '${"x".repeat(ROOM)}');`;

/** Puts other statements where a dump creates that table; its list goes on to call them a table. */
export function insteadOfTable(dump: Buffer, sql: string): Buffer {
  const begin = dump.indexOf("CREATE TABLE public.fine");
  const end = dump.indexOf(");\n", begin) + 3;
  if (begin < 0 || end - begin < ROOM) throw new Error("the dump holds no such table");
  const edited = Buffer.from(dump);
  edited.fill(" ", begin, end);
  if (edited.write(sql, begin) > end - begin) throw new Error("the attack is too long");
  return edited;
}

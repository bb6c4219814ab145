import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { readConnection } from "../../images/gateway/prisma/connection.js";
import { packageDir } from "../../platform/project";

const SCRIPT = join(packageDir, "assets/gateway/database.sh");

/** What LiteLLM gets to see: the URL, and the password beside it. */
function sourced(url: string, engine: string): { url: string; password: string } {
  const show = 'printf "%s\\n%s" "$DATABASE_URL" "$PGPASSWORD"';
  const { stdout, stderr, status } = spawnSync("sh", ["-c", `. ${SCRIPT}; ${show}`], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, DATABASE_URL: url, PRISMA_QUERY_ENGINE_BINARY: engine },
  });
  if (status !== 0) throw new Error(stderr);
  const [seen = "", ...rest] = stdout.split("\n");
  return { url: seen, password: rest.join("\n") };
}

const ours = "/app/prisma-engines/queryEngine.js";

test("with the recipe's engines no password is in the URL, and the engines connect as before", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: "grapheme-ascii" }),
      fc.constantFrom("", "?schema=own&sslmode=require", "?application_name=a%40b"),
      (password, query) => {
        const url = `postgresql://litellm:${encodeURIComponent(password).replaceAll("'", "%27")}@db.example:6432/keys${query}`;
        const seen = sourced(url, ours);
        expect(seen).toEqual({ url: `postgresql://litellm@db.example:6432/keys${query}`, password });
        const connection = (from: string, env = {}) => JSON.stringify(readConnection(from, { env }));
        expect(connection(seen.url, { PGPASSWORD: seen.password })).toBe(connection(url));
      },
    ),
    { numRuns: 25 },
  );
});

test("Prisma's native engines keep the URL as it is", () => {
  const url = "postgresql://litellm:p%40ss@db/keys";
  expect(sourced(url, "/app/.venv/bin/query-engine")).toEqual({ url, password: "" });
  expect(sourced(url, "")).toEqual({ url, password: "" });
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { readConnection } from "../../images/gateway/prisma/connection.js";
import { packageDir } from "../../platform/project";

const SCRIPT = readFileSync(join(packageDir, "assets/gateway/database.sh"), "utf8");

/** What LiteLLM gets to see: the URL, and the password beside it. */
function sourced(url: string, engine: string, folder = "/nowhere"): { url: string; password: string } {
  const show = 'printf "%s\\n%s" "$DATABASE_URL" "$PGPASSWORD"';
  const script = SCRIPT.replaceAll("/etc/gpubox", folder);
  const { stdout, stderr, status } = spawnSync("sh", ["-c", `${script}\n${show}`], {
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
    { numRuns: 12 },
  );
});

test("Prisma's native engines keep the URL as it is", () => {
  const url = "postgresql://litellm:p%40ss@db/keys";
  expect(sourced(url, "/app/.venv/bin/query-engine")).toEqual({ url, password: "" });
  expect(sourced(url, "")).toEqual({ url, password: "" });
});

const native = "/app/.venv/bin/query-engine";

describe("files of database.tls", () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "gpubox-database-"));
    writeFileSync(join(folder, "database-authority.pem"), "");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("go into the URL in each engine's words, and what the URL says itself stays", () => {
    const authority = `${folder}/database-authority.pem`;
    const seen = (query: string, engine: string) =>
      sourced(`postgresql://u@db/keys${query}`, engine, folder).url;
    expect(seen("", ours)).toBe(`postgresql://u@db/keys?sslmode=verify-full&sslrootcert=${authority}`);
    expect(seen("?sslmode=verify-ca", ours)).toBe(
      `postgresql://u@db/keys?sslmode=verify-ca&sslrootcert=${authority}`,
    );
    expect(seen("?schema=own&sslrootcert=/a.pem", ours)).toBe(
      "postgresql://u@db/keys?schema=own&sslrootcert=/a.pem&sslmode=verify-full",
    );
    expect(seen("", native)).toBe(
      `postgresql://u@db/keys?sslmode=require&sslaccept=strict&sslcert=${authority}`,
    );
  });

  test("show the client's certificate; Prisma's native engines cannot", () => {
    writeFileSync(join(folder, "database-certificate.pem"), "");
    writeFileSync(join(folder, "database-key.pem"), "");
    expect(sourced("postgresql://u@db/keys", ours, folder).url).toMatch(
      /sslmode=verify-full&sslrootcert=\S+&sslcert=\S+-certificate\.pem&sslkey=\S+-key\.pem$/,
    );
    expect(() => sourced("postgresql://u@db/keys", native, folder)).toThrow(
      "gpubox:database.tls.certificate: The official image cannot show a client's certificate. Take the image of the recipe.",
    );
  });
});

import { execFileSync, spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate, scratch } from "../support/allocate";
import { makeAuthority, makeCertificate } from "../support/certificates";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const NAME = `gpubox-${allocate("prismaEngines").stack}`;
const MINUTE = 60_000;
/** What needs care in a URL and in a shell. */
const PASSWORD = "p%w d/1'x";
const SCHEMA = "/app/.venv/lib/python3.13/site-packages/litellm/proxy/schema.prisma";

/** What a case has done to Postgres. On SIGTERM it lets nobody in, and ends with its last session. */
const DO = { close: ["kill", "--signal", "TERM"], stop: ["stop"], start: ["start"] };

const report = z.union([
  z.object({ do: z.enum(["close", "stop", "start"]) }),
  z.object({ case: z.string(), failed: z.string().nullable(), seconds: z.number() }),
]);

const SETTINGS = `listen_addresses = '*'
unix_socket_directories = '/tmp'
fsync = off
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
ssl_ca_file = 'ca.pem'
`;

/** The authentication of a Postgres that one role may enter with a certificate only, and one over TLS only. */
const HBA = `local all all trust
hostssl all certified all cert
hostnossl all tlsonly all reject
host all all all scram-sha-256
`;

/**
 * The gateway image's engines for LiteLLM's database, against the real client and a real Postgres. A container runs the cases of
 * `test/support/prisma`, and here they are only listed: one session, because every start of an engine takes a while.
 */
needs(
  "docker",
  "openssl",
  "the image gpubox/gateway",
  "the image gpubox/database",
)("Prisma's engines", () => {
  const gateway = recipeReference(packageDir, "gateway");
  const database = recipeReference(packageDir, "database");
  const cases = join(packageDir, "test", "support", "prisma");
  const hardened = [
    ...[
      "--user",
      "65534:65534",
      "--read-only",
      "--cap-drop",
      "ALL",
      "--security-opt",
      "no-new-privileges:true",
    ],
    ...["--pids-limit", "2048", "--tmpfs", "/tmp:rw,nosuid,size=512m,mode=1777", "--env", "HOME=/tmp"],
  ];
  const results = new Map<string, string | null>();
  let log = "";
  let tls: string;

  const asAdmin = (...sql: string[]) =>
    output("docker", [
      ...["exec", `${NAME}-database`, "psql", "-h", "/tmp", "-U", "postgres", "-qtA"],
      ...sql.flatMap((one) => ["-c", one]),
    ]);
  const ready = () =>
    until("Postgres is ready", async () => {
      const asked = await run("docker", ["exec", `${NAME}-database`, "pg_isready", "-qh", "/tmp"]);
      return asked.code === 0;
    });

  function makeCertificates(): string {
    const authority = makeAuthority();
    const server = makeCertificate({ names: ["database"], by: authority });
    const client = makeCertificate({ names: ["certified"], by: authority });
    const folder = scratch("prisma-tls");
    const files = {
      ...{ "ca.pem": authority.certificate, "wrong.pem": makeAuthority("Another").certificate },
      ...{ "server.pem": server.certificate, "server.key": server.key, "pg_hba.conf": HBA },
      "postgresql.conf": SETTINGS,
      ...{ "client.pem": client.certificate, "client.key": client.key },
    };
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(folder, name), text, { mode: 0o644 });
    const pair = [
      "-in",
      join(folder, "client.pem"),
      "-inkey",
      join(folder, "client.key"),
      "-passout",
      "pass:p12",
    ];
    execFileSync("openssl", ["pkcs12", "-export", ...pair, "-out", join(folder, "client.p12")]);
    execFileSync("chmod", ["-R", "a+rX", folder]);
    return folder;
  }

  async function startDatabase(): Promise<void> {
    const script = `umask 077; cd /var/lib/postgresql/data
[ -s PG_VERSION ] || { initdb -U postgres -D . >/dev/null; cat /tls/postgresql.conf >>postgresql.conf; }
cp /tls/server.* /tls/ca.pem /tls/pg_hba.conf .
exec postgres -D .`;
    const aliases = ["--network-alias", "database", "--network-alias", "other"];
    await output("docker", [
      ...[
        "run",
        "-d",
        "--name",
        `${NAME}-database`,
        "--network",
        NAME,
        ...aliases,
        "--volume",
        `${tls}:/tls:ro`,
      ],
      ...["--volume", "/var/lib/postgresql/data", "--entrypoint", "sh", database, "-c", script],
    ]);
    await ready();
    const quoted = PASSWORD.replaceAll("'", "''");
    await asAdmin(
      `alter role postgres password '${quoted}'`,
      ...["litellm", "tlsonly", "certified"].map((role) => `create role ${role} login password '${quoted}'`),
      "create database litellm owner litellm",
    );
  }

  /** LiteLLM's tables, by the schema engine itself. */
  const push = () => {
    const url = `postgresql://litellm:${encodeURIComponent(PASSWORD)}@database:5432/litellm`;
    return output("docker", [
      ...["run", "--rm", "--network", NAME, ...hardened, "--env", `DATABASE_URL=${url}`],
      ...["--workdir", "/tmp", "--entrypoint", "/app/prisma-engines/node_modules/.bin/prisma", gateway],
      ...["db", "push", "--skip-generate", "--schema", SCHEMA],
    ]);
  };

  /** Runs all cases, and does for them what cannot be done from within. */
  function runCases(): Promise<void> {
    const program = "import asyncio, cases, queries, failures, tls; asyncio.run(cases.main([]))";
    const child = spawn("docker", [
      ...["run", "--rm", "--interactive", "--name", `${NAME}-gateway`, "--network", NAME, ...hardened],
      ...["--env", "DATABASE_HOST=database", "--env", `DATABASE_PASSWORD=${PASSWORD}`],
      ...["--env", "PYTHONDONTWRITEBYTECODE=1", "--env", "PYTHONPATH=/cases"],
      ...["--volume", `${cases}:/cases:ro`, "--volume", `${tls}:/tls:ro`],
      ...["--entrypoint", "python3", gateway, "-c", program],
    ]);
    child.stderr.on("data", (chunk) => {
      log += chunk;
    });
    createInterface({ input: child.stdout }).on("line", async (line) => {
      const parsed = line.startsWith("{") ? report.safeParse(JSON.parse(line)) : undefined;
      if (!parsed?.success) {
        log += `${line}\n`;
      } else if ("do" in parsed.data) {
        await output("docker", [...DO[parsed.data.do], `${NAME}-database`]);
        if (parsed.data.do === "start") await ready();
        child.stdin.write("\n");
      } else {
        results.set(parsed.data.case, parsed.data.failed);
      }
    });
    return new Promise((resolve) => child.on("close", () => resolve()));
  }

  beforeAll(async () => {
    tls = makeCertificates();
    await output("docker", ["network", "create", NAME]);
    await startDatabase();
    expect(await push()).toContain("Your database is now in sync with your Prisma schema");
    await runCases();
  }, 6 * MINUTE);

  afterAll(async () => {
    await run("docker", ["rm", "-fv", `${NAME}-gateway`, `${NAME}-database`]);
    await run("docker", ["network", "rm", NAME]);
    if (tls) rmSync(tls, { recursive: true, force: true });
  });

  test.each([
    "numbers text and lists keep their values",
    "times of every offset are one moment",
    "sql reads times with an offset right whatever the servers zone is",
    "json of every kind is stored as what it is",
    "json is filtered by its parts inside of other filters",
    "bytes and enums come back",
    "rows are changed counted and deleted",
    "pages orders groups and sums",
    "relations are made read and filtered",
    "sql takes parameters and gives every type",
    "a hundred queries at once are answered each by its own",
    "a large value passes",
    "refusals of the database have prismas codes",
    "refusals of sql carry the databases code",
    "transactions are kept whole or dropped whole",
    "a batch is kept whole or dropped whole",
    "locks and deadlocks end with a code",
    "the pool has as many connections as it may and tells who waits too long",
    "a query without an answer ends after the sockets time",
    "a killed engine fails queries until the client connects again",
    "an engine ends with the process that started it",
    "nothing that is seen from outside holds the password",
    "connections that the database closes are replaced",
    "a database that lets nobody in any more cannot be reached",
    "what is no fault of a row cannot be reached",
    "an engine that is told to stop answers what is open",
    "a database that is away is told and its return is noticed",
    "a session is encrypted as the mode says",
    "the servers certificate is checked as far as the mode says",
    "a client shows its certificate",
    "the schema engine speaks tls too",
    "a server without tls is spoken to in plain text only where that is allowed",
  ])("%s", (name) => {
    const result = results.get(name.replaceAll(" ", "_"));
    if (result === undefined) throw new Error(`It did not run. The container said:\n${log}`);
    if (result !== null) throw new Error(result);
  });

  test("the types of LiteLLM's tables load when somebody asks for one, not at a start", async () => {
    const script = `import sys, prisma
loaded = lambda: "prisma.schema_types" in sys.modules
print(loaded())
from prisma.types import LiteLLM_BudgetTableWhereInput
print(loaded(), LiteLLM_BudgetTableWhereInput.__total__)`;
    const args = ["run", "--rm", ...hardened, "--entrypoint", "python3", gateway, "-c", script];
    expect(await output("docker", args)).toBe("False\nTrue False");
  });

  test("every case is listed here, and no log holds the password", () => {
    expect(results.size).toBe(32);
    for (const written of [PASSWORD, encodeURIComponent(PASSWORD)]) expect(log).not.toContain(written);
  });
});

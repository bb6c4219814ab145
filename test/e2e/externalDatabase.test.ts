import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate, scratch } from "../support/allocate";
import { containersOf, editStack } from "../support/box";
import { makeAuthority, makeCertificate } from "../support/certificates";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("elsewhere");
const POSTGRES = `gpubox-${STACK}-elsewhere`;
const HOST = "db.example";
/** What needs care in a URL. */
const PASSWORD = "p%w d/1'x";

/** URLs by the secret that holds them: the user, the database's name, how its certificate is checked. */
const url = (user: string, more: string) =>
  `postgresql://${user}:${encodeURIComponent(PASSWORD)}@${HOST}:5432/keys?${more}`;
/** The gateway's image trusts what its host trusts, and no authority of this test. */
const URLS = {
  verifiedUrl: url("owner", "sslmode=verify-full"),
  readerUrl: url("reader", "sslmode=require"),
  strangerUrl: url("stranger", "sslmode=require"),
  awayUrl: `postgresql://owner@away.example:5432/keys`,
};

needs(
  "docker",
  "pulumi",
  "openssl",
)("a database that runs elsewhere", () => {
  let project: TestProject;
  let tls: string;

  const up = () => gpubox(project, "up", "--yes");
  const use = (secret: keyof typeof URLS) =>
    editStack(project, (config: Record<string, { url: unknown }>) => {
      config["gpubox:database"]!.url = { secret };
    });
  const asAdmin = (sql: string, database = "postgres") =>
    output("docker", ["exec", POSTGRES, "psql", "-h", "/tmp", "-U", "postgres", "-qtAc", sql, database]);

  /** Another host's Postgres, which speaks TLS only. It stands on the network that the box's gateways leave by. */
  async function startPostgres(): Promise<void> {
    const authority = makeAuthority();
    const server = makeCertificate({ names: [HOST], by: authority });
    writeFileSync(join(tls, "server.pem"), server.certificate);
    writeFileSync(join(tls, "server.key"), server.key);
    execFileSync("chmod", ["-R", "a+rX", tls]);
    const script = `umask 077; cd /var/lib/postgresql/data
initdb -U postgres -D . >/dev/null
cp /tls/server.* .
printf '%s\\n' "listen_addresses = '*'" "unix_socket_directories = '/tmp'" "fsync = off" "ssl = on" \
  "ssl_cert_file = 'server.pem'" "ssl_key_file = 'server.key'" >>postgresql.conf
printf '%s\\n' 'local all all trust' 'hostssl all all all scram-sha-256' >pg_hba.conf
exec postgres -D .`;
    await output("docker", [
      ...["run", "-d", "--name", POSTGRES, "--network", `gpubox-${STACK}-edge`, "--network-alias", HOST],
      ...[
        "--volume",
        `${tls}:/tls:ro`,
        "--entrypoint",
        "sh",
        recipeReference(packageDir, "database"),
        "-c",
        script,
      ],
    ]);
    await until("Postgres is ready", async () => {
      const asked = await run("docker", ["exec", POSTGRES, "pg_isready", "-qh", "/tmp"]);
      return asked.code === 0;
    });
    const quoted = PASSWORD.replaceAll("'", "''");
    for (const role of ["owner", "reader"]) await asAdmin(`create role ${role} login password '${quoted}'`);
    await asAdmin("create database keys owner owner");
  }

  beforeAll(() => {
    tls = scratch("elsewhere-tls");
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 10 },
      cache: { mode: "none" },
      database: { mode: "external", url: { secret: "awayUrl" } },
    });
    mkdirSync(join(project.dir, ".gpubox"), { mode: 0o700, recursive: true });
    const secrets = join(project.dir, ".gpubox", `secrets.${STACK}.json`);
    writeFileSync(secrets, JSON.stringify(URLS), { mode: 0o600 });
  });
  afterAll(async () => {
    await run("docker", ["rm", "-fv", POSTGRES]);
    removeProject(project);
    rmSync(tls, { recursive: true, force: true });
  });

  /** What `up` says where it fails; never a password. */
  async function refused(): Promise<string> {
    const { code, stdout, stderr } = await up();
    expect(code).not.toBe(0);
    const said = stdout + stderr;
    expect(said).toContain("The migration of the database failed, so the new gateway does not start");
    for (const written of [PASSWORD, encodeURIComponent(PASSWORD)]) expect(said).not.toContain(written);
    expect(Object.keys(await containersOf(STACK))).not.toContain("gateway");
    return said;
  }

  test(
    "that does not answer fails `up` with its path and a fix, before a gateway is made",
    async () => {
      expect(await refused()).toContain(
        "gpubox:database.url: The database at away.example:5432 does not answer. Start it, and let this host's containers reach it.",
      );
    },
    10 * MINUTE,
  );

  test.each([
    [
      "whose certificate is not trusted",
      "verifiedUrl",
      "shows no certificate that the URL accepts. Correct sslmode",
    ],
    ["that does not know the user", "strangerUrl", "does not let the URL's user in. Correct the user"],
    ["where the user may make no tables", "readerUrl", 'GRANT CREATE ON SCHEMA public TO "reader".'],
  ] as const)(
    "%s fails it too",
    async (_, secret, words) => {
      if (secret === "verifiedUrl") await startPostgres();
      use(secret);
      const said = await refused();
      expect(said).toContain("gpubox:database.url: ");
      expect(said).toContain(words);
      expect(await asAdmin("select count(*) from pg_class where relname like 'LiteLLM%'", "keys")).toBe("0");
    },
    5 * MINUTE,
  );
});

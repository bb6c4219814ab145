import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate, scratch } from "../support/allocate";
import { complete, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { hasOpenssl, makeAuthority, makeCertificate } from "../support/certificates";
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
  `postgresql://${user}:${encodeURIComponent(PASSWORD)}@${HOST}:5432/${more}`;
/** The gateway's image trusts what its host trusts, and no authority of this test. */
const URLS = {
  verifiedUrl: url("owner", "keys?sslmode=verify-full"),
  readerUrl: url("reader", "keys?sslmode=require"),
  strangerUrl: url("stranger", "keys?sslmode=require"),
  awayUrl: `postgresql://owner@away.example:5432/keys`,
  certifiedUrl: url("owner", "certified"),
};
const AUTHORITY = hasOpenssl ? makeAuthority() : { certificate: "", key: "" };
/** Postgres lets nobody into the database `certified` without a certificate in the user's name. */
const CLIENT = hasOpenssl ? makeCertificate({ names: ["owner"], by: AUTHORITY }) : AUTHORITY;
const PEM = { dbAuthority: AUTHORITY.certificate, dbCertificate: CLIENT.certificate, dbKey: CLIENT.key };
/** Connections of a gateway. */
const POOL = 3;
const CALLS = 24;
const ANSWER = "pong from the gpubox test model";

needs(
  "docker",
  "pulumi",
  "openssl",
)("a database that runs elsewhere", () => {
  let project: TestProject;
  let tls: string;

  const up = (...more: string[]) => gpubox(project, "up", "--yes", ...more);
  const use = (secret: keyof typeof URLS) =>
    editStack(project, (config: Record<string, { url: unknown }>) => {
      config["gpubox:database"]!.url = { secret };
    });
  const asAdmin = (sql: string, database = "postgres") =>
    output("docker", ["exec", POSTGRES, "psql", "-h", "/tmp", "-U", "postgres", "-qtAc", sql, database]);

  /** Another host's Postgres, which speaks TLS only. It stands on the network that the box's gateways leave by. */
  async function startPostgres(): Promise<void> {
    const server = makeCertificate({ names: [HOST], by: AUTHORITY });
    writeFileSync(join(tls, "server.pem"), server.certificate);
    writeFileSync(join(tls, "server.key"), server.key);
    writeFileSync(join(tls, "ca.pem"), AUTHORITY.certificate);
    execFileSync("chmod", ["-R", "a+rX", tls]);
    const script = `umask 077; cd /var/lib/postgresql/data
initdb -U postgres -D . >/dev/null
cp /tls/server.* /tls/ca.pem .
printf '%s\\n' "listen_addresses = '*'" "unix_socket_directories = '/tmp'" "fsync = off" "ssl = on" \
  "ssl_cert_file = 'server.pem'" "ssl_key_file = 'server.key'" "ssl_ca_file = 'ca.pem'" >>postgresql.conf
printf '%s\\n' 'local all all trust' 'hostssl certified all all scram-sha-256 clientcert=verify-full' \
  'hostssl all all all scram-sha-256' >pg_hba.conf
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
    for (const name of ["keys", "certified"]) await asAdmin(`create database ${name} owner owner`);
  }

  beforeAll(() => {
    tls = scratch("elsewhere-tls");
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 10 },
      cache: { mode: "none" },
      database: { mode: "external", url: { secret: "awayUrl" } },
    });
    giveSecrets(URLS);
  });
  afterAll(async () => {
    await run("docker", ["rm", "-fv", POSTGRES]);
    removeProject(project);
    rmSync(tls, { recursive: true, force: true });
  });

  /** For the next `up`, which takes them over. */
  function giveSecrets(values: Record<string, string>): void {
    mkdirSync(join(project.dir, ".gpubox"), { mode: 0o700, recursive: true });
    const file = join(project.dir, ".gpubox", `secrets.${STACK}.json`);
    writeFileSync(file, JSON.stringify(values), { mode: 0o600 });
  }

  /** What `up` says where it fails; never a password. */
  async function refused(...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await up(...more);
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

  test(
    "carries a whole box over TLS, with the client's certificate, the password and the pool's limit: keys, spend, `down`",
    async () => {
      const secret = (name: string) => ({ secret: name });
      use("certifiedUrl");
      giveSecrets(PEM);
      editStack(project, (config: Record<string, Record<string, unknown>>) => {
        const tls = {
          authority: secret("dbAuthority"),
          certificate: secret("dbCertificate"),
          key: secret("dbKey"),
        };
        Object.assign(config["gpubox:database"]!, { tls });
        const general = { database_connection_pool_limit: POOL };
        Object.assign(config["gpubox:gateway"]!, { settings: { general } });
        config["gpubox:access"] = { keys: { alice: { key: secret("aliceKey") } } };
      });
      // Two generations side by side, and who migrates.
      await asAdmin(`alter role owner connection limit ${2 * POOL + 1}`);
      const done = await up();
      expect(done.code === 0 ? "" : done.stdout + done.stderr).toBe("");
      expect(done.stdout).toContain("/health/readiness   healthy, db: connected\n");
      expect(done.stdout).toContain("ok    a virtual key   made, asked tiny, $0.00 spent, deleted\n");

      const key = (
        await inShell(project, exportsIn(done.stdout), `pulumi config get gpubox:aliceKey --stack ${STACK}`)
      ).stdout.trim();
      const seen: number[] = [];
      const certificates = new Set<string>();
      const ask = () => complete(project.endpoint, key, "tiny");
      let asking = true;
      const watch = (async () => {
        while (asking) {
          const of = "select s.client_dn from pg_stat_activity a join pg_stat_ssl s using (pid)";
          const rows = (await asAdmin(`${of} where a.usename = 'owner'`)).split("\n").filter(Boolean);
          seen.push(rows.length);
          for (const row of rows) certificates.add(row);
        }
      })();
      const answers = await Promise.all(Array.from({ length: CALLS }, ask));
      asking = false;
      await watch;
      expect(new Set(answers)).toEqual(new Set([ANSWER]));
      expect([...certificates]).toEqual(["/CN=owner"]);
      expect(Math.max(...seen)).toBeLessThanOrEqual(POOL);
      const logged = `select count(*) from "LiteLLM_SpendLogs" l join "LiteLLM_VerificationToken" k
        on k.token = l.api_key where k.key_alias = 'alice'`;
      await until("each call is in the log", async () => (await asAdmin(logged, "certified")) === `${CALLS}`);

      // It is in the box's network in this test only, and no network goes before its last member.
      await output("docker", ["network", "disconnect", `gpubox-${STACK}-edge`, POSTGRES]);
      const down = await gpubox(project, "down", "--yes");
      expect(down.code === 0 ? "" : down.stdout + down.stderr).toBe("");
      expect(await containersOf(STACK)).toEqual({});
      expect(await asAdmin(logged, "certified")).toBe(`${CALLS}`);
    },
    15 * MINUTE,
  );

  test(
    "is refused to another salt key, also of another box, before a gateway is made",
    async () => {
      editStack(project, (config: Record<string, unknown>) => {
        delete config["gpubox:saltKey"];
        delete config["gpubox:saltFingerprint"];
      });
      // The network that `down` removed is there again after the first.
      expect(await refused("--take-over")).toContain("does not answer");
      await output("docker", ["network", "connect", "--alias", HOST, `gpubox-${STACK}-edge`, POSTGRES]);
      expect(await refused()).toContain(
        `gpubox:saltKey: The database at ${HOST}:5432 was encrypted with another salt key. Set that one (docs/state.md).`,
      );
    },
    5 * MINUTE,
  );
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../platform/project";
import { ClusterBox, figures, lostNothing } from "../load/clusterBox";
import { complete } from "../support/box";
import { MACHINES } from "../support/clusterMachines";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
const IMAGES = ["gateway", "edge", "cache", "database"].map((role) => `the image gpubox/${role}`);
const ASKED = 30;

needs(
  ...MACHINES,
  ...IMAGES,
  "jq",
  "curl",
)("a box on two nodes that run, with a database", () => {
  let box: ClusterBox;

  beforeAll(async () => {
    const sections = { cache: { mode: "bundled" }, database: { mode: "bundled" }, backup: {} };
    box = await ClusterBox.open("data", sections, {});
  }, 20 * MINUTE);
  afterAll(() => box?.close(), 2 * MINUTE);

  const ready = async (role: string) => (await box.pods(role)).filter((pod) => pod.ready && !pod.terminating);
  const nodeOf = async (role: string) => (await box.pods(role))[0]!.node!;

  /** Drains a node under load, and lets it be used again. Says what was ready at least meanwhile, and what was lost. */
  async function drain(node: string, key = box.key) {
    const load = await box.load({ key });
    const least = { gateway: 2, edge: 2 };
    const begin = Date.now();
    let result: Awaited<ReturnType<ClusterBox["shell"]>> | undefined;
    void box
      .shell(`kubectl drain ${node} --ignore-daemonsets --delete-emptydir-data --timeout 9m`)
      .then((ended) => {
        result = ended;
      });
    const look = async () => {
      for (const role of ["gateway", "edge"] as const)
        least[role] = Math.min(least[role], (await ready(role)).length);
      return result;
    };
    const { code, stderr } = await until(`${node} is drained`, look, { seconds: 600, everyMs: 500 });
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
    const seconds = Math.round((Date.now() - begin) / 1000);
    for (const role of ["gateway", "edge"])
      await until(
        `two of ${role} are ready elsewhere`,
        async () => {
          const pods = await ready(role);
          return pods.length === 2 && pods.every((pod) => pod.node !== node);
        },
        { seconds: 300, everyMs: 1000 },
      );
    const tally = await load.stop();
    await box.must(`kubectl uncordon ${node}`);
    return { least, seconds, tally };
  }

  test(
    "a node without the database is drained under load: one gateway and one edge serve at least, and no request is lost",
    async () => {
      const node = (await nodeOf("database")) === "n1" ? "n2" : "n1";
      const { least, seconds, tally } = await drain(node);
      figures("drain a node without the database", tally, { seconds });
      expect(least).toEqual({ gateway: 1, edge: 1 });
      expect(tally).toMatchObject(lostNothing);
    },
    20 * MINUTE,
  );

  test(
    "a node with the database is drained under load: its volume goes along, and no request is lost",
    async () => {
      const node = await nodeOf("database");
      const rows = await checksums();
      const { least, seconds, tally } = await drain(node, await virtualKey());
      figures("drain a node with the database", tally, { seconds });
      expect(await nodeOf("database")).not.toBe(node);
      expect(least).toEqual({ gateway: 1, edge: 1 });
      expect(tally).toMatchObject(lostNothing);
      expect(Object.keys(await checksums())).toEqual(Object.keys(rows));
    },
    20 * MINUTE,
  );

  test(
    "a backup that is made by hand brings back every row after the tables are gone",
    async () => {
      const key = await virtualKey();
      for (let turn = 0; turn < ASKED; turn++)
        expect(await complete(box.endpoint, key, "echo")).toContain("pong");
      const spent = async () => Number(await sql('SELECT count(*) FROM "LiteLLM_SpendLogs"')) >= ASKED;
      await until("every request is in the spend log", spent, { seconds: 180, everyMs: 1000 });
      // Nothing writes from here on, as docs/kubernetes.md wants it of a restore.
      await box.must("kubectl scale deployment/gateway --replicas 0");
      await until("no gateway is left", async () => (await box.pods("gateway")).length === 0, {
        seconds: 300,
        everyMs: 1000,
      });
      const before = await checksums();
      const rows = Object.values(before).reduce((sum, words) => sum + Number(words.split(" ")[0]), 0);
      console.info(JSON.stringify({ scene: "backup and restore", tables: Object.keys(before).length, rows }));
      await box.must("kubectl create job by-hand --from cronjob/backup");
      await box.must("kubectl wait --for=condition=complete job/by-hand --timeout 5m", 6);
      expect(await box.must("kubectl logs job/by-hand")).toMatch(
        /^backed up as \/backups\/\w+-scheduled\.dump/,
      );

      await sql('DROP TABLE "LiteLLM_VerificationToken" CASCADE; TRUNCATE "LiteLLM_SpendLogs"');
      for (const line of restoreCommands()) await box.must(line);
      expect(await checksums()).toEqual(before);
      await box.rolled("gateway");
      expect(await complete(box.endpoint, key, "echo")).toContain("pong");
    },
    20 * MINUTE,
  );

  /** A key that the gateway made, asked for on the admin port as a person does. */
  async function virtualKey(): Promise<string> {
    const url = "http://127.0.0.1:$port/key/generate";
    const script = `
kubectl port-forward service/edge-admin :4001 >forward.log 2>&1 & forward=$!
trap 'kill $forward' EXIT
until port=$(sed -n 's/^Forwarding from 127.0.0.1:\\([0-9]*\\).*/\\1/p' forward.log) && [ -n "$port" ]; do sleep 0.2; done
curl -sS --fail-with-body --config - --json '{"models":["echo"]}' "${url}"`;
    const made = await box.must(script, 2, `header = "Authorization: Bearer ${box.key}"\n`);
    return (JSON.parse(made) as { key: string }).key;
  }

  function sql(query: string): Promise<string> {
    const psql =
      "PATH=$PATH:$(echo /usr/lib/postgresql/*/bin) PGPASSWORD=$(cat /etc/gpubox/password) psql -h 127.0.0.1 -U litellm -d litellm -Atq";
    return box.must(`kubectl exec --stdin statefulset/database -- sh -c '${psql}'`, 2, query);
  }

  /** Tables to how many rows they have, and to a hash of all of them. */
  async function checksums(): Promise<Record<string, string>> {
    const tables = await sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
    const one = (table: string) =>
      `SELECT '${table} ' || count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM "${table}" t;`;
    const lines = (await sql(tables.split("\n").map(one).join("\n"))).split("\n");
    return Object.fromEntries(lines.map((line) => line.split(/ (.*)/s) as [string, string]));
  }
});

/** The commands of docs/kubernetes.md under "Restore", with this box's namespace. */
function restoreCommands(): string[] {
  const page = readFileSync(join(packageDir, "docs/kubernetes.md"), "utf8");
  const [, block = ""] = /## Restore\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(page) ?? [];
  const commands = block.replaceAll("kubectl -n gpubox-lab", "kubectl").replaceAll(/\|\n\s*/g, "| ");
  return commands.trim().split("\n");
}

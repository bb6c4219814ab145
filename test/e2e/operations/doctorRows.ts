import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { output, run } from "../../../platform/process";
import { scratch } from "../../support/allocate";
import type { TestProject } from "../../support/project";
import { until, Ward } from "./lab";

const MINUTE = 60_000;

export type Sections = Record<string, Record<string, unknown>>;

/** What the tests of operations share. */
export interface Operations {
  project: TestProject;
  ward: Ward;
  /** When the box was about to come up. */
  began: string;
  /** `npm run NAME … --json`. */
  // biome-ignore lint/suspicious/noExplicitAny: each verb has a result of its own
  verb: (name: string, ...args: string[]) => Promise<{ code: number; result: any }>;
  edit: (change: (config: Sections) => void) => void;
}

const now = () => new Date().toISOString();

function equals(found: string[], expected: unknown[]): boolean {
  try {
    expect(found).toEqual(expected);
    return true;
  } catch {
    return false;
  }
}

/** Causes each row on a real box, and asks the doctor. The box is in ruins afterwards. */
export function doctorRows(operations: () => Operations): void {
  test(
    "each wrong request of a client has its row",
    async () => {
      const { ward } = operations();
      const since = now();
      const wrong = { authorization: "Bearer sk-PLANTED-by-a-client" };
      const statuses = [
        await ward.chat("tinny", "x"),
        await ward.ask("/v1/models?key=sk-PLANTED-in-a-query", { headers: wrong }),
        await ward.ask("/key/list"),
        await ward.ask("/v1/models", { headers: { host: "elsewhere" } }),
        await ward.ask("/v1/../models"),
        await ward.chat("far", "x"),
      ];
      expect(statuses).toEqual([400, 401, 404, 421, 400, 500]);
      const found = await ward.findings(since, { clientKey: "sk-wrong", clientModel: "smal" });
      // The slow client of another test may be given up just now.
      expect(found.filter((one) => !one.startsWith("slow-client"))).toEqual([
        "key: The box does not accept the client's key.",
        'unknown-model: A client asks for the model "tinny", which the stack config does not declare.',
        'unknown-model: A client asks for the model "smal", which the stack config does not declare.',
        "wrong-key: The edge answered 1 request with 401, the last for GET /v1/models.",
        "admin-route: The edge answered 1 request with 404, the last for GET /key/list.",
        "host-name: The edge answered 1 request with 421, the last for GET /v1/models.",
        "odd-path: The edge answered 1 request with 400, the last for GET /v1/../models.",
        expect.stringMatching(/^failed: 1 of the last \d+ requests failed \(500\), the last POST/),
      ]);
    },
    2 * MINUTE,
  );

  test("no log holds a secret, nor a key that a client sent", async () => {
    const { ward, project } = operations();
    const names = (
      await ward.docker(
        "ps",
        "-a",
        "--format",
        "{{.Names}}",
        "--filter",
        `label=gpubox.stack=${project.stack}`,
      )
    ).split("\n");
    const logs = await Promise.all(names.map((name) => run("docker", ["logs", name])));
    const text = logs.map(({ stdout, stderr }) => stdout + stderr).join("\n");
    expect(text).toContain("POST /v1/chat/completions");
    for (const secret of [...Object.values(ward.secrets), "PLANTED"])
      expect(text.includes(secret)).toBe(false);
  });

  test(
    "a paused server, its queue and a draining gateway have their rows",
    async () => {
      const { ward, project } = operations();
      await ward.docker("pause", ward.name("backend-tiny"));
      const slot = (state: string) =>
        ward.docker(
          "exec",
          ward.name("edge"),
          "bash",
          "-c",
          `source /etc/gpubox/control.sh; ask "@1 set server gateways/s1 state ${state}"`,
        );
      const waiting = [1, 2, 3].map((n) => ward.chat("tiny", `queued ${n}`));
      const expected = [
        "model: Model tiny: its server is paused.",
        "slow: Requests queue: tiny has 3 and handles 1 at a time.",
        expect.stringMatching(
          new RegExp(
            `^draining: gpubox-${project.stack}-gateway-\\w+ drains: it has 3 requests to finish\\.$`,
          ),
        ),
      ];
      await until("all of them wait", async () =>
        (await ward.findings(now())).some((one) => one.includes("tiny has 3")),
      );
      await slot("drain");
      expect(await ward.findings(now())).toEqual(expect.arrayContaining(expected));
      await slot("ready");
      await ward.docker("unpause", ward.name("backend-tiny"));
      expect(await Promise.all(waiting)).toEqual([200, 200, 200]);
    },
    4 * MINUTE,
  );

  test(
    "a stopped Redis, a killed server and a lost network have their rows",
    async () => {
      const { ward, verb } = operations();
      await ward.docker("stop", ward.name("cache"));
      await ward.docker("start", ward.name("backend-greedy"));
      await ward.docker("network", "disconnect", ward.name("models"), ward.name("valve-greedy"));
      await ward.docker("network", "disconnect", ward.name("backends"), ward.name("backend-tiny"));
      const expected = [
        expect.stringMatching(/^model: Model greedy: its server (was killed|ends again and again)/),
        "redis: Redis was stopped (status 0).",
        expect.stringMatching(
          /^reach: Model greedy: the gateway cannot reach valve-greedy:\d+: (nobody knows|nothing)/,
        ),
        "reach: Model tiny: its server is well, but its valve cannot reach backend-tiny.",
      ];
      await until("the doctor sees all of it, and nothing of the test before", async () =>
        equals(await ward.findings(now()), expected),
      );
      const { code, result } = await verb("doctor", "--since", "1s");
      expect([code, result.well]).toEqual([1, false]);
      const redis = result.rows.find(({ row }: { row: string }) => row === "redis");
      expect(redis).toMatchObject({
        state: "wrong",
        findings: [{ fix: expect.stringContaining(`gpubox up --stack ${ward.project.stack}`) }],
      });

      // Its fix for the networks, typed as it stands.
      for (const { findings } of result.rows.filter(({ row }: { row: string }) => row === "reach"))
        for (const { fix } of findings)
          await output("bash", ["-c", /`(docker network connect [^`]+)`/.exec(fix)![1]!]);
      const greedy = ward.name("backend-greedy");
      await ward.docker("update", "--memory", "1g", "--memory-swap", "1g", greedy);
      await ward.docker("restart", greedy);
      await ward.docker("start", ward.name("cache"));
      await until("the model answers again", async () => (await ward.chat("tiny", "again")) === 200);
      await until("the box is well", async () => (await ward.findings(now())).length === 0);
    },
    4 * MINUTE,
  );

  test(
    "shortages of the host, a full container and a client that is too slow have their rows",
    async () => {
      const { ward, project, began, edit } = operations();
      const bin = scratch("bin");
      const path = process.env.PATH;
      const standIn = (name: string, text: string) => {
        writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
        chmodSync(join(bin, name), 0o755);
      };
      standIn(
        "df",
        "echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo '/dev/x 9 9 2097152 99% /'",
      );
      // An L4, though the config says twice as much.
      standIn(
        "nvidia-smi",
        `case "$*" in -L) echo 'GPU 0: NVIDIA L4 (UUID: GPU-aaaa)' ;; *) echo '0, GPU-aaaa, 23034' ;; esac`,
      );
      const before = readFileSync(join(project.dir, `Pulumi.${project.stack}.yaml`), "utf8");
      edit((config) => {
        const id = { memoryGiB: 48 };
        config["gpubox:host"]!.gpus = [
          { id: 0, ...id },
          { id: "GPU-bbbb", ...id },
        ];
      });
      const limit = async (mib: number) => {
        const words = ["--memory", `${mib}m`, "--memory-swap", `${mib}m`];
        await ward.docker("update", ...words, ward.name("valve-tiny"));
      };
      process.env.PATH = `${bin}:${path}`;
      try {
        await until("the edge gave the slow client up", async () =>
          (await ward.findings(began)).some((one) => one.startsWith("slow-client")),
        );
        // So much that the rest is more than a health check needs.
        await limit(256);
        const fill = "for dir in /tmp /dev/shm; do head -c 60M /dev/zero > $dir/fill; done";
        await ward.docker("exec", ward.name("valve-tiny"), "sh", "-c", fill);
        const usage = await ward.docker(
          "stats",
          "--no-stream",
          "--format",
          "{{.MemUsage}}",
          ward.name("valve-tiny"),
        );
        await limit(Math.ceil(Number.parseFloat(usage) / 0.92));
        const found = await ward.findings(now());
        expect(found).toHaveLength(4);
        expect(found).toEqual(
          expect.arrayContaining([
            expect.stringMatching(/^disk: Only 2\.0 GiB are free for /),
            `gpu: GPU 0 has 23034 MiB, and Pulumi.${project.stack}.yaml declares 49152 MiB: models are planned onto memory that is not there.`,
            `gpu: The host has no GPU GPU-bbbb, which Pulumi.${project.stack}.yaml declares.`,
            expect.stringMatching(
              new RegExp(`^memory: gpubox-${project.stack}-valve-tiny uses 9\\d % of its memory limit\\.$`),
            ),
          ]),
        );
        standIn(
          "nvidia-smi",
          "echo 'Failed to initialize NVML: Driver/library version mismatch' >&2; exit 18",
        );
        expect(await ward.findings(now())).toContainEqual(
          expect.stringMatching(/^gpu: The NVIDIA driver .* version mismatch/),
        );
      } finally {
        process.env.PATH = path;
        writeFileSync(join(project.dir, `Pulumi.${project.stack}.yaml`), before);
        rmSync(bin, { recursive: true });
        await limit(256);
        await ward.docker("exec", ward.name("valve-tiny"), "rm", "-f", "/tmp/fill", "/dev/shm/fill");
        await limit(128);
      }
    },
    3 * MINUTE,
  );

  test(
    "a changed key, an occupied port, and a box in ruins have their rows",
    async () => {
      const { ward, project, verb, edit } = operations();
      const port = Number(new URL(project.endpoint).port);
      const changed = new Ward(project, { ...ward.secrets, masterKey: "sk-another-0123456789abcdef" });
      expect(await changed.findings(now())).toEqual([
        "key: The box does not accept the master key of the stack config, which changed since the last `up`.",
        expect.stringMatching(/^changed: The config plans the gateway \w+, but \w+ serves\.$/),
      ]);

      await ward.docker("stop", ward.name("edge"));
      const squatter = createServer().listen(port, "127.0.0.1");
      await new Promise((resolve) => squatter.once("listening", resolve));
      expect(await ward.findings(now())).toEqual([
        "edge: The edge was stopped (status 0).",
        expect.stringMatching(new RegExp(`^port: Port ${port} on 127\\.0\\.0\\.1 is held by the process`)),
      ]);
      squatter.close();
      await ward.docker("start", ward.name("edge"));

      const containers = (
        await ward.docker("ps", "-aq", "--filter", `label=gpubox.stack=${project.stack}`)
      ).split("\n");
      await ward.docker(
        "kill",
        ...(await ward.docker("ps", "-q", "--filter", `label=gpubox.stack=${project.stack}`)).split("\n"),
      );
      await ward.docker("network", "rm", ward.name("data"));
      expect(await ward.findings(now())).toEqual(
        expect.arrayContaining([
          "gateway: The gateway was killed by hand (status 137, and not for its memory), and Docker leaves it down.",
          `network: The network ${ward.name("data")} is missing.`,
        ]),
      );

      await ward.docker("rm", "-f", ...containers);
      expect(await ward.findings(now())).toEqual([
        `box: The stack ${ward.project.stack} has no container here.`,
      ]);

      edit((config) => {
        config["gpubox:host"]!.docker = "unix:///nowhere.sock";
      });
      expect(await ward.findings(now())).toEqual([
        expect.stringMatching(/^docker: The Docker engine at unix:\/\/\/nowhere\.sock does not answer: /),
      ]);
      edit((config) => {
        config["gpubox:gateway"]!.prot = 4000;
      });
      const { code, result } = await verb("doctor");
      expect([
        code,
        result.rows.map(({ row, state }: { row: string; state: string }) => [row, state]),
      ]).toEqual([1, [["config", "wrong"]]]);
    },
    4 * MINUTE,
  );
}

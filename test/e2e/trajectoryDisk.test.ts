import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { checkLogs } from "../../operations/trajectory/check";
import type { LogReport } from "../../operations/trajectory/reconcile";
import { output, run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { containersOf, editStack, exportsIn, inShell, masterKeyOf } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("trajdisk");
const PATHS = ["/v1/chat/completions", "/v1/messages"] as const;
/** The disk of the log: room for thousands of requests, and soon filled. */
const DISK_MIB = 4;
const NO_ROOM = "No space left on device";
/** Requests after which what is left of a file's last page is used up. */
const ENOUGH = 12;

type Checked = LogReport & { code: number };

needs("docker", "pulumi")("a gateway whose log is on a disk that fills up", () => {
  let project: TestProject;
  let logs: string;
  let key: string;
  let exports: string[];

  /** Sends a request; the status, and what the client is told. */
  async function ask(path: string): Promise<{ status: number; text: string; retryAfter: string | null }> {
    const messages = [{ role: "user", content: "ping" }];
    const answer = await fetch(`${project.endpoint}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "tiny", max_tokens: 32, messages }),
    });
    const { status, headers } = answer;
    return { status, text: await answer.text(), retryAfter: headers.get("retry-after") };
  }

  async function askMany(count: number) {
    const answers = [];
    for (let i = 0; i < count; i++) answers.push(await ask(PATHS[i % PATHS.length]!));
    return answers;
  }

  async function check(): Promise<Checked> {
    const { code, stdout, stderr } = await gpubox(project, "trajectory", "check", "--json");
    // 2 where something is missing; anything else is no report.
    if (code !== 0 && code !== 2) throw new Error(stderr);
    return { ...(JSON.parse(stdout) as LogReport), code };
  }

  /** Waits without the program, which would take a second of CPU for each look. */
  async function checkUntil(fits: (report: LogReport) => boolean): Promise<LogReport> {
    return until(
      `${fits}`,
      async () => {
        const report = await checkLogs([logs]);
        return fits(report) && report;
      },
      { seconds: 600, everyMs: 250 },
    );
  }

  const filler = () => join(logs, "filler");
  function fill(): void {
    const { stderr } = spawnSync("dd", ["if=/dev/zero", `of=${filler()}`, "bs=4k"], { encoding: "utf8" });
    expect(stderr).toContain(NO_ROOM);
    expect(statfsSync(logs).bavail).toBe(0);
  }
  const makeRoom = () => rmSync(filler());

  const gatewayLog = async () => {
    const { gateway } = await containersOf(STACK);
    return (await run("docker", ["logs", gateway!])).stderr;
  };

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 30, trajectories: { onLogFailure: "continue" } },
      cache: { mode: "none" },
      database: { mode: "none" },
    });
    logs = join(project.dataDir, "trajectories");
    mkdirSync(logs, { recursive: true });
    await output("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m,mode=0750`, "tmpfs", logs]);
    const up = await gpubox(project, "up", "--yes");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    exports = exportsIn(up.stdout);
    key = await masterKeyOf(project, exports);
  }, 15 * MINUTE);
  afterAll(async () => {
    // The mount is in the way of whoever removes the folder, and containers in the way of the mount.
    const ids = await output("docker", ["ps", "-aq", "--filter", `label=gpubox.stack=${STACK}`]);
    if (ids) await output("docker", ["rm", "--force", ...ids.split("\n")]);
    await run("umount", [logs]);
    removeProject(project);
  }, 2 * MINUTE);

  test(
    "continues with `continue`, says so, and writes everything once there is room",
    async () => {
      await askMany(4);
      await checkUntil(({ open, missing }) => open === 0 && missing.length === 0);
      const before = await check();
      expect(before).toMatchObject({ complete: true, code: 0 });
      fill();
      const answers = await askMany(ENOUGH);
      expect(answers.map(({ status }) => status)).toEqual(Array(ENOUGH).fill(200));

      // What is not on the disk is named while the disk is full.
      const full = await check();
      expect([full.complete, full.code]).toEqual([false, 2]);
      expect(full.missing.length).toBeGreaterThan(0);
      expect(full.missing.filter(({ why }) => !why.includes(`to now: ${NO_ROOM}`))).toEqual([]);
      expect(await gatewayLog()).toContain("the log cannot be written");

      makeRoom();
      await checkUntil(({ missing }) => missing.length === 0);
      const after = await check();
      expect(after).toMatchObject({ complete: true, code: 0, refused: 0 });
      expect(after.requests).toBe(before.requests + ENOUGH);
      expect(await gatewayLog()).toContain("the log is written again; 0 requests were refused, 0 lines lost");
    },
    5 * MINUTE,
  );

  test(
    "names each request that is lost when it is killed on the full disk",
    async () => {
      const before = await checkLogs([logs]);
      fill();
      expect((await askMany(ENOUGH)).map(({ status }) => status)).toEqual(Array(ENOUGH).fill(200));
      // A line is written after the answer, in its own time.
      const held = await checkUntil(({ open }) => open === 0);
      const { gateway } = await containersOf(STACK);
      await output("docker", ["kill", "--signal", "KILL", gateway!]);
      const lost = await check();
      // Neither more nor less than what was not on the disk.
      expect(lost.missing.map(({ id }) => id).sort()).toEqual(held.missing.map(({ id }) => id).sort());
      expect(lost.missing.filter(({ why }) => !why.endsWith(NO_ROOM))).toEqual([]);
      const named = new Set(lost.missing.map(({ id }) => id));
      expect(named.size).toBe(lost.missing.length);
      const written = Object.values(lost.outcomes).reduce((sum, count) => sum + count, 0);
      expect(written + named.size).toBe(before.requests + ENOUGH);
      expect([lost.complete, lost.code]).toEqual([false, 2]);
      makeRoom();
      await output("docker", ["start", gateway!]);
      const again = await checkUntil(({ missing }) => missing.every(({ why }) => !why.includes("to now")));
      expect(again.missing.map(({ id }) => id).sort()).toEqual([...named].sort());
    },
    5 * MINUTE,
  );

  test(
    "accepts no request with `refuse` until there is room, and says why in both protocols",
    async () => {
      editStack(project, (config) => {
        Object.assign(config["gpubox:gateway"]!, { trajectories: { onLogFailure: "refuse" } });
      });
      const up = await inShell(project, exports, `pulumi up --yes --skip-preview --stack ${STACK}`);
      expect([up.code, up.stderr]).toEqual([0, ""]);
      const before = await checkUntil(({ open }) => open === 0);
      fill();
      const answers = await askMany(ENOUGH);
      const first = answers.findIndex(({ status }) => status === 503);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(answers.slice(0, first).map(({ status }) => status)).toEqual(Array(first).fill(200));
      const refused = answers.slice(first);
      expect(refused.map(({ status, retryAfter }) => [status, retryAfter])).toEqual(
        Array(ENOUGH - first).fill([503, "5"]),
      );
      const message = `The trajectory log cannot be written (${NO_ROOM}), and this gateway takes no request without it.`;
      const words = refused.map(({ text }) => JSON.parse(text));
      expect(words.filter(({ error }) => error.message !== message)).toEqual([]);
      expect(new Set(words.map(({ type }) => type))).toEqual(new Set([undefined, "error"]));

      makeRoom();
      const after = await checkUntil(
        ({ open, missing }) => open === 0 && missing.length === before.missing.length,
      );
      expect(after.refused - before.refused).toBe(ENOUGH - first);
      // Of the requests that were taken none is missing.
      expect(after.requests).toBe(before.requests + first);
      expect((await askMany(2)).map(({ status }) => status)).toEqual([200, 200]);
    },
    10 * MINUTE,
  );

  test(
    "with `refuse` is not replaced by one that cannot begin its log",
    async () => {
      const before = await containersOf(STACK);
      fill();
      editStack(project, (config) => {
        Object.assign(config["gpubox:gateway"]!, {
          trajectories: { onLogFailure: "refuse", rotateMiB: 2 },
        });
      });
      const up = await gpubox(project, "up", "--yes");
      expect(up.code).toBe(1);
      makeRoom();
      const { gateway } = before;
      const { stdout } = await run("docker", ["inspect", "--format", "{{.State.Running}}", gateway!]);
      expect(stdout.trim()).toBe("true");
      await until("it answers again", async () => (await ask(PATHS[0])).status === 200, { seconds: 300 });
    },
    10 * MINUTE,
  );
});

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readJobKey } from "../../../operations/jobs";
import type { TrajectoryLine } from "../../../operations/trajectory/line";
import { linesOf } from "../../../operations/trajectory/readLines";
import { output, run } from "../../../platform/process";
import { complete, modelsAt } from "../../support/box";
import { talk } from "../../support/jobs";
import { ASK, type JobsBox, logsOf, PONG } from "./box";

const MINUTE = 60_000;

/** Jobs of a harness, while they run. */
export function runningStories(box: JobsBox): void {
  test(
    "can be declared in code by harnesses, several runs at once, each in its own folder",
    async () => {
      const code = `
        const { listJobs, startJob } = require("gpubox/jobs");
        const job = { upstream: { baseUrl: "${box.server}", model: "echo", apiKey: "dummy-cf" }, key: "dummy-key-cf" };
        const options = { stack: "${box.stack}", artifacts: "runs" };
        const started = Promise.all([
          startJob({ ...options, job: { ...job, port: ${box.port + 9} }, as: "remote", port: ${box.port + 10} }),
          startJob({ ...options, job: "local" }),
        ]);
        started
          .then(async (runs) => {
            const states = (await listJobs(options)).map(({ job, state }) => job + " " + state);
            console.log(JSON.stringify({ states, ends: runs.map(({ endpoint }) => endpoint) }));
          });`;
      writeFileSync(join(box.project.dir, "harness.cjs"), code);
      const {
        code: status,
        stdout,
        stderr,
      } = await run(process.execPath, ["harness.cjs"], {
        cwd: box.project.dir,
        env: box.project.env,
      });
      expect([status, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toEqual({
        states: ["local running", "remote running"],
        ends: [`http://127.0.0.1:${box.port + 10}`, `http://127.0.0.1:${box.port + 11}`],
      });
      expect(readdirSync(join(box.project.dir, "runs")).sort()).toEqual(["local", "remote"]);
    },
    3 * MINUTE,
  );

  test(
    "each serve one model on both protocols, under a key of their own, on loopback",
    async () => {
      const [far, near] = [box.remote(), box.local()];
      const [told, pongs] = await Promise.all([talk(far, ASK), talk(near, "ping")]);
      expect(told).toEqual(Array(4).fill("one:0 one:1 "));
      expect(pongs).toEqual(Array(4).fill(PONG));
      expect(await complete(box.project.endpoint, box.key, "tiny")).toBe(PONG);
      expect([await modelsAt(far.endpoint, far.key), await modelsAt(near.endpoint, near.key)]).toEqual([
        ["echo"],
        ["policy"],
      ]);
      expect(far.key).toBe("dummy-key-cf");
      // A key of another gateway opens nothing.
      for (const key of [far.key, box.key])
        expect(await complete(near.endpoint, key, "policy")).toMatch(/^401 /);
      const bound = await output("docker", ["port", `gpubox-${box.stack}-job-remote-edge`]);
      expect(await output("docker", ["port", `gpubox-${box.stack}-job-remote`])).toBe("");
      expect(bound).toBe(`4000/tcp -> 127.0.0.1:${box.port + 10}`);
    },
    5 * MINUTE,
  );

  test(
    "each have a complete log, without a line of another job or of the box's gateway",
    async () => {
      const models = async (folder: string) => {
        const lines: TrajectoryLine[] = await linesOf([folder], {}, 1000);
        return [...new Set(lines.map((line) => `${line.job} ${line.model}`))];
      };
      for (const [name, model] of [
        ["remote", "echo"],
        ["local", "policy"],
      ] as const) {
        expect(await box.checked(logsOf(box.runOf(name)))).toMatchObject({
          complete: true,
          missing: [],
          uncounted: [],
        });
        expect(await models(logsOf(box.runOf(name)))).toContain(`${name} ${model}`);
        expect(
          (await models(logsOf(box.runOf(name)))).filter((said) => !said.startsWith(`${name} `)),
        ).toEqual([]);
      }
      const own = join(box.project.dataDir, "trajectories");
      expect(await box.checked(own)).toMatchObject({ complete: true });
      expect((await models(own)).filter((said) => !/^null (tiny|sleeper|pair)$/.test(said))).toEqual([]);
    },
    2 * MINUTE,
  );

  test("keep their files in a folder that only their owner can read, and no key in Docker", async () => {
    const folder = box.runOf("local");
    for (const file of readdirSync(folder).filter((name) => !["log", "edge"].includes(name)))
      expect([file, (statSync(join(folder, file)).mode & 0o777).toString(8)]).toEqual([file, "600"]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const seen = await output("docker", ["inspect", `gpubox-${box.stack}-job-local`]);
    expect(seen).not.toContain(readJobKey(box.runOf("local")));
    const config = readFileSync(join(folder, "litellm_config_eval.yaml"), "utf8");
    expect(config).not.toContain(readJobKey(box.runOf("local")));
    expect(readFileSync(join(folder, "litellm.env"), "utf8")).toContain(
      "LITELLM_STICKY_ROUTING_ALIASES=''\n",
    );
  });

  test("are listed with their state, memory and folders", async () => {
    const listed = JSON.parse((await box.job("list", "--json")).stdout) as Record<string, unknown>[];
    expect(listed).toEqual([
      expect.objectContaining({ job: "local", state: "running", memoryMiB: expect.any(Number) }),
      expect.objectContaining({ job: "remote", state: "running", memoryMiB: expect.any(Number) }),
    ]);
    const shown = JSON.parse((await box.job("show", "remote", "--json")).stdout);
    expect(shown.record).toMatchObject({
      endpoint: `http://127.0.0.1:${box.port + 10}`,
      upstream: `echo at ${box.server}`,
    });
  });
}

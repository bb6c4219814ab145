import { readdirSync } from "node:fs";
import { stopJob } from "../../../operations/jobs";
import { linesOf } from "../../../operations/trajectory/readLines";
import { output, run } from "../../../platform/process";
import { recipeReference } from "../../../platform/stack/recipes";
import { editStack, exportsIn, inShell, modelsAt } from "../../support/box";
import { longStream, startTimes, talk } from "../../support/jobs";
import { gpubox, programOf } from "../../support/project";
import { until } from "../../support/wait";
import { ASK, type JobsBox, logsOf, PONG } from "./box";

const MINUTE = 60_000;

/** What the box does beside its jobs, and how one ends. */
export function changeStories(box: JobsBox): void {
  test(
    "stay as they are through an `up` that changes models, and still answer",
    async () => {
      const jobsOf = async () =>
        Object.entries(await startTimes(box.stack)).filter(([name]) => name.includes("-job-"));
      const before = await jobsOf();
      expect(before.length).toBe(4);
      const [serving] = (
        await output("docker", [
          ...["ps", "--quiet", "--filter", `label=gpubox.stack=${box.stack}`],
          ...["--filter", "label=gpubox.role=gateway"],
        ])
      ).split("\n");
      editStack(box.project, (config) => {
        (config["gpubox:models"] as unknown as Record<string, Record<string, unknown>>).tiny!.aliases = [
          "smallest",
        ];
      });
      const up = await gpubox(box.project, "up", "--yes");
      expect([up.code, up.stderr]).toEqual([0, ""]);
      // The box did change.
      expect((await run("docker", ["inspect", serving!])).code).not.toBe(0);
      expect(await jobsOf()).toEqual(before);
      expect(await talk(box.local(), "ping")).toEqual(Array(4).fill(PONG));
      expect(await talk(box.remote(), ASK)).toEqual(Array(4).fill("one:0 one:1 "));
      const drift = await inShell(
        box.project,
        exportsIn(up.stdout),
        `pulumi preview --stack ${box.stack} --expect-no-changes`,
      );
      expect(drift.code).toBe(0);
    },
    10 * MINUTE,
  );

  test(
    "are kept by gc and waited for by down",
    async () => {
      const down = await gpubox(box.project, "down");
      expect([down.code, down.stderr]).toEqual([
        1,
        expect.stringContaining(`Jobs of the stack ${box.stack} still use it: local, remote.`),
      ]);
      const before = await startTimes(box.stack);
      const found = JSON.parse(
        (await run(process.execPath, programOf(box.project, ["gc", "--json"]))).stdout,
      );
      expect(JSON.stringify(found)).not.toContain(recipeReference(box.project.dir, "gateway"));
      expect(await startTimes(box.stack)).toEqual(before);
    },
    2 * MINUTE,
  );

  test(
    "finish a stream when they are stopped, log it, and touch nothing else",
    async () => {
      const { rest } = await longStream(box.remote(), 8);
      const before = await startTimes(box.stack);
      const { code, stderr } = await box.job("stop", "remote");
      expect([code, stderr]).toEqual([0, ""]);
      const text = await rest;
      expect([text.includes("long:79 "), text.trimEnd().endsWith("data: [DONE]")]).toEqual([true, true]);
      expect(await box.checked(logsOf(box.runOf("remote")))).toMatchObject({ complete: true, missing: [] });
      const lines = await linesOf([logsOf(box.runOf("remote"))], {}, 1);
      expect([lines[0]!.outcome, lines[0]!.stream]).toEqual(["ok", true]);
      await box.onlyEnded("remote", before);
      expect(
        JSON.parse((await box.job("show", "remote", "--artifacts", "runs", "--json")).stdout).state,
      ).toBe("stopped");
      expect(readdirSync(box.runOf("remote"))).not.toContain("litellm.env");
    },
    3 * MINUTE,
  );
}

/** A job after the host was away. */
export function rebootStory(box: JobsBox): void {
  test(
    "come back unchanged when the host does",
    async () => {
      // What a reboot does to a container: it is killed without being stopped, and Docker starts it again.
      const name = `gpubox-${box.stack}-job-local`;
      const pid = await output("docker", ["inspect", "--format", "{{.State.Pid}}", name]);
      process.kill(Number(pid), "SIGKILL");
      const near = box.local();
      const models = await until(
        "it lists models again",
        async () => {
          const found = await modelsAt(near.endpoint, near.key).catch(() => [] as string[]);
          return found.length > 0 && found;
        },
        { seconds: 120, everyMs: 300 },
      );
      expect(models).toEqual(["policy"]);
      expect(await talk(near, "ping")).toEqual(Array(4).fill(PONG));
      expect(await stopJob("local", { stack: box.stack, projectDir: box.project.dir })).toMatchObject({
        job: "local",
      });
      expect(await box.checked(logsOf(box.runOf("local")))).toMatchObject({ complete: true });
    },
    4 * MINUTE,
  );
}

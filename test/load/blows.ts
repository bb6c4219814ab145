import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { pause } from "../support/wait";
import { type LoadBox, mustSucceed, setModel } from "./box";
import type { Load } from "./client";
import { goodChange, type Outcome, oneGeneration, type Scene } from "./scene";

/** What nobody planned: restarts, killed processes, interrupted runs. */
export const blows: Record<string, Scene> = {
  honest: {
    title: "delete-first replacement, as a plain program does it",
    bar: "honest",
    run: deleteFirst,
  },
  redis: {
    title: "restart Redis",
    bar: "zero",
    run: async (box) => {
      await output("docker", ["restart", `gpubox-${box.project.stack}-cache`]);
      await pause(15_000, "clients go on while Redis comes back");
      return {};
    },
  },
  "kill-gateway": {
    title: "SIGKILL the serving gateway",
    bar: "in flight",
    run: (box, load) => killGateway(box, load, box.serving()),
  },
  "kill-replica": {
    title: "SIGKILL one of two replicas",
    bar: "in flight",
    prepare: async (box) => {
      await goodChange(box, (config) => {
        config["gpubox:gateway"]!.replicas = 2;
      });
      if (box.serving().split(",").length !== 2) throw new Error(`the edge serves ${box.serving()}`);
    },
    run: (box, load) => killGateway(box, load, box.serving().split(",")[0]!),
    restore: async (box) => {
      await goodChange(box, (config) => delete config["gpubox:gateway"]!.replicas);
    },
  },
  "killed-create": interrupted("while the new gateway is created", /Container \S+-gateway creating/),
  "killed-proof": interrupted("during the proof", /-gateway-proof creating/),
  "killed-switch": interrupted("during the switch", /-gateway-switch creating/),
  "killed-drain": interrupted("during the drain", /-gateway-drain creating|Container \S+-gateway deleting/),
  "killed-delete": interrupted("while the old gateway is deleted", /Container \S+-gateway deleting/),
  second: { title: "a second change during a drain", bar: "zero", run: secondChange },
  daemon: {
    title: "restart of the Docker daemon",
    bar: "outage",
    byName: true,
    run: restartDaemon,
  },
};

async function deleteFirst(box: LoadBox): Promise<Outcome> {
  await output("docker", ["rm", "--force", box.serving()]);
  mustSucceed(await box.shell(box.command("up")));
  await oneGeneration(box);
  return {};
}

/** The process and not the container: a `docker kill` counts as a manual stop, after which nothing restarts it. */
async function killGateway(box: LoadBox, load: Load, container: string): Promise<Outcome> {
  const pid = await box.mainProcess(container);
  const inFlight = load.excuseInFlight();
  process.kill(pid, "SIGKILL");
  const start = performance.now();
  // The question itself waits at the edge for a gateway.
  const served = await box.secondsUntil(async () => (await box.models()).includes("echo"));
  await box.secondsUntil(async () => isHealthy(container), 120);
  const back = Math.round((performance.now() - start) / 1000);
  await pause(3000, "requests after the return count as well");
  return { served, note: `${inFlight} were in flight; healthy again after ${back} s` };
}

export async function isHealthy(container: string): Promise<boolean> {
  const { stdout } = await run("docker", ["inspect", "--format", "{{.State.Health.Status}}", container]);
  return stdout.trim() === "healthy";
}

let edits = 0;

/** An edit that makes another generation and changes nothing that a client sees. */
function harmlessEdit(config: Record<string, Record<string, unknown>>): void {
  edits += 1;
  (config["gpubox:models"]!.echo as Record<string, unknown>).timeoutSeconds = 600 + edits;
}

/** `up` is killed when its output shows the moment; `gpubox up` then converges. */
function interrupted(moment: string, pattern: RegExp): Scene {
  return {
    title: `\`up\` killed ${moment}`,
    bar: "zero",
    run: async (box) => {
      box.edit(harmlessEdit);
      const up = box.background(box.pulumiUp);
      if (!(await up.seen(pattern))) throw new Error(`\`up\` ended without ${pattern}:\n${up.output()}`);
      up.kill("SIGKILL");
      await up.ended;
      const change = await box.change(() => {}, box.command("up"));
      mustSucceed(change);
      await oneGeneration(box);
      const preview = `pulumi preview --stack ${box.project.stack} --refresh --expect-no-changes`;
      mustSucceed(await box.shell(preview));
      return { served: change.served };
    },
  };
}

/** While the first `up` drains, the second one is typed; it is refused or waits, and after Ctrl-C of the first it succeeds. */
async function secondChange(box: LoadBox): Promise<Outcome> {
  const before = box.serving();
  box.edit(harmlessEdit);
  const first = box.background(box.pulumiUp);
  await box.secondsUntil(() => box.serving() !== before);
  await pause(1000, "the first change is in the middle of its drain");
  const early = await box.change(
    (config) => setModel(config, "second", box.stubModel("second")),
    box.command("up"),
  );
  const words = /Another run holds the stack|is currently locked/.exec(early.stdout + early.stderr)?.[0];
  if (early.code !== 0 && !words) mustSucceed(early);
  first.kill("SIGINT");
  const ended = await first.ended;
  const second = await box.change(() => {}, box.command("up"));
  mustSucceed(second);
  const models = (await box.models()).split(",");
  if (!models.includes("second")) throw new Error(`the second change is not served: ${models}`);
  await oneGeneration(box);
  const note = `at once: ${words ?? "taken"}; the first ended with ${ended} after Ctrl-C`;
  return { served: early.served ?? second.served, note };
}

/** The engine is stopped and started as gpubox starts it where there is no systemd. */
async function restartDaemon(box: LoadBox, load: Load): Promise<Outcome> {
  const pid = Number(await output("pgrep", ["-o", "-x", "dockerd"]));
  const start = performance.now();
  load.excuseInFlight();
  process.kill(pid, "SIGTERM");
  await box.secondsUntil(async () => (await run("kill", ["-0", String(pid)])).code !== 0);
  const down = (performance.now() - start) / 1000;
  const log = openSync(join(box.project.dir, ".gpubox", "log", "dockerd.log"), "a", 0o600);
  spawn("dockerd", [], { detached: true, stdio: ["ignore", log, log] }).unref();
  const started = performance.now();
  await box.secondsUntil(async () => (await box.models()).includes("echo"), 180);
  const back = (performance.now() - started) / 1000;
  const outage = (performance.now() - start) / 1000;
  return {
    served: back,
    note: `stopped after ${down.toFixed(1)} s, routes back ${back.toFixed(1)} s after the start, outage ${outage.toFixed(1)} s`,
  };
}

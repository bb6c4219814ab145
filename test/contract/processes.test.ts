import { randomBytes } from "node:crypto";
import { limited } from "../../configs/kit/steps";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { needs } from "../support/needs";

const LIMIT = 40;
/** Far above the limit, and no flood: each of them sleeps, and the shell gives up at the first that it does not get. */
const FORKS = 200;
const FLOOD = `i=0; while [ $i -lt ${FORKS} ]; do sleep 30 & i=$((i+1)); done; echo "all $i"`;

needs("docker")("a container that was made without a limit of processes", () => {
  const name = `gpubox-processes-${randomBytes(4).toString("hex")}`;

  const step = (script: string) =>
    run("sh", ["-c", limited(script)], {
      env: { GPUBOX_CONTAINER: name, GPUBOX_PROCESSES: String(LIMIT) },
    });
  const limitOf = () => output("docker", ["inspect", "--format", "{{.HostConfig.PidsLimit}}", name]);
  /** How many processes the container has after as many as it may were started. */
  const flooded = async () => {
    const said = await run("docker", ["exec", name, "timeout", "10", "sh", "-c", FLOOD]);
    const top = await output("docker", ["top", name, "-eo", "pid"]);
    return { all: said.stdout.includes("all"), processes: top.split("\n").length - 1 };
  };

  beforeAll(async () => {
    const docker = "unix:///var/run/docker.sock";
    const images = await buildRecipes(["edge"], { projectDir: packageDir, docker, log: () => {} });
    await output("docker", [
      ...["run", "-d", "--name", name, "--network", "none", "--memory", "128m", "--entrypoint", "sleep"],
      ...["--cap-drop", "ALL", "--user", "65534:65534", images.edge!, "300"],
    ]);
  }, 300_000);
  afterAll(() => run("docker", ["rm", "-f", name]));

  test("keeps running with one after the step, and keeps it across a restart", async () => {
    const started = await output("docker", ["inspect", "--format", "{{.State.StartedAt}}", name]);
    expect(await limitOf()).not.toBe(String(LIMIT));
    expect(await step("echo done")).toMatchObject({ code: 0, stdout: "done\n" });
    expect(await limitOf()).toBe(String(LIMIT));
    expect(await output("docker", ["inspect", "--format", "{{.State.StartedAt}}", name])).toBe(started);
    const first = await flooded();
    await output("docker", ["restart", "--time", "0", name]);
    const again = await flooded();
    for (const { all, processes } of [first, again]) {
      expect(all).toBe(false);
      expect(processes).toBeLessThanOrEqual(LIMIT);
      expect(processes).toBeGreaterThan(LIMIT / 2);
    }
  });

  test("fails where its step fails, whatever its limit", async () => {
    expect((await step("exit 7")).code).toBe(1);
  });

  test("has it even when it is stopped", async () => {
    await output("docker", ["stop", "--time", "0", name]);
    await output("docker", ["update", "--pids-limit", "500", name]);
    expect((await step(":")).code).toBe(0);
    expect(await limitOf()).toBe(String(LIMIT));
  });
});

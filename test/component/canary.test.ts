import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { standInSteps } from "../../configs/kit/steps";
import { everyImage } from "../support/engines";
import { registered } from "../support/mocks";
import { testPlan, testSecrets } from "../support/stacks";
import { until } from "../support/wait";

const model = {
  engine: "llamacpp",
  model: "file:///srv/models/m.gguf",
  gpu: { devices: [0], memoryGiB: 10 },
};
const plan = testPlan(
  {
    host: { gpus: [{ id: 0, memoryGiB: 80 }] },
    models: { m: { ...model, canary: { weight: 5, for: "30m" } } },
  },
  testSecrets,
  everyImage,
);
const [{ service, replacement }] = plan.backends as [(typeof plan.backends)[0]];
const script = replacement.kind === "start-first" ? replacement.beside.script : "";

test("Pulumi waits for the canary before it touches the server", async () => {
  const all = await registered(
    () => new Box(plan.prefix, { plan, secrets: pulumi.secret<Record<string, string>>(testSecrets) }),
  );
  const step = all.find(({ name }) => name.endsWith("backend-m-server-beside"))!;
  expect(step.inputs.create).toBe(script);
  const server = all.find(
    ({ type, name }) => type === "docker:index/container:Container" && name.endsWith("backend-m-server"),
  )!;
  expect(server.dependsOn).toContain(step.name);
});

describe("the step", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gpubox-canary-"));
    // A box where everything works, and whose valve judges as it is told, one line for each look.
    const docker = `#!/bin/sh
echo "$*" >> "${folder}/asked"
case "$*" in
  *"--format {{.State.Running}}"*) echo "true healthy another" ;;
  *"--format {{.State.Status}}"*) echo "running healthy 0 false 1" ;;
  inspect*) exit 1 ;;
  *--judge*) line=$(head -n 1 "${folder}/judge"); sed -i 1d "${folder}/judge"; [ "$line" != lost ] || exit 1; echo "$line" ;;
  *" awk "*) echo backend-m:8000 ;;
esac
`;
    writeFileSync(join(folder, "docker"), docker, { mode: 0o755 });
    writeFileSync(join(folder, "asked"), "");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const env = () => ({
    PATH: `${folder}:${process.env.PATH}`,
    ...standInSteps(plan.prefix, service).environment,
  });
  /** What it asked of the valve and of the stand-in, in words. */
  const asked = () =>
    readFileSync(join(folder, "asked"), "utf8")
      .split("\n")
      .flatMap((line) => {
        const [, verb = ""] = /\/etc\/gpubox\/(?:canary|drain)\.sh (.*)$/.exec(line) ?? [];
        return verb && !verb.startsWith("--judge") ? [verb] : /^rm -f/.test(line) ? ["removed"] : [];
      })
      // Before it begins, it removes what may be left.
      .slice(1);

  function watched(...looks: string[]) {
    writeFileSync(join(folder, "judge"), looks.map((look) => `${look}\n`).join(""));
    writeFileSync(join(folder, "sleep"), "#!/bin/sh\n", { mode: 0o755 });
    const { status, stdout, stderr } = spawnSync("sh", ["-c", script], { env: env(), encoding: "utf8" });
    return { status, said: stdout, failed: stderr, asked: asked() };
  }
  const BEGUN = ["--next --await 30", "--share 5"];
  const REFUSED = [...BEGUN, `--next ${service.standIn!.drainSeconds}`, "removed"];

  test("promoted: the share ends, and the server before is closed for the stand-in", () => {
    const result = watched("wait 0 of 3", "promote 0 of 9");
    expect(result).toMatchObject({
      status: 0,
      failed: "",
      asked: [...BEGUN, "--end", String(service.standIn!.drainSeconds)],
    });
    expect(result.said).toContain("The canary of m is promoted: 0 of 9\n");
  });

  test("refused: its answers end, it goes, and the server before is not touched", () => {
    expect(watched("refuse it answers later: 1 of 9")).toMatchObject({
      status: 1,
      failed:
        "The canary of m is refused: it answers later: 1 of 9.\nThe new server of m is not used; the one before serves on.\n",
      asked: REFUSED,
    });
  });

  test("a valve that does not answer for a moment changes nothing; one that stays away is no success", () => {
    expect(watched("lost", "lost", "wait 1", "lost", "promote 2").status).toBe(0);
    rmSync(join(folder, "asked"));
    const result = watched(...Array<string>(6).fill("lost"));
    expect(result).toMatchObject({ status: 1, asked: REFUSED });
    expect(result.failed).toContain("its valve does not answer");
  });

  test("interrupted: the new server gets no more requests and 30 s for those that it has", async () => {
    writeFileSync(join(folder, "judge"), "wait 0 of 0\n".repeat(100));
    const child = spawn("sh", ["-c", script], { env: env(), stdio: ["ignore", "ignore", "pipe"] });
    let failed = "";
    child.stderr.on("data", (data) => {
      failed += data;
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    await until("it watches", () => readFileSync(join(folder, "asked"), "utf8").includes("--judge"));
    child.kill("SIGTERM");
    expect(await ended).toBe(1);
    expect(asked()).toEqual([...BEGUN, "--next 30", "removed"]);
    expect(failed).toContain("The canary of m is refused: it was interrupted.\n");
  });
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostSchema } from "../../../../configs/schema/host";
import { prepareSteps } from "../../../../operations/host/prepare";
import type { HostStep } from "../../../../operations/host/state";
import type { StackHost } from "../../../../platform/ssh/connection";
import { bare, plan } from "../../../support/hostStates";

describe("a step that fails", () => {
  const at: StackHost = { stack: "gpu1", host: hostSchema.parse({}) };
  const step = (id: HostStep["id"], script: string): HostStep => ({ id, does: `do ${id}`, script });
  /** The steps that ran, and what was said in the end. */
  const run = async (...steps: HostStep[]) => {
    const began: string[] = [];
    const state = { ...bare, root: "is root" as const };
    const said = await prepareSteps(at, state, steps, ({ id }) => began.push(id)).catch(
      ({ message }) => message,
    );
    return { began, said };
  };

  test("keeps those from running that need it, and no others, and each failure is told", async () => {
    const toolkit = step("nvidia", "echo 'curl: (6) no such host' >&2; exit 6");
    expect(await run(toolkit, step("cdi", "true"), step("group", "true"), step("boxes", "exit 3"))).toEqual({
      began: ["nvidia", "group", "boxes"],
      said:
        'The step "do nvidia" failed: curl: (6) no such host. The step "do boxes" failed: exit code 3. ' +
        "Correct that on this machine and run `gpubox host prepare --stack gpu1` again.",
    });
  });

  test("ends the preparation where it leaves the host without Docker", async () => {
    const { began } = await run(step("packages", "exit 1"), step("group", "true"));
    expect(began).toEqual(["packages"]);
  });

  test("for want of NVIDIA's repository says what curl said", () => {
    const { script } = plan({ nvidia: true, nvidiaDriver: "570.86.10" }).steps[0]!;
    const bin = mkdtempSync(join(tmpdir(), "gpubox-nvidia-"));
    try {
      const programs = { "apt-get": "", curl: "echo 'curl: (6) Could not resolve host' >&2; exit 6" };
      for (const [name, body] of Object.entries(programs))
        writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
      const env = { PATH: `${bin}:/usr/bin:/bin` };
      const done = spawnSync("sh", ["-c", script], { encoding: "utf8", env });
      expect([done.status, done.stderr]).toEqual([6, "curl: (6) Could not resolve host\n"]);
    } finally {
      rmSync(bin, { recursive: true });
    }
  });
});

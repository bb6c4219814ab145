import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { serversOf } from "../../configs/capacity/servers";
import { CLOSE, OPEN } from "../../configs/kit/steps";
import { type Registered, registered } from "../support/mocks";
import { testPlan } from "../support/stacks";
import { upgradeImages, upgradeSecrets, upgradeStacks } from "../support/upgradeStacks";

const CONTAINER = "docker:index/container:Container";

describe.each(Object.keys(upgradeStacks))("of the stack %s", (stack) => {
  const plan = testPlan(upgradeStacks[stack]!, upgradeSecrets, upgradeImages);
  const servers = serversOf(plan);
  let all: Registered[];
  beforeAll(async () => {
    const secrets = pulumi.secret<Record<string, string>>(upgradeSecrets);
    all = await registered(() => new Box(plan.prefix, { plan, secrets }));
  }, 300_000);
  const one = (name: string) => all.find((r) => r.name === name && !r.type.startsWith("gpubox:"))!;
  const containerOf = (name: string) =>
    all.find(({ type, inputs }) => type === CONTAINER && inputs.name === `${plan.prefix}-${name}`)!;

  test("every model server knows the valves before it", () => {
    expect(servers.length).toBeGreaterThan(0);
    expect(servers.map(({ service }) => service.valves)).toEqual(
      servers.map(({ valves }) => valves.map(({ container }) => container.name)),
    );
  });

  test("whatever makes Pulumi stop a model server undoes its readiness first, and that closes its valves", () => {
    for (const { service, valves } of servers) {
      const ready = one(`${containerOf(service.container.name).name}-ready`);
      const { create, environment, triggers } = ready.inputs as Record<string, unknown>;
      expect(ready.inputs.delete).toBe(CLOSE);
      expect(ready.deleteBeforeReplace).toBe(true);
      // By the container's id Pulumi undoes it before the container.
      expect((triggers as unknown[]).length).toBe(1);
      expect(String(create)).toContain(OPEN);
      expect((environment as Record<string, string>).GPUBOX_VALVES).toBe(
        valves.map(({ container }) => `${plan.prefix}-${container.name}`).join(" "),
      );
    }
  });

  test("a valve takes its new files before its server is replaced: a reload would open it again", () => {
    for (const { service, valves } of servers) {
      const { dependsOn } = containerOf(service.container.name);
      const gates = valves.map(({ container }) => `${containerOf(container.name).name}-ready`);
      expect(dependsOn).toEqual(expect.arrayContaining(gates));
    }
  });

  test("undoing it closes each of its valves, because they lead to it or to its group", () => {
    for (const { service, valves } of servers)
      for (const { directory } of valves) {
        const [, name] =
          / {2}server backend ([^ :]+):/.exec(JSON.stringify(directory.files["haproxy.cfg"])) ?? [];
        expect(name).toMatch(new RegExp(`^(${service.container.name}|group-.*)$`));
      }
  });

  test("nothing else closes a valve", () => {
    const closing = all.filter(({ inputs }) => inputs.delete === CLOSE).map(({ name }) => name);
    const ready = servers.map(({ service }) => `${containerOf(service.container.name).name}-ready`);
    expect(closing.sort()).toEqual(ready.sort());
  });
});

describe("what closes the valves of a server that stops", () => {
  /** What it did with valves that lead to these servers. */
  function closed(leads: string[], server?: string) {
    const folder = mkdtempSync(join(tmpdir(), "gpubox-close-"));
    const docker = `#!/bin/sh
case "$3" in
  awk) cat "${folder}/$2" ;;
  bash) echo "$2 closed for $5 s" ;;
esac
`;
    writeFileSync(join(folder, "docker"), docker, { mode: 0o755 });
    for (const [index, server] of leads.entries())
      writeFileSync(join(folder, `valve-${index}`), `${server}\n`);
    const env = {
      PATH: `${folder}:${process.env.PATH}`,
      ...(server ? { GPUBOX_NAME: server } : {}),
      GPUBOX_VALVES: leads.map((_, index) => `valve-${index}`).join(" "),
      GPUBOX_DRAIN: "30",
    };
    const { stdout } = spawnSync("sh", ["-c", CLOSE], { env, encoding: "utf8" });
    rmSync(folder, { recursive: true });
    return stdout.split("\n").filter(Boolean).sort();
  }

  test("leaves a valve open that leads to another server by now", () => {
    const leads = ["slot-pair:6566", "backend-one:8000", "backend-one-more:8000"];
    expect(closed(leads, "backend-one")).toEqual(["valve-1 closed for 30 s"]);
  });

  test("closes one whose server is asked by its group's scheduler", () => {
    expect(closed(["group-night:15501"], "backend-one")).toEqual(["valve-0 closed for 30 s"]);
  });

  test("closes every one that a person names", () => {
    expect(closed(["slot-pair:6566", "backend-one:8000"])).toEqual([
      "valve-0 closed for 30 s",
      "valve-1 closed for 30 s",
    ]);
  });
});

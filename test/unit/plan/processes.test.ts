import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { processesOf } from "../../../configs/kit/processes";
import type { BoxPlan } from "../../../configs/kit/types";
import { servicesOf } from "../../../configs/plan/box";
import { composeFile } from "../../../operations/compose/composeFile";
import { drift } from "../../../operations/drift/drift";
import { planRepairs } from "../../../operations/drift/repairs";
import { createArguments } from "../../../operations/jobs/createArguments";
import { packageDir } from "../../../platform/project";
import { asPlanned, box, deployed, found } from "../../support/drift";
import { planOf, remote } from "../../support/jobPlans";
import { observed, online, secrets } from "../../support/observed";
import { testPlan, tinyModel } from "../../support/stacks";

/** Every container that a box can have: monitors, models that are loaded on demand. */
const everything = testPlan(
  observed({ models: { ...tinyModel, big: { ...tinyModel.tiny, start: "ondemand" } } }),
  secrets,
  { ...online, images: { ...online.images, "llama-swap": { reference: "llama-swap:1", source: "recipe" } } },
);
const services = servicesOf(everything);
const limitOf = (plan: BoxPlan, name: string) =>
  servicesOf(plan).find(({ container }) => container.name === name)!.container.pidsLimit;

describe("every container has a limit of processes", () => {
  test.each(services.map(({ container }) => [container.name, container] as const))(
    "%s",
    (name, container) => {
      expect(container.pidsLimit).toBeGreaterThanOrEqual(256);
      expect(container.pidsLimit).toBeLessThanOrEqual(8192);
      expect(parse(composeFile(everything)).services[name].pids_limit).toBe(container.pidsLimit);
    },
  );

  test("of a job too", () => {
    const limits = { stack: "test", owner: { uid: 1, gid: 1 }, expiresAt: null, cores: 1, memoryMiB: 512 };
    const words = createArguments(planOf(remote), limits);
    expect(words[words.indexOf("--pids-limit") + 1]).toBe(String(processesOf("gateway")));
  });

  test("also when it lives for only one step: the code sets the limit wherever it creates a container", () => {
    const listed = spawnSync(
      "git",
      ["grep", "-lE", `docker run|"run", "(--rm|-d)"|"create", "--name"`, "--", "*.ts"],
      {
        cwd: packageDir,
        encoding: "utf8",
      },
    ).stdout.split("\n");
    const makers = listed.filter((file) =>
      /^(cli|configs|components|operations|platform|program|runner)\//.test(file),
    );
    const text = (file: string) =>
      readFileSync(join(packageDir, file), "utf8").replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
    const making = makers.filter((file) =>
      /docker run --|"run", "(--rm|-d)"|"create", "--name"/.test(text(file)),
    );
    expect(making.length).toBeGreaterThanOrEqual(7);
    expect(making.filter((file) => !/STEP_LIMIT|--pids-limit/.test(text(file)))).toEqual([]);
  });
});

describe("another limit", () => {
  const withLimits = testPlan({
    gateway: { pidsLimit: 4000 },
    models: { tiny: { ...tinyModel.tiny, pidsLimit: 20_000 } },
  });

  test("of a model and of the gateways comes from the config", () => {
    expect([limitOf(withLimits, "backend-tiny"), limitOf(withLimits, "gateway")]).toEqual([20_000, 4000]);
  });

  test("replaces no container: a running one accepts it", () => {
    const spec = (plan: BoxPlan) =>
      servicesOf(plan)
        .filter(({ container }) => container.name !== "gateway")
        .map(({ container }) => container.labels["gpubox.spec"]);
    expect(spec(withLimits)).toEqual(spec(testPlan()));
  });
});

describe("a container on the host without its limit", () => {
  const seen = (change: (one: ReturnType<typeof found>) => void) => {
    const facts = asPlanned();
    change(found(facts, "cache"));
    const report = drift(box, facts);
    return { report, repairs: planRepairs(box, facts, report, deployed()) };
  };

  test("is reported, gets it, and keeps running", () => {
    const { report, repairs } = seen((one) => (one.settings.processes = 0));
    expect(report.differences).toMatchObject([
      {
        what: "The container gpubox-test-cache is not as planned: limit of processes: 0 instead of 256.",
        repair: { do: "limit", container: "id-cache", processes: 256 },
      },
    ]);
    expect([repairs.limits, repairs.replace]).toEqual([[{ container: "id-cache", processes: 256 }], []]);
  });

  test("is replaced when more differs", () => {
    const { repairs } = seen((one) => Object.assign(one.settings, { processes: 0, privileged: true }));
    expect([repairs.limits, repairs.replace]).toEqual([[], ["urn:pulumi:test::gpubox::x::id-cache"]]);
  });
});

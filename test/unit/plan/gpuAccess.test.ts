import { parse } from "yaml";
import { containerArgs } from "../../../components/Service";
import { servicesOf } from "../../../configs/plan/box";
import { composeFile } from "../../../operations/compose/composeFile";
import { plannedSettings } from "../../../operations/drift/settings";
import { observed, online, secrets } from "../../support/observed";
import { testPlan } from "../../support/stacks";

/** A box with every kind of container that gets a GPU: servers of engines, a stand-in, members of a group, NVIDIA's exporter. */
function boxBy(gpuAccess: "cdi" | "hook" | undefined) {
  const on = (id: number | string) => ({ gpu: { devices: [id], memoryGiB: 8 } });
  const gguf = { engine: "llamacpp", model: "file:///srv/models/m.gguf", memoryMiB: 1024 };
  const gpus = [0, "GPU-1d2f"].map((id) => ({ id, memoryGiB: 80 }));
  return testPlan(
    observed({
      host: { gpus, ...(gpuAccess ? { gpuAccess } : {}) },
      groups: { g: {} },
      models: {
        one: { ...gguf, ...on(0), replacement: "start-first" },
        two: { ...gguf, gpu: { devices: [0, "GPU-1d2f"], memoryGiB: 8 } },
        late: { ...gguf, ...on("GPU-1d2f"), start: "ondemand", group: "g" },
      },
    }),
    secrets,
    online,
  );
}

const networks = { edge: "e", data: "d", models: "m", backends: "b", metrics: "x", dashboards: "y" };

/** Every word by which a plan asks Docker for a GPU, of every way there is to make a container. */
function asked(plan: ReturnType<typeof boxBy>): string[] {
  const onGpus = servicesOf(plan).filter(({ container }) => container.gpu);
  const compose = parse(composeFile(plan)).services;
  return [
    ...onGpus.map(({ container }) => JSON.stringify(containerArgs(container, networks).deviceRequests)),
    ...onGpus.map(({ container }) =>
      JSON.stringify(compose[container.name].deploy.resources.reservations.devices),
    ),
    ...plan.backends.flatMap(({ replacement }) =>
      replacement.kind === "start-first"
        ? (/\S*--gpus\S* \S+/.exec(replacement.beside.script) ?? ["none"])
        : [],
    ),
    ...onGpus.map(({ container }) => JSON.stringify(plannedSettings(container, plan).gpus)),
  ];
}

test("where the host says cdi, every way asks for devices by their CDI names", () => {
  const all = asked(boxBy("cdi"));
  expect(all.length).toBeGreaterThan(10);
  for (const one of all) expect(one).toMatch(/nvidia\.com\/gpu=(0|GPU-1d2f)\b/);
  expect(all.filter((one) => /"nvidia"/.test(one))).toEqual([]);
  expect(all.filter((one) => one.includes("--gpus"))).toEqual([
    expect.stringMatching(/'driver=cdi,"device=nvidia\.com\/gpu=0"/),
  ]);
});

test.each(["hook", undefined] as const)("where the host says %s, every way asks NVIDIA's hook", (access) => {
  const all = asked(boxBy(access));
  for (const one of all) expect(one).not.toMatch(/cdi|nvidia\.com/);
  expect(all).toContain('[{"driver":"nvidia","deviceIds":["0","GPU-1d2f"],"capabilities":["gpu"]}]');
});

test("the plan says which", () => {
  const said = (access: "cdi" | "hook" | undefined) =>
    boxBy(access).notes.filter((note) => note.includes("reach containers"));
  expect(said("cdi")).toEqual(["NVIDIA's GPUs reach containers by CDI (gpubox:host.gpuAccess)."]);
  expect(said("hook")).toEqual([
    "NVIDIA's GPUs reach containers by NVIDIA's runtime hook (gpubox:host.gpuAccess).",
  ]);
  expect(said(undefined)).toEqual([]);
});

import type { BoxPlan } from "../../configs/kit/types";
import { servicesOf } from "../../configs/plan/box";
import { missingNetworkFix } from "../../configs/plan/foreignNetworks";
import { upCommand } from "../doctor/row";
import { type Affected, affectedBy, clientsOf, everybody, nobody } from "./affected";
import { containerDifferences, pairs, strangers } from "./containers";
import type { Difference, DriftReport } from "./difference";
import type { DriftFacts, GpuProcess } from "./facts";
import { fileDifferences, writableDifferences } from "./files";

/**
 * Every difference between a host and its plan.
 *
 * @param recorded ids of containers outside the plan that have a record, such as those of jobs
 */
export function drift(
  box: BoxPlan,
  facts: DriftFacts,
  recorded: ReadonlySet<string> = new Set(),
): DriftReport {
  const up = upCommand(box);
  const gpus = facts.gpus;
  return {
    stack: box.stack,
    differences: [
      ...networkDifferences(box, facts, up),
      ...volumeDifferences(box, facts, up),
      ...imageDifferences(box, facts, up),
      ...containerDifferences(box, facts, up),
      ...directoryDifferences(box, facts, up),
      ...edgeDifferences(box, facts, up),
      ...strangers(box, facts, recorded, up),
      ...(Array.isArray(gpus) ? gpuDifferences(box, facts, gpus, recorded) : []),
    ],
    configChanged: pairs(box, facts).some(
      ({ service, found }) =>
        found?.settings.labels["gpubox.stack"] === box.stack &&
        ![undefined, service.container.labels["gpubox.spec"]].includes(found.settings.labels["gpubox.spec"]),
    ),
    notChecked: [
      ...(gpus && !Array.isArray(gpus) ? [`processes on the GPUs: ${gpus.notChecked}`] : []),
      ...(facts.serving || !runs(box, facts, "edge") ? [] : ["what the edge serves: it does not answer"]),
    ],
  };
}

function runs(box: BoxPlan, { containers }: DriftFacts, role: string): boolean {
  return containers.some(({ name, state }) => name === `${box.prefix}-${role}` && state === "running");
}

function networkDifferences(box: BoxPlan, { networks }: DriftFacts, up: string): Difference[] {
  return box.networks.flatMap((plan): Difference[] => {
    const { name, internal, external } = plan;
    const about = { kind: "network" as const, subject: name, byUp: true, affected: everybody };
    const found = networks.find((network) => network.name === name);
    // Its owner decides how it should be.
    if (external && found) return [];
    if (external)
      return [
        {
          ...about,
          byUp: false,
          what: `The network ${name}, which gpubox:gateway.joinNetworks names, is missing.`,
          fix: missingNetworkFix(name, up),
        },
      ];
    if (!found)
      return [
        {
          ...about,
          what: `The network ${name} is missing.`,
          fix: `Run ${up}: it creates the network again.`,
        },
      ];
    const wrong = [
      ...(found.internal === internal
        ? []
        : [internal ? "it leads out of the host" : "it does not lead out of the host"]),
      ...(found.driver === "bridge" ? [] : [`its driver is ${found.driver} instead of bridge`]),
      ...(found.stack === box.stack ? [] : [`it lacks the label gpubox.stack=${box.stack}`]),
    ];
    if (wrong.length === 0) return [];
    return [
      {
        ...about,
        what: `The network ${name} is not as planned: ${wrong.join("; ")}.`,
        fix: `Run ${up}: it replaces the network and the containers on it.`,
        repair: { do: "remove network", network: name },
      },
    ];
  });
}

function volumeDifferences(box: BoxPlan, { volumes }: DriftFacts, up: string): Difference[] {
  return servicesOf(box).flatMap((service): Difference[] => {
    const { container, volume } = service;
    if (!volume || volumes.includes(volume.name)) return [];
    // A database refuses to start empty by itself (docs/data.md).
    const guarded = service === box.database;
    return [
      {
        ...{
          kind: "volume",
          subject: volume.name,
          byUp: !guarded,
          affected: affectedBy(box, container.name),
        },
        what: `The volume ${volume.name} is missing, with everything in it.`,
        fix: guarded
          ? "Restore a backup with `gpubox restore`, or start empty as docs/data.md describes."
          : `Run ${up}: it creates an empty one.`,
      },
    ];
  });
}

function imageDifferences(box: BoxPlan, { images }: DriftFacts, up: string): Difference[] {
  const needed = new Set(servicesOf(box).map(({ container }) => container.image));
  return [...needed]
    .filter((image) => !images.includes(image))
    .map((image) => ({
      ...{ kind: "image" as const, subject: image, byUp: true, affected: nobody },
      what: `The image ${image} is not on the host.`,
      fix: `Run ${up}: it pulls or builds it.`,
    }));
}

function directoryDifferences(box: BoxPlan, facts: DriftFacts, up: string): Difference[] {
  const seen = new Set<string>();
  const once = (path: string) => !seen.has(path) && seen.add(path);
  return servicesOf(box).flatMap(({ container, directory, writable }): Difference[] => {
    const affected = affectedBy(box, container.name);
    const fix = `Run ${up}: it restores it.`;
    const found = facts.directories[directory.path];
    const planned = once(directory.path)
      ? fileDifferences(directory, facts.planned[directory.path] ?? {}, found)
      : [];
    const files = planned.map(({ path, what, content }): Difference => {
      const paths = content ? [path] : [];
      return {
        ...{ kind: path === directory.path ? "directory" : "file", subject: path, byUp: true },
        ...{ what: `${path} ${what}.`, fix, affected },
        repair: { do: "write", directory: directory.path, paths, reread: content },
      };
    });
    const made = writable
      .filter(({ path }) => once(path))
      .flatMap((plan) => writableDifferences(plan, facts.directories[plan.path]))
      .map(({ path, what, content }): Difference => {
        const about = { kind: "directory" as const, subject: path, byUp: true };
        const repair = { do: "make" as const, directory: path, reread: content };
        return { ...about, what: `${path} ${what}.`, fix, affected, repair };
      });
    return [...files, ...made];
  });
}

function edgeDifferences(box: BoxPlan, { serving }: DriftFacts, up: string): Difference[] {
  const { generation } = box.gateway;
  if (!serving || serving.generation === generation) return [];
  return [
    {
      ...{ kind: "edge", subject: `${box.prefix}-edge`, byUp: true, affected: everybody },
      what: `The edge serves the generation ${serving.generation ?? "(unknown)"} instead of ${generation}.`,
      fix: `Run ${up}: it moves the edge to the planned gateways.`,
      repair: { do: "switch" },
    },
  ];
}

/** Processes on the box's devices outside its containers. */
function gpuDifferences(
  box: BoxPlan,
  { containers }: DriftFacts,
  processes: GpuProcess[],
  recorded: ReadonlySet<string>,
): Difference[] {
  const own = new Set(
    containers.filter(({ settings }) => settings.labels["gpubox.stack"] === box.stack).map(({ id }) => id),
  );
  const affected: Affected = clientsOf(
    box.backends.filter(({ service }) => service.container.gpu).map(({ model }) => model),
  );
  return processes
    .filter(({ container }) => !container || !(own.has(container) || recorded.has(container)))
    .map(({ gpu, pid, name, usedMiB, container }) => ({
      ...{ kind: "gpu" as const, subject: gpu, byUp: false },
      affected: affected.models.length > 0 ? affected : nobody,
      what: `The process ${name} (pid ${pid}${container ? `, container ${container.slice(0, 12)}` : ""}) has ${usedMiB} MiB of ${gpu}, and does not belong to the box.`,
      fix: `Stop it (\`kill ${pid}\`), or give the box less of that device (gpubox:host.gpus).`,
    }));
}

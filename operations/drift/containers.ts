import type { ServicePlan } from "../../configs/kit/containerPlan";
import type { BoxPlan } from "../../configs/kit/types";
import { servicesOf } from "../../configs/plan/box";
import { JOB_LABEL } from "../jobs/record";
import { affectedBy } from "./affected";
import type { Difference } from "./difference";
import type { DriftFacts, HostContainer } from "./facts";
import { plannedSettings, settingDifferences } from "./settings";

/** A planned container and its counterpart on the host. */
export interface Pair {
  service: ServicePlan;
  /** Name on the host; for a missing gateway, the start of its name. */
  name: string;
  found?: HostContainer;
}

/** Each planned container with its counterpart on the host. Gateways have random names and are matched by generation. */
export function pairs(box: BoxPlan, { containers }: DriftFacts): Pair[] {
  return servicesOf(box).flatMap((service): Pair[] => {
    const name = `${box.prefix}-${service.container.name}`;
    if (service !== box.gateway)
      return [{ service, name, found: containers.find((one) => one.name === name) }];
    const replicas = containers.filter(({ name, settings: { labels } }) => {
      const own = labels["gpubox.stack"] === box.stack && name.startsWith(`${box.prefix}-gateway`);
      return own && labels["gpubox.generation"] === box.gateway.generation;
    });
    const missing = Math.max(0, box.gateway.replicas - replicas.length);
    return [
      ...replicas.slice(0, box.gateway.replicas).map((found) => ({ service, name: found.name, found })),
      ...Array.from({ length: missing }, () => ({ service, name })),
    ];
  });
}

/** Planned containers that are missing, do not run, or have other settings. */
export function containerDifferences(box: BoxPlan, facts: DriftFacts, up: string): Difference[] {
  return pairs(box, facts).flatMap((pair): Difference[] => {
    const { service, name, found } = pair;
    const { container } = service;
    const about = {
      kind: "container" as const,
      subject: name,
      byUp: true,
      affected: affectedBy(box, container.name),
    };
    if (!found) {
      const what = `The container ${name} is missing.`;
      return [{ ...about, what, fix: `Run ${up}: it creates it again.` }];
    }
    // A container with another owner's label is not Pulumi's, even if the name matches.
    if (found.settings.labels["gpubox.stack"] !== box.stack)
      return [
        {
          ...about,
          what: `The container ${name} was made by somebody else: it lacks the label gpubox.stack=${box.stack}.`,
          fix: `Run ${up}: it replaces that container with the box's own.`,
          repair: { do: "remove container", container: found.id },
        },
      ];
    return [...stateOf(pair, about, up), ...madeOtherwise(box, pair, about, up)];
  });
}

type About = Pick<Difference, "kind" | "subject" | "byUp" | "affected">;

function stateOf({ service, name, found }: Pair, about: About, up: string): Difference[] {
  if (!found || !service.container.started || found.state === "running" || found.state === "restarting")
    return [];
  if (found.state === "paused")
    return [
      {
        ...about,
        what: `The container ${name} is paused.`,
        fix: `Run \`docker unpause ${name}\`, or ${up}.`,
        repair: { do: "unpause", container: found.id },
      },
    ];
  return [
    {
      ...about,
      what: `The container ${name} does not run (${found.state}).`,
      fix: `Run ${up}: it starts it.`,
    },
  ];
}

function madeOtherwise(box: BoxPlan, { service, name, found }: Pair, about: About, up: string): Difference[] {
  if (!found) return [];
  const planned = plannedSettings(service.container, box);
  const differing = settingDifferences(planned, found.settings);
  if (found.staleImage) differing.push("image: its name refers to a newer image than the running one");
  if (differing.length === 0) return [];
  // The process limit alone can change while the container runs.
  if (
    !found.staleImage &&
    settingDifferences({ ...planned, processes: found.settings.processes }, found.settings).length === 0
  )
    return [
      {
        ...about,
        what: `The container ${name} is not as planned: ${differing.join("; ")}.`,
        fix: `Run ${up}: it sets the limit, and the container keeps running.`,
        repair: { do: "limit", container: found.id, processes: planned.processes },
      },
    ];
  const gap = service === box.gateway ? "nobody notices" : "with a gap of its start time";
  return [
    {
      ...about,
      what: `The container ${name} is not as planned: ${differing.join("; ")}.`,
      fix: `Run ${up}: it replaces it, ${gap}.`,
      repair: { do: "replace", container: found.id },
    },
  ];
}

/** Containers that nobody declared, with the stack's label or on its networks. `recorded`: ids of job containers. */
export function strangers(
  box: BoxPlan,
  facts: DriftFacts,
  recorded: ReadonlySet<string>,
  up: string,
): Difference[] {
  const known = new Set(pairs(box, facts).flatMap(({ found }) => found?.id ?? []));
  const networks = new Set(box.networks.filter(({ external }) => !external).map(({ name }) => name));
  return facts.containers
    .filter(({ id, settings: { labels } }) => {
      if (known.has(id) || recorded.has(id)) return false;
      // Whoever set this label wants the container to stay: a migration, a rehearsal of a backup, a test. A job proves
      // that by its record.
      return labels["gpubox.keep"] === undefined || labels[JOB_LABEL] !== undefined;
    })
    .flatMap(({ id, name, settings }): Difference[] => {
      const joined = Object.keys(settings.networks).filter((network) => networks.has(network));
      const affected = {
        models: [],
        who: joined.length > 0 ? "whoever trusts the box's networks" : "nobody's requests",
      };
      if (settings.labels["gpubox.stack"] !== box.stack)
        return joined.length === 0
          ? []
          : [
              {
                ...{ kind: "guest", subject: name, byUp: false, affected },
                what: `The container ${name}, which does not belong to the box, is on ${joined.join(", ")}.`,
                fix: `Type \`docker network disconnect ${joined[0]} ${name}\`, or give it the label gpubox.keep if it belongs there.`,
              },
            ];
      const job = settings.labels[JOB_LABEL];
      const ours = job === undefined && name.startsWith(`${box.prefix}-`);
      const byHand = job === undefined ? `docker rm -f ${name}` : `gpubox job stop ${job}`;
      return [
        {
          ...{ kind: "undeclared container", subject: name, byUp: ours, affected },
          what: `The container ${name} has the label of the stack ${box.stack}, and nobody declares or records it.`,
          fix: ours ? `Run ${up}: it removes it.` : `Remove it: \`${byHand}\`.`,
          ...(ours ? { repair: { do: "remove container", container: id } } : {}),
        },
      ];
    });
}

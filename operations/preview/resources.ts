import type { ServicePlan } from "../../configs/kit/containerPlan";
import { servicesOf } from "../../configs/kit/services";
import { stableJson } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { dockerHostName } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import { portText, secretsIn } from "./inputs";
import type { ContainerChange, DataChange, PortUse, SecretChange, Side } from "./types";

/** Ports of the host that open and close. */
export function portChanges(before: Side | undefined, after: Side): { opened: PortUse[]; closed: PortUse[] } {
  const [a, b] = [before ? portsOf(before.plan) : [], portsOf(after.plan)];
  const texts = (ports: PortUse[]) => new Set(ports.map(portText));
  const [old, now] = [texts(a), texts(b)];
  return {
    opened: b.filter((port) => !old.has(portText(port))),
    closed: a.filter((port) => !now.has(portText(port))),
  };
}

/** Ports of the host that a box publishes, each with its container. */
export function portsOf(plan: BoxPlan): PortUse[] {
  return servicesOf(plan).flatMap(({ container }) =>
    container.ports.map((port) => ({ ...port, container: container.name })),
  );
}

/** Secrets that are added, removed, changed, or used differently. A preview knows their names but no values. */
export function secretChanges(before: Side | undefined, after: Side): SecretChange[] {
  const [old, now] = [before ? usersOf(before.plan) : {}, usersOf(after.plan)];
  const names = new Set([
    ...Object.keys(old),
    ...Object.keys(now),
    ...Object.keys(before?.secrets ?? {}),
    ...Object.keys(after.secrets),
  ]);
  return [...names].sort().flatMap((name) => {
    const [a, b] = [before?.secrets[name], after.secrets[name]];
    const [usedBefore, usedAfter] = [old[name] ?? [], now[name] ?? []];
    const containers = usedAfter.length > 0 ? usedAfter : usedBefore;
    const one = (change: SecretChange["change"]) => [{ name, change, containers }];
    if (!a && b) return one("set");
    if (a && !b) return one("removed");
    if (a && b && a.fingerprint !== b.fingerprint) return one("set anew");
    if (usedBefore.length === 0 && usedAfter.length > 0) return one("used");
    if (usedBefore.length > 0 && usedAfter.length === 0) return one("no longer used");
    return [];
  });
}

/** Containers by the secrets in their files. */
function usersOf(plan: BoxPlan): Record<string, string[]> {
  const users: Record<string, string[]> = {};
  for (const service of servicesOf(plan))
    for (const name of secretsIn(service)) users[name] = [...(users[name] ?? []), service.container.name];
  return users;
}

/** Data that is lost, or that stays on the host unused. */
export function dataChanges(
  before: Side | undefined,
  after: Side,
  containers: ContainerChange[],
): DataChange[] {
  if (!before) return [];
  if (isOtherHost(before, after))
    return [
      {
        what: `The whole box on ${placeOf(before)}, which keeps running: the box on ${placeOf(after)} is a new one, with its own volumes and weights.`,
        fate: "kept",
      },
    ];
  const gone = (name: string) =>
    containers.some(
      ({ container, action }) => container === name && (action === "replaced" || action === "deleted"),
    );
  const changes: DataChange[] = [];
  if (gone("cache"))
    changes.push({
      what: "Cached answers and the counters of limits, which Redis keeps only in memory.",
      fate: "lost",
    });
  const volumes = volumesOf(after.plan);
  for (const name of volumesOf(before.plan).filter((name) => !volumes.includes(name)))
    changes.push({
      what: `The volume ${name}: nothing uses it any more. \`docker volume rm ${name}\` would delete it for good.`,
      fate: "kept",
    });
  const paths = writableOf(after.plan);
  for (const path of writableOf(before.plan).filter((path) => !paths.includes(path)))
    changes.push({ what: `The directory ${path}: nothing uses it any more.`, fate: "kept" });
  if (before.plan.dataDir !== after.plan.dataDir)
    changes.push({
      what: `Everything below ${before.plan.dataDir}, including weights: nothing moves to ${after.plan.dataDir}.`,
      fate: "kept",
    });
  return changes;
}

/** True when the two are on different engines. The login name does not matter. */
export function isOtherHost(before: Side, after: Side): boolean {
  const engine = ({ config: { host } }: Side) => {
    const { user: _, ...address } = sshAddress(host.docker) ?? { socket: host.docker };
    return stableJson(address);
  };
  return engine(before) !== engine(after);
}

function placeOf({ config: { host } }: Side): string {
  return sshAddress(host.docker) ? dockerHostName(host.docker) : `this machine (${host.docker})`;
}

function volumesOf(plan: BoxPlan): string[] {
  return servicesOf(plan).flatMap(({ volume }) => volume?.name ?? []);
}

function writableOf(plan: BoxPlan): string[] {
  return [
    ...new Set(servicesOf(plan).flatMap(({ writable }: ServicePlan) => writable.map(({ path }) => path))),
  ];
}

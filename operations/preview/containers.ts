import type { ServicePlan } from "../../configs/kit/containerPlan";
import { servicesOf } from "../../configs/kit/services";
import type { BoxPlan } from "../../configs/kit/types";
import type { DeployedBox } from "../../configs/plan/changeNotices";
import { fileReasons, inputReasons } from "./inputs";
import type { ContainerChange, Reason, Side } from "./types";

/** Hashes of everything that goes into a container and its files, which decide whether they are the same. */
export interface Identity {
  before: DeployedBox;
  after: DeployedBox;
}

/** Every changed container, in the order in which a box is made. */
export function containerChanges(
  before: Side | undefined,
  after: Side,
  identity: Identity | undefined,
): ContainerChange[] {
  const now = servicesOf(after.plan);
  const old = new Map((before ? servicesOf(before.plan) : []).map((service) => [nameOf(service), service]));
  const changes = now.flatMap((service) => {
    const was = old.get(nameOf(service));
    if (!before || !identity || !was) return [created(service, after.plan)];
    return changeOf({ side: before, service: was }, { side: after, service }, identity);
  });
  const names = new Set(now.map(nameOf));
  const deleted = [...old.values()].filter((service) => !names.has(nameOf(service)));
  return [...changes, ...deleted.map((service) => bare(service, "deleted"))];
}

interface Placed {
  side: Side;
  service: ServicePlan;
}

function changeOf(before: Placed, after: Placed, identity: Identity): ContainerChange[] {
  const { service } = after;
  const name = nameOf(service);
  const copies = copiesOf(name, identity);
  const known = ({ side, service }: Placed) => ({ service, secrets: side.secrets });
  if (identity.before.containers[name] !== identity.after.containers[name]) {
    const reasons = [
      ...inputReasons(known(before), known(after)),
      ...(name === "gateway" ? modelReasons(before.side.plan, after.side.plan) : []),
      ...(service.reloads ? [] : fileReasons(known(before), known(after))),
    ];
    return [{ ...bare(service, "replaced"), ...copies, reasons: orElse(reasons) }];
  }
  if (identity.before.files[name] !== identity.after.files[name])
    return [
      {
        ...bare(service, service.reloads ? "reloaded" : "written"),
        reasons: orElse(fileReasons(known(before), known(after))),
      },
    ];
  return copies.copies ? [{ ...bare(service, "scaled"), ...copies }] : [];
}

function bare(service: ServicePlan, action: ContainerChange["action"]): ContainerChange {
  return {
    container: nameOf(service),
    action,
    how: service.standIn ? "start-first" : service.container.replacement,
    reasons: [],
  };
}

function created(service: ServicePlan, { gateway }: BoxPlan): ContainerChange {
  const several = service === gateway && gateway.replicas > 1;
  return {
    ...bare(service, "created"),
    ...(several ? { copies: { before: 0, after: gateway.replicas } } : {}),
  };
}

function copiesOf(name: string, { before, after }: Identity): Pick<ContainerChange, "copies"> {
  if (name !== "gateway" || before.replicas === after.replicas) return {};
  return { copies: { before: before.replicas, after: after.replicas } };
}

/** Models are inputs of a gateway in their own right: a new or edited model makes another generation. */
function modelReasons(before: BoxPlan, after: BoxPlan): Reason[] {
  const [a, b] = [before.gateway.modelHashes, after.gateway.modelHashes];
  const words = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort().flatMap((name) => {
    if (a[name] === b[name]) return [];
    return a[name] === undefined
      ? `${name} added`
      : b[name] === undefined
        ? `${name} removed`
        : `${name} changed`;
  });
  return words.length > 0 ? [{ input: "models", detail: words.join(", ") }] : [];
}

/**
 * The hashes know more than the two configs: the last `up` may have used another gpubox, or another value of a secret.
 */
function orElse(reasons: Reason[]): Reason[] {
  if (reasons.length > 0) return reasons;
  return [{ input: "gpubox", detail: "its own code or a secret's value changed" }];
}

function nameOf({ container }: ServicePlan): string {
  return container.name;
}

import type { Problem } from "../../kit/problems";
import type { BoxPlan } from "../../kit/types";
import type { StackConfig } from "../../stack/config";
import { modelRefusals } from "./modelRefusals";
import { clusterOf } from "./names";
import type { KubernetesObject } from "./objects";

/** Bytes of a ConfigMap at most, by the API server; some are its own. */
const MOST_BYTES = 1024 ** 2 - 4096;

/** A label's value has so many characters. */
const LONGEST = 63;

/** What one host alone can do, of the stack's own sections; each with the way out. */
export function clusterRefusals(config: StackConfig, plan: BoxPlan, objects: KubernetesObject[]): Problem[] {
  return [
    ...stackRefusals(config, plan),
    ...gatewayRefusals(config),
    ...hostAddresses(config),
    ...modelRefusals(config, plan),
    ...objects.flatMap(tooLarge),
  ];
}

function stackRefusals(config: StackConfig, plan: BoxPlan): Problem[] {
  const problems: Problem[] = [];
  const { stack, jobs, joins } = config;
  if (plan.prefix.length > LONGEST || !/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(stack))
    problems.push({
      path: `Pulumi.${stack}.yaml`,
      what: `The stack's name is a label on a cluster, and no label is "${stack}".`,
      fix: `Rename the file: letters, digits, dashes, at most ${LONGEST - (plan.prefix.length - stack.length)}.`,
    });
  if (clusterOf(plan).namespace.length > LONGEST)
    problems.push({
      path: "gpubox:kubernetes.namespace",
      what: `The namespace ${clusterOf(plan).namespace} has more than ${LONGEST} characters.`,
      fix: "Name a shorter one.",
    });
  for (const name of Object.keys(jobs))
    problems.push({
      path: `gpubox:jobs.${name}`,
      what: "A job is a gateway beside the box, which Docker starts and stops by hand.",
      fix: "Take it out, and give the run a stack of its own with an own namespace.",
    });
  for (const name of Object.keys(joins))
    problems.push({
      path: `gpubox:joins.${name}`,
      what: "A cluster places all parts of a model over several nodes itself.",
      fix: "Take it out: the stack whose entry says `nodes` makes them.",
    });
  return problems;
}

function gatewayRefusals({ gateway }: StackConfig): Problem[] {
  const problems: Problem[] = [];
  const { auth, joinNetworks, tls, trajectories } = gateway;
  if (auth === "none")
    problems.push({
      path: "gpubox:gateway.auth",
      what: "On a cluster every pod reaches the edge, and without keys could use the models.",
      fix: "Write auth: key.",
    });
  for (const kind of ["clients", "upstreams"] as const)
    if (joinNetworks[kind].length > 0)
      problems.push({
        path: `gpubox:gateway.joinNetworks.${kind}`,
        what: "A cluster has no networks of Docker's to join.",
        fix:
          kind === "clients"
            ? "Take it out: pods reach the edge by its Service."
            : "Take it out, and name the servers by their Services: baseUrl: http://server.namespace:8000/v1.",
      });
  if (trajectories !== false)
    problems.push({
      path: "gpubox:gateway.trajectories",
      what: "Gateways on several nodes would write one log, which asks for a volume that many nodes write to.",
      fix: "Take it out, or log on a box of its own that routes to this one by engine: openai.",
    });
  if (tls?.acme)
    problems.push({
      path: "gpubox:gateway.tls.acme",
      what: "On a cluster no edge can answer a challenge alone.",
      fix: "Let cert-manager get the certificate for an Ingress or a Gateway before the edge's Service, and leave `tls` out.",
    });
  if (typeof tls?.certificate === "string")
    problems.push({
      path: "gpubox:gateway.tls.certificate",
      what: "A pod has no files of the host.",
      fix: "Put certificate and key into secrets: certificate: { secret: tlsCertificate }, key: { secret: tlsKey }.",
    });
  return problems;
}

/** Every text of the config that leads to the host of a container. */
function hostAddresses(config: StackConfig): Problem[] {
  const { models, gateway, observability } = config;
  return textsOf({ models, gateway, observability }, "gpubox:")
    .filter(({ text }) => /(^|[/@])host\.docker\.internal(?![\w.-])/.test(text))
    .map(({ path }) => ({
      path,
      what: "host.docker.internal is the host of a container, and a pod has none.",
      fix: "Write an address that the cluster's pods reach, or make a Service for it and write the Service's name.",
    }));
}

function textsOf(value: unknown, path: string): { path: string; text: string }[] {
  if (typeof value === "string") return [{ path, text: value }];
  if (Array.isArray(value)) return value.flatMap((inner, index) => textsOf(inner, `${path}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    textsOf(inner, path.endsWith(":") ? `${path}${key}` : `${path}.${key}`),
  );
}

function tooLarge(object: KubernetesObject): Problem[] {
  if (object.kind !== "ConfigMap") return [];
  const sizes = Object.entries(object.data).map(([name, text]) => ({ name, bytes: Buffer.byteLength(text) }));
  const all = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  if (all <= MOST_BYTES) return [];
  const largest = sizes.reduce((most, one) => (one.bytes > most.bytes ? one : most));
  return [
    {
      path: largest.name,
      what: `The files of ${object.metadata.labels?.["gpubox.role"]} have ${all} bytes together, and a ConfigMap takes ${MOST_BYTES}.`,
      fix: "Make the largest one smaller, or put it into an image of your own.",
    },
  ];
}

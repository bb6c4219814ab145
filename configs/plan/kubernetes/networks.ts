import type { BoxPlan } from "../../kit/types";
import { labelsOf, meta, roleLabels } from "./names";
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "./objects";

/** Who may connect to a part. */
export interface Guests {
  /** Parts of the box. */
  roles: string[];
  /** Others. */
  peers?: NetworkPolicyPeer[];
  /** Default: all. */
  ports?: number[];
}

/** Where a part may connect to: a part's port, all of its ports, or a port wherever it is. Names of the cluster can always be asked for. */
export type Way = { role: string; port?: number } | { anywhere: number };

interface Rules {
  /** `anybody` with these ports. */
  ingress: Guests[] | { anybody: number[] };
  /** Absent: everywhere, as on Docker's networks with a way out. */
  egress?: Way[];
}

const tcp = (port: number): NetworkPolicyPort => ({ port, protocol: "TCP" });

/** DNS, by whichever pods the cluster answers it. */
const NAMES: NetworkPolicyPort[] = [
  { port: 53, protocol: "UDP" },
  { port: 53, protocol: "TCP" },
];

/**
 * The policy of one part: what Docker's networks of the box let it do, and nothing else. The kubelet's probes and `kubectl
 * port-forward` come from the node and pass.
 */
export function networkPolicy(plan: BoxPlan, role: string, { ingress, egress }: Rules): NetworkPolicy {
  const rulesIn = Array.isArray(ingress)
    ? ingress.map(({ roles, peers = [], ports }) => ({
        from: [...roles.map((one) => pods(plan, one)), ...peers],
        ...(ports ? { ports: ports.map(tcp) } : {}),
      }))
    : [{ ports: ingress.anybody.map(tcp) }];
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: meta(plan, role),
    spec: {
      podSelector: { matchLabels: roleLabels(plan, role) },
      policyTypes: egress ? ["Ingress", "Egress"] : ["Ingress"],
      // The server drops an empty list, and would take it for a change at every apply. What is in `policyTypes` and not here is closed.
      ...(rulesIn.length > 0 ? { ingress: rulesIn } : {}),
      ...(egress && egress.length > 0
        ? { egress: [{ ports: NAMES }, ...egress.map((way) => wayOut(plan, way))] }
        : {}),
    },
  };
}

function wayOut(plan: BoxPlan, way: Way) {
  return "role" in way
    ? { to: [pods(plan, way.role)], ...(way.port ? { ports: [tcp(way.port)] } : {}) }
    : { ports: [tcp(way.anywhere)] };
}

function pods(plan: BoxPlan, role: string): NetworkPolicyPeer {
  return { podSelector: { matchLabels: roleLabels(plan, role) } };
}

/** Pods of the box that no other policy names may do nothing, whatever comes into the namespace. */
export function closedByDefault(plan: BoxPlan): NetworkPolicy {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { ...meta(plan, "box"), labels: labelsOf(plan, "box") },
    spec: {
      podSelector: { matchLabels: { "gpubox.stack": plan.stack } },
      policyTypes: ["Ingress"],
    },
  };
}

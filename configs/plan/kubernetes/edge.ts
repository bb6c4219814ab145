import type { ContainerPlan } from "../../kit/containerPlan";
import type { BoxPlan } from "../../kit/types";
import { EDGE_SERVICE } from "../cluster";
import { ADMIN_PORT, CLIENT_PORT, GATEWAY_PORT } from "../haproxy/edge";
import { HTTP_PORT } from "../haproxy/tls";
import { ADDS_FIRST, deployment } from "./deployment";
import { mountedFiles } from "./files";
import { clusterOf } from "./names";
import { networkPolicy } from "./networks";
import type { Service } from "./objects";
import type { Part } from "./part";
import { CONFIG_DIR, containerOf, memoryVolumes, podSpec, spread, template } from "./pod";
import { EDGE_ROLE, GATEWAY_ROLE } from "./roles";
import { disruptionBudget, service, servicePort } from "./service";

/** A node that goes takes one of them. */
const REPLICAS = 2;

/** Seconds that it goes on taking connections after its stop signal: a change of a Service reaches every node within them. */
const NOTICE_SECONDS = 5;

/** The HAProxy before the gateways. It holds requests while no gateway is ready, and knows nothing of generations. */
export function edgePart(plan: BoxPlan): Part {
  const cluster = clusterOf(plan);
  const container: ContainerPlan = {
    ...plan.edge.container,
    command: ["/etc/gpubox/entrypoint.sh"],
    env: { ...plan.edge.container.env, DRAIN_NOTICE_SECONDS: String(NOTICE_SECONDS) },
    // Here its requests go on elsewhere meanwhile, so they may take as long as at a gateway.
    stopGraceSeconds: plan.gateway.container.stopGraceSeconds,
  };
  const files = mountedFiles(plan, EDGE_ROLE, cluster.edge);
  const memory = memoryVolumes(container);
  const spec = podSpec(plan, container, {
    containers: [
      {
        ...containerOf(plan, container, [
          { name: files.volume.name, mountPath: CONFIG_DIR, readOnly: true },
          ...memory.mounts,
        ]),
        ports: [{ name: "clients", containerPort: CLIENT_PORT, protocol: "TCP" }],
      },
    ],
    volumes: [files.volume, ...memory.volumes],
  });
  return {
    secrets: files.secrets,
    objects: [
      ...files.objects,
      deployment(
        plan,
        EDGE_ROLE,
        {
          replicas: REPLICAS,
          progressDeadlineSeconds: container.readySeconds + 60,
          strategy: ADDS_FIRST,
        },
        template(plan, EDGE_ROLE, { ...spec, topologySpreadConstraints: spread(plan, EDGE_ROLE) }),
      ),
      clientsService(plan),
      service(plan, EDGE_ROLE, [servicePort("admin", ADMIN_PORT)], { name: `${EDGE_SERVICE}-admin` }),
      disruptionBudget(plan, EDGE_ROLE),
      networkPolicy(plan, EDGE_ROLE, {
        ingress: { anybody: clientPorts(plan).map(({ target }) => target) },
        egress: [{ role: GATEWAY_ROLE, port: GATEWAY_PORT }],
      }),
    ],
  };
}

function clientsService(plan: BoxPlan): Service {
  const { type, annotations } = clusterOf(plan).settings.service;
  const ports = clientPorts(plan).map(({ name, port, target }) => servicePort(name, port, target));
  const made = service(plan, EDGE_ROLE, ports, { name: EDGE_SERVICE });
  return {
    ...made,
    metadata: { ...made.metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: { ...made.spec, type },
  };
}

/** The admin port is for whoever may forward ports: it is in the cluster, and no policy lets a pod in. */
function clientPorts(plan: BoxPlan) {
  const isPlain = plan.edge.container.ports.find(({ containerPort }) => containerPort === HTTP_PORT);
  return [
    { name: "clients", port: clusterOf(plan).port, target: CLIENT_PORT },
    ...(isPlain ? [{ name: "plain", port: isPlain.port, target: HTTP_PORT }] : []),
  ];
}

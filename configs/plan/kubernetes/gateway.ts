import type { BoxPlan } from "../../kit/types";
import { GATEWAY_SERVICE } from "../cluster";
import { GATEWAY_PORT } from "../haproxy/edge";
import { ADDS_FIRST, deployment } from "./deployment";
import { type MountedFiles, mountedFiles } from "./files";
import { clusterOf, modelLabel } from "./names";
import { networkPolicy } from "./networks";
import type { Container, Probe } from "./objects";
import type { Part } from "./part";
import { CONFIG_DIR, containerOf, memoryVolumes, podSpec, spread, template } from "./pod";
import { ACCESS_ROLE, EDGE_ROLE, GATEWAY_ROLE, MIGRATION_ROLE, PROOF_ROLE } from "./roles";
import { disruptionBudget, service, servicePort } from "./service";

/** Seconds of one try to prove a starting gateway, and between two. */
const TRY_SECONDS = 20;
const PAUSE_SECONDS = 5;

/** Seconds beyond its own start after which a rollout counts as stuck: it waits for the migration, and that for a backup. */
const MIGRATION_SECONDS = 600;

/** What a gateway's generation says of a model that it serves. */
export interface ServedModel {
  name: string;
  hash: string;
  mode: string;
  prove: boolean;
}

/** Modes for which assets/gateway/prove.py has no request. */
const UNPROVABLE = ["audio_transcription", "audio_speech", "image_generation"];

/** The models of a gateway's generation that are proven, in the order of the config. */
export function provenModels({ gateway }: BoxPlan): ServedModel[] {
  const { models } = JSON.parse(gateway.description) as {
    models: Record<string, Omit<ServedModel, "name">>;
  };
  return Object.entries(models)
    .filter(([, { prove, mode }]) => prove && !UNPROVABLE.includes(mode))
    .map(([name, { hash, mode, prove }]) => ({ name, hash, mode, prove }));
}

/**
 * The gateways of one generation. A new one takes nothing from the old one before it is proven, and a generation that does not
 * start never gets a request.
 */
export function gatewayPart(plan: BoxPlan): Part {
  const { gateway, cluster } = { gateway: plan.gateway, cluster: clusterOf(plan) };
  const { container } = gateway;
  const files = mountedFiles(plan, GATEWAY_ROLE, gateway.directory);
  const migration = cluster.migration && mountedFiles(plan, MIGRATION_ROLE, cluster.migration, "migration");
  const memory = memoryVolumes(container);
  const main = containerOf(plan, container, [
    { name: files.volume.name, mountPath: CONFIG_DIR, readOnly: true },
    ...memory.mounts,
  ]);
  const spec = podSpec(plan, container, {
    ...(migration ? { initContainers: [awaitSchema(main, migration)] } : {}),
    containers: [
      {
        ...main,
        ports: [{ name: "http", containerPort: GATEWAY_PORT, protocol: "TCP" }],
        startupProbe: proof(container.readySeconds),
      },
    ],
    volumes: [files.volume, ...(migration ? [migration.volume] : []), ...memory.volumes],
  });
  const labels = Object.fromEntries(provenModels(plan).map(({ name, hash }) => [modelLabel(name), hash]));
  const replicas = cluster.gatewayReplicas;
  return {
    secrets: files.secrets,
    objects: [
      ...files.objects,
      deployment(
        plan,
        GATEWAY_ROLE,
        {
          replicas,
          progressDeadlineSeconds: container.readySeconds + (migration ? MIGRATION_SECONDS : 60),
          strategy: ADDS_FIRST,
        },
        template(
          plan,
          GATEWAY_ROLE,
          { ...spec, topologySpreadConstraints: spread(plan, GATEWAY_ROLE) },
          { ...labels, "gpubox.generation": gateway.generation },
        ),
      ),
      service(plan, GATEWAY_ROLE, [servicePort("http", GATEWAY_PORT)], { name: GATEWAY_SERVICE }),
      ...(replicas > 1 ? [disruptionBudget(plan, GATEWAY_ROLE)] : []),
      networkPolicy(plan, GATEWAY_ROLE, {
        ingress: [{ roles: [EDGE_ROLE, PROOF_ROLE, ACCESS_ROLE], ports: [GATEWAY_PORT] }],
      }),
    ],
  };
}

/**
 * The proof without a completion: ready, and lists what the config declares. Against its own description every model is unchanged,
 * so that a model which is down keeps no restarted gateway out.
 */
function proof(readySeconds: number): Probe {
  const prove = `exec python3 ${CONFIG_DIR}/prove.py --deadline ${TRY_SECONDS} < ${CONFIG_DIR}/generation.json`;
  return {
    exec: { command: ["sh", "-c", prove] },
    periodSeconds: PAUSE_SECONDS,
    timeoutSeconds: TRY_SECONDS + 5,
    failureThreshold: Math.ceil(readySeconds / PAUSE_SECONDS),
  };
}

function awaitSchema(gateway: Container, { volume }: MountedFiles): Container {
  const { startupProbe: _, readinessProbe: __, ...rest } = gateway;
  const wait = [
    `set -a; . ${CONFIG_DIR}/gateway.env; set +a; . ${CONFIG_DIR}/database.sh`,
    `exec python3 ${CONFIG_DIR}/await_schema.py`,
  ];
  return {
    ...rest,
    name: "await-schema",
    command: ["sh", "-c"],
    args: [wait.join("; ")],
    volumeMounts: [
      { name: volume.name, mountPath: CONFIG_DIR, readOnly: true },
      ...rest.volumeMounts.filter(({ mountPath }) => mountPath !== CONFIG_DIR),
    ],
  };
}

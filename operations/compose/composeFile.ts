import type { ContainerPlan, NetworkRole, ServicePlan } from "../../configs/kit/containerPlan";
import { deviceRequest } from "../../configs/kit/gpus";
import type { BoxPlan } from "../../configs/kit/types";
import { bracketed } from "../../configs/network/addresses";
import { servicesOf } from "../../configs/plan/box";
import { yamlForAll } from "./yaml";

/** What a box under Compose lacks. `up` prints it, and the file begins with it. */
export const COMPOSE_LOSES = [
  "A gateway change stops the old gateway before the new one is proven: requests fail for its start time.",
  "A bad config takes the gateway down; nothing keeps the old one serving.",
  "There is one gateway, whatever `gateway.replicas` says.",
  "A model with `start: manual` is started like the others.",
  "Instances of a model are replaced at the same time.",
  "There is no preview, no state and no drift check: Compose knows only what runs.",
];

/**
 * A box as a Compose file, for people who leave Pulumi and for hosts without a Pulumi engine. It is valid for
 * docker-compose 1.29 and for the v2 plugin. It holds no secret, and no `env_file:`, which leaks into `docker inspect`:
 * secrets stay in the files under `dataDir`, which `gpubox up` writes.
 */
export function composeFile(plan: BoxPlan): string {
  const services = servicesOf(plan);
  const document = {
    services: Object.fromEntries(
      services.map((service) => [service.container.name, composeService(plan, service)]),
    ),
    networks: Object.fromEntries(
      plan.networks.map(({ role, name, internal, external }) => [
        role,
        external ? { name, external } : { name, internal, labels: { "gpubox.stack": plan.stack } },
      ]),
    ),
    volumes: Object.fromEntries(
      services.flatMap(({ container, volume }) => (volume ? [[container.name, { name: volume.name }]] : [])),
    ),
  };
  return `${header(plan)}${yamlForAll(document)}`;
}

function header(plan: BoxPlan): string {
  const lines = [
    `The gpubox stack "${plan.stack}" as a Compose file. Start it: docker-compose -p ${plan.prefix} -f <this file> up -d`,
    `It needs the files under ${plan.dataDir} (configs, env files, model files), which \`gpubox up\` writes.`,
    "Against `pulumi up` it loses:",
    ...COMPOSE_LOSES.map((loss) => `- ${loss}`),
  ];
  return lines.map((line) => `# ${line}\n`).join("");
}

/** Name of a container under Compose. It is the same as under Pulumi, except for the gateway: Compose runs one fixed copy. */
export function composeContainerName(plan: BoxPlan, container: ContainerPlan): string {
  return `${plan.prefix}-${container.name}`;
}

/** Labels of the containers that Compose made for a box. */
export function projectLabels({ prefix }: BoxPlan): string[] {
  return [`com.docker.compose.project=${prefix}`];
}

/** Compose itself waits for Docker's look at what others depend on: all but the gateway. */
const AWAITED_SECONDS = 3;

function composeService(plan: BoxPlan, { container }: ServicePlan) {
  const c = container;
  return {
    image: c.image,
    container_name: composeContainerName(plan, c),
    entrypoint: c.entrypoint,
    command: c.command.map(escapeDollar),
    user: c.user,
    environment: mapValues(environment(plan, c), escapeDollar),
    ...(Object.keys(c.networks).length === 0 ? { network_mode: "none" } : { networks: composeNetworks(c) }),
    ...(c.hostGateway ? { extra_hosts: ["host.docker.internal:host-gateway"] } : {}),
    volumes: c.mounts.map((mount) => ({
      type: mount.kind === "volume" ? "volume" : "bind",
      source: mount.kind === "volume" ? c.name : mount.source,
      target: mount.target,
      read_only: mount.readOnly,
    })),
    tmpfs: Object.entries(c.tmpfs).map(([path, options]) => `${path}:${options}`),
    ports: c.ports.map(({ bind, port, containerPort }) => `${bracketed(bind)}:${port}:${containerPort}`),
    mem_limit: `${c.memoryMiB}m`,
    memswap_limit: `${c.memoryMiB}m`,
    pids_limit: c.pidsLimit,
    ...(c.shmMiB ? { shm_size: `${c.shmMiB}m` } : {}),
    read_only: c.readOnly,
    init: c.init,
    cap_drop: ["ALL"],
    ...(c.capAdd ? { cap_add: c.capAdd.map((name) => name.replace(/^CAP_/, "")) } : {}),
    security_opt: ["no-new-privileges:true", ...(c.securityOpts ?? [])],
    ...(c.ulimits
      ? { ulimits: Object.fromEntries(c.ulimits.map(({ name, soft, hard }) => [name, { soft, hard }])) }
      : {}),
    ...(c.ipc ? { ipc: c.ipc } : {}),
    ...(c.groupAdd ? { group_add: c.groupAdd } : {}),
    ...(c.devices ? { devices: c.devices.map((path) => `${path}:${path}`) } : {}),
    ...gpuReservation(c),
    healthcheck: {
      test: c.health.test.map(escapeDollar),
      interval: `${c.name === "gateway" ? c.health.intervalSeconds : AWAITED_SECONDS}s`,
      timeout: `${c.health.timeoutSeconds}s`,
      retries: c.health.retries,
      start_period: `${c.health.startPeriodSeconds}s`,
    },
    ...(c.stopSignal ? { stop_signal: c.stopSignal } : {}),
    stop_grace_period: `${c.stopGraceSeconds}s`,
    restart: "unless-stopped",
    logging: { driver: "json-file", options: { "max-size": "20m", "max-file": "5" } },
    labels: c.labels,
    ...dependencies(plan, c),
  };
}

function composeNetworks({ networks, addresses = {} }: ContainerPlan) {
  return Object.fromEntries(
    Object.entries(networks).map(([role, aliases]) => {
      const address = addresses[role as NetworkRole];
      return [role, { aliases, ...(address ? { ipv4_address: address } : {}) }];
    }),
  );
}

/** Compose demands a capability, which Docker ignores for CDI. */
function gpuReservation({ gpu }: ContainerPlan) {
  const request = deviceRequest(gpu);
  if (!request) return {};
  const { driver, ids } = request;
  return {
    deploy: {
      resources: { reservations: { devices: [{ driver, device_ids: ids, capabilities: ["gpu"] }] } },
    },
  };
}

/** The edge gets the gateway's name from its environment, because Compose has no switch. */
function environment(plan: BoxPlan, container: ContainerPlan): Record<string, string> {
  if (container.name !== "edge") return container.env;
  return { ...container.env, GPUBOX_UPSTREAM: composeContainerName(plan, plan.gateway.container) };
}

function dependencies(plan: BoxPlan, { name }: ContainerPlan) {
  const needed: (ServicePlan | undefined)[] = [];
  if (name === "gateway") needed.push(plan.cache, plan.database);
  if (name === "edge" && plan.certificates?.order === "before-edge") needed.push(plan.certificates);
  const services = needed.filter((service) => service !== undefined);
  if (services.length === 0) return {};
  return {
    depends_on: Object.fromEntries(services.map((s) => [s.container.name, { condition: "service_healthy" }])),
  };
}

/** Compose substitutes `$NAME`, so a dollar sign for the container's shell has to be doubled. */
function escapeDollar(text: string): string {
  return text.replaceAll("$", "$$$$");
}

function mapValues(
  record: Record<string, string>,
  change: (value: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

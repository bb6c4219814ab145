import { modelServers } from "../plan/box";
import { joinedMissing } from "../plan/joined";
import { startCommand } from "../plan/manual";
import type { BoxPlan, ModelServer } from "../plan/types";
import type { ContainerFacts, Facts } from "./facts";
import { type Finding, logsCommand, type Row, upCommand } from "./row";

/** Exit status of a process that got SIGKILL: the kernel's, where it ran out of memory. */
const KILLED = 137;

/** Share of its limit, in percent, at which a container is about to be killed. */
const FULL_PERCENT = 90;

/** A container's own memory setting in the stack config. */
function memoryKey(box: BoxPlan, role: string): string {
  const backend = modelServers(box).find(({ service }) => service.container.name === role);
  if (backend) return `gpubox:models.${backend.model}.memoryMiB`;
  return ["gateway", "cache", "database"].includes(role) ? `gpubox:${role}.memoryMiB` : "its memory limit";
}

export function containerOf(facts: Facts, role: string): ContainerFacts | undefined {
  return facts.containers?.find((one) => one.role === role);
}

/** A container that does not run well, in words. Undefined for one that does. */
export function ailment(container: ContainerFacts | undefined): string | undefined {
  if (!container) return "is not there";
  const { state, health, oomKilled, exitCode, error, restarts } = container;
  const last = container.lastWords ? `: ${container.lastWords}` : "";
  if (oomKilled && state !== "running") return "was killed: it needed more memory than its limit";
  if (state === "paused") return "is paused";
  if (state === "created") return error ? `did not start: ${error}` : "was made and never started";
  if (state === "restarting") return `ends again and again, ${restarts} times so far${last}`;
  if (state !== "running")
    return exitCode === 0 || exitCode === KILLED || exitCode === 143
      ? `was stopped (status ${exitCode})`
      : `ended with status ${exitCode}${last}`;
  if (health === "unhealthy") return `runs and does not answer${last}`;
  return undefined;
}

/** What to do about an ailing container that `up` starts. */
export function remedy(box: BoxPlan, container: ContainerFacts | undefined, role: string): string {
  if (container?.oomKilled)
    return `Raise ${memoryKey(box, role)} (now ${limitOf(box, role)} MiB), then ${upCommand(box)}.`;
  if (container?.state === "paused") return `Run \`docker unpause ${container.name}\`.`;
  if (container?.state === "running" || container?.state === "restarting")
    return `Read ${logsCommand(box, roleWord(box, role))}, then run \`docker restart ${container.name}\`.`;
  return `Run ${upCommand(box)}: it starts what should run.`;
}

function limitOf(box: BoxPlan, role: string): number | string {
  const all = [
    box.cache,
    box.database,
    box.gateway,
    box.edge,
    ...modelServers(box).map(({ service }) => service),
  ];
  return all.find((service) => service?.container.name === role)?.container.memoryMiB ?? "?";
}

/** What a person calls the part of the box that a container belongs to. */
function roleWord(box: BoxPlan, role: string): string {
  const backend = modelServers(box).find(({ service, valve }) =>
    [service, valve].some(({ container }) => container.name === role),
  );
  return backend?.model ?? role;
}

/** A person stopped it, or has not started it yet. */
function restsOnPurpose({ start }: ModelServer, container: ContainerFacts | undefined): boolean {
  if (start !== "manual" || !container || container.oomKilled) return false;
  return (
    container.state === "created" ||
    (container.state === "exited" && [0, KILLED, 143].includes(container.exitCode))
  );
}

function modelFinding(box: BoxPlan, facts: Facts, backend: ModelServer): Finding[] {
  const role = backend.service.container.name;
  const container = containerOf(facts, role);
  if (restsOnPurpose(backend, container)) return [];
  const model = `Model ${backend.instance}`;
  const ails = ailment(container);
  if (ails) {
    const manual = backend.start === "manual" && !container?.oomKilled;
    const fix = manual
      ? `Run \`${startCommand(box.stack, backend.instance)}\`.`
      : remedy(box, container, role);
    return [{ what: `${model}: its server ${ails}.`, fix }];
  }
  if (container?.health === "starting") {
    const { readySeconds } = backend.service.container;
    return [
      {
        what: `${model}: its server is loading.`,
        fix: `Wait; it gets ${readySeconds} s. ${logsCommand(box, backend.model)} shows how far it is.`,
      },
    ];
  }
  const valve = containerOf(facts, backend.valve.container.name);
  const valveAils = ailment(valve);
  if (!valveAils) return [];
  return [
    {
      what: `${model}: the valve before its server ${valveAils}.`,
      fix: remedy(box, valve, backend.valve.container.name),
    },
  ];
}

/** One container that everything depends on. */
function single(role: "cache" | "database" | "edge", called: string) {
  return (box: BoxPlan, facts: Facts): Finding[] | undefined => {
    if (!facts.containers?.length || !box[role]) return facts.containers && [];
    const container = containerOf(facts, role);
    const ails = ailment(container);
    return ails ? [{ what: `${called} ${ails}.`, fix: remedy(box, container, role) }] : [];
  };
}

export const containerRows: Row[] = [
  {
    id: "docker",
    symptom: "nothing answers, `docker` neither",
    cause: "the Docker engine does not run, or this user may not use it",
    check: ({ docker }, facts) => {
      if (facts.host.unreachable) return undefined;
      const said = facts.docker;
      if (said.state === "answers") return [];
      if (said.state === "no-cli")
        return [{ what: "There is no `docker` command here.", fix: "Run `npm run up`: it installs Docker." }];
      if (said.state === "denied")
        return [
          {
            what: "Docker runs, but this user may not use its socket.",
            fix: "Type `sudo usermod -aG docker $USER` and log in again; that group is root on this host.",
          },
        ];
      return [
        {
          what: `The Docker engine at ${docker} does not answer: ${said.reason}.`,
          fix: "Look at `journalctl -u docker`, or start it: `systemctl start docker`.",
        },
      ];
    },
  },
  {
    id: "box",
    symptom: "nothing answers, and `docker ps` is empty",
    cause: "the stack was never brought up, or was taken down",
    check: (box, { containers }) =>
      containers &&
      (containers.length > 0
        ? []
        : [{ what: `The stack ${box.stack} has no container here.`, fix: `Run ${upCommand(box)}.` }]),
  },
  {
    id: "network",
    symptom: "`network … not found`",
    cause: "somebody removed a network of the box",
    check: (box, { networks, containers }) =>
      networks &&
      containers &&
      (containers.length === 0 ? [] : box.networks.filter(({ name }) => !networks.includes(name))).map(
        ({ name, external }) => ({
          what: `The network ${name} is missing.`,
          fix: external
            ? joinedMissing(name, upCommand(box))
            : `Run \`pulumi up --refresh --stack ${box.stack}\`, or ${upCommand(box)}: it makes the network again.`,
        }),
      ),
  },
  {
    id: "edge",
    symptom: "`connection refused` at the box's port",
    cause: "the edge, which owns the ports, does not run",
    check: single("edge", "The edge"),
  },
  {
    id: "port",
    symptom: "another program answers at the box's port",
    cause: "it took the port while the edge was away",
    check: (box, { ports, containers }) =>
      ports &&
      containers &&
      ports
        .filter(({ holder }) => holder !== "free" && holder !== "this box")
        .map(({ port, bind, key, holder }) =>
          holder === "no address"
            ? {
                what: `This machine has no address ${bind} to open port ${port} on.`,
                fix: `Set gpubox:gateway.bind to one of its addresses (\`ip address\`), then ${upCommand(box)}.`,
              }
            : {
                what: `Port ${port} on ${bind} is held by ${holder}.`,
                fix: `Stop that, or set another ${key} in Pulumi.${box.stack}.yaml; then ${upCommand(box)}.`,
              },
        ),
  },
  {
    id: "gateway",
    symptom: "requests hang for a minute, then 503 `No gateway`",
    cause: "no gateway serves: it stopped, or does not answer",
    check: (box, facts) => {
      if (!facts.containers?.length) return facts.containers && [];
      const gateways = facts.containers.filter(({ role }) => role === "gateway");
      const serving = facts.edge?.gateways.filter(({ state }) => state === "serving") ?? [];
      if (serving.length > 0 || gateways.some((one) => !ailment(one) && one.health === "healthy")) return [];
      const [gateway] = gateways;
      if (gateway && !ailment(gateway))
        return [{ what: "The gateway is starting.", fix: "Wait; LiteLLM takes 7 to 15 s." }];
      return [{ what: `The gateway ${ailment(gateway)}.`, fix: remedy(box, gateway, "gateway") }];
    },
  },
  {
    id: "model",
    symptom: "503 `Model … is not available`; no model available",
    cause: "the model's server is down, loading, or was killed",
    check: (box, facts) =>
      facts.containers &&
      (facts.containers.length === 0
        ? []
        : modelServers(box).flatMap((backend) => modelFinding(box, facts, backend))),
  },
  {
    id: "redis",
    symptom: "Redis connection failed; limits and cache do nothing",
    cause: "Redis does not run, or knows another password than the gateway",
    check: (box, facts) => {
      const down = single("cache", "Redis")(box, facts);
      if (down === undefined || down.length > 0) return down;
      if (facts.redis === undefined || facts.redis === "PONG") return [];
      const refused = /WRONGPASS|NOAUTH/.test(facts.redis);
      return [
        {
          what: `Redis does not serve the gateway: ${facts.redis}.`,
          fix: refused
            ? `Run ${upCommand(box)}: it gives both the same password.`
            : `Read ${logsCommand(box, "cache")}.`,
        },
      ];
    },
  },
  {
    id: "postgres",
    symptom: "PostgreSQL connection failed; 401 for every virtual key",
    cause: "Postgres does not run, is not ready, or the gateway cannot connect",
    check: (box, facts) => {
      const down = single("database", "Postgres")(box, facts);
      if (down === undefined || down.length > 0)
        return down?.map((finding) =>
          finding.what.includes("gpubox: refused")
            ? { ...finding, fix: "See docs/data.md, “Guards of the database”." }
            : finding,
        );
      if (facts.postgres !== undefined && facts.postgres !== "ready")
        return [
          {
            what: `Postgres is not ready: ${facts.postgres}.`,
            fix: `Wait; then ${logsCommand(box, "database")}.`,
          },
        ];
      if (!box.gateway.usesDatabase || facts.databaseSeen === undefined || facts.databaseSeen === "connected")
        return [];
      return [
        {
          what: `The gateway says of its database: ${facts.databaseSeen}.`,
          fix: `Read ${logsCommand(box, "gateway")}; run ${upCommand(box)} for a new gateway.`,
        },
      ];
    },
  },
  {
    id: "memory",
    symptom: "a container restarts now and then with status 137",
    cause: "it reaches its memory limit",
    check: (box, { containers }) =>
      containers
        ?.filter(({ memoryPercent = 0 }) => memoryPercent >= FULL_PERCENT)
        .map(({ name, role, memoryPercent }) => ({
          what: `${name} uses ${Math.round(memoryPercent!)} % of its memory limit.`,
          fix: `Raise ${memoryKey(box, role)}, then ${upCommand(box)}.`,
        })),
  },
];

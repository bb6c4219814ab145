import type { BoxPlan, ModelServerPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import { missingNetworkFix } from "../../configs/plan/foreignNetworks";
import { startCommand } from "../../configs/plan/manual";
import { containerOf, fixFor, problemOf, stoppedByHand } from "./containerHealth";
import type { ContainerFacts, Facts } from "./facts";
import { gatewayRow } from "./gateways";
import { type Finding, logsCommand, type Row, upCommand } from "./row";

/** A person stopped it, or has not started it yet. */
function restsOnPurpose({ start }: ModelServerPlan, container: ContainerFacts | undefined): boolean {
  if (start !== "manual" || !container || container.oomKilled) return false;
  return container.state === "created" || stoppedByHand(container);
}

/** What is wrong with a model's server and with its valve: either alone makes requests wait. */
function modelFindings(box: BoxPlan, facts: Facts, backend: ModelServerPlan): Finding[] {
  return [...serverFindings(box, facts, backend), ...valveFindings(box, facts, backend)];
}

function serverFindings(box: BoxPlan, facts: Facts, backend: ModelServerPlan): Finding[] {
  const role = backend.service.container.name;
  const container = containerOf(facts, role);
  if (restsOnPurpose(backend, container)) return [];
  const server = `Model ${backend.instance}: its server`;
  const problem = problemOf(container);
  if (problem) {
    const manual = backend.start === "manual" && !container?.oomKilled && container?.state !== "paused";
    const fix = manual
      ? `Run \`${startCommand(box.stack, backend.instance)}\`.`
      : fixFor(box, container, role);
    return [{ what: `${server} ${problem}.`, fix }];
  }
  if (container?.health !== "starting") return [];
  const { readySeconds } = backend.service.container;
  const fix = `Wait; it gets ${readySeconds} s. ${logsCommand(box, backend.model)} shows how far it is.`;
  return [{ what: `${server} is loading.`, fix }];
}

function valveFindings(box: BoxPlan, facts: Facts, { instance, valve }: ModelServerPlan): Finding[] {
  const role = valve.container.name;
  const container = containerOf(facts, role);
  const problem = problemOf(container);
  if (!problem) return [];
  return [
    {
      what: `Model ${instance}: the valve in front of its server ${problem}.`,
      fix: fixFor(box, container, role),
    },
  ];
}

/** One container that everything depends on. */
function single(role: "cache" | "database" | "edge", called: string) {
  return (box: BoxPlan, facts: Facts): Finding[] | undefined => {
    if (!facts.containers?.length || !box[role]) return facts.containers && [];
    const container = containerOf(facts, role);
    const problem = problemOf(container);
    return problem ? [{ what: `${called} ${problem}.`, fix: fixFor(box, container, role) }] : [];
  };
}

export const containerRows: Row[] = [
  {
    id: "docker",
    symptom: "nothing answers, `docker` neither",
    cause: "the Docker engine is not running, or this user may not use it",
    check: ({ docker }, facts) => {
      if (facts.host.unreachable) return undefined;
      const said = facts.docker;
      if (said.state === "answers") return [];
      if (said.state === "no-cli")
        return [{ what: "There is no `docker` command here.", fix: "Run `gpubox up`: it installs Docker." }];
      if (said.state === "denied")
        return [
          {
            what: "Docker runs, but this user may not use its socket.",
            fix: "Type `sudo usermod -aG docker $USER` and log in again. Members of that group are root on this host.",
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
            ? missingNetworkFix(name, upCommand(box))
            : `Run \`pulumi up --refresh --stack ${box.stack}\`, or ${upCommand(box)}: it makes the network again.`,
        }),
      ),
  },
  {
    id: "edge",
    symptom: "`connection refused` at the box's port, or every request hangs",
    cause: "the edge, which owns the ports, does not run, is paused, or does not answer",
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
  gatewayRow,
  {
    id: "model",
    symptom: "503 `Model … is not available`; no model available",
    cause: "the model's server, or the valve before it, is down, loading, paused, hangs, or was killed",
    check: (box, facts) =>
      facts.containers &&
      (facts.containers.length === 0
        ? []
        : modelServers(box).flatMap((backend) => modelFindings(box, facts, backend))),
  },
  {
    id: "redis",
    symptom: "Redis connection failed; limits and cache do nothing",
    cause: "Redis does not run or answer, or knows another password than the gateway",
    check: (box, facts) => {
      const down = single("cache", "Redis")(box, facts);
      if (down === undefined || down.length > 0) return down;
      if (facts.redis === undefined) return box.cache && facts.containers?.length ? undefined : [];
      if (facts.redis === "PONG") return [];
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
    cause: "Postgres does not run or answer, is not ready, or the gateway cannot connect",
    check: (box, facts) => {
      const down = single("database", "Postgres")(box, facts);
      if (down === undefined || down.length > 0)
        return down?.map((finding) =>
          finding.what.includes("gpubox: refused")
            ? { ...finding, fix: "See docs/data.md, “Guards of the database”." }
            : finding,
        );
      if (facts.postgres === undefined && box.database && facts.containers?.length) return undefined;
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
    id: "auxiliary",
    symptom: "no new certificate, no metrics, no dashboards, no traces",
    cause: "a container that no request passes through does not run",
    check: (box, facts) =>
      facts.containers &&
      (facts.containers.length === 0 ? [] : auxiliaryRoles(box)).flatMap((role) => {
        const container = containerOf(facts, role);
        const problem = problemOf(container);
        return problem ? [{ what: `${role} ${problem}.`, fix: fixFor(box, container, role) }] : [];
      }),
  },
];

/** Roles of the containers that no request passes through. */
function auxiliaryRoles({ certificates, observability }: BoxPlan): string[] {
  const services = [...(certificates ? [certificates] : []), ...(observability?.services ?? [])];
  return services.map(({ container }) => container.name);
}

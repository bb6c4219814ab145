import { z } from "zod";
import { nearest } from "../../configs/kit/problems";
import type { BoxPlan, ModelServerPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import { gatewayYaml } from "../../configs/plan/gatewayYaml";
import { valveUrl } from "../../configs/plan/valve";
import { isServed } from "../../configs/stack/wildcards";
import { containerOf, problemOf } from "./containerHealth";
import type { Answer, Facts, Reachability } from "./facts";
import { type Finding, logsCommand, type Row, upCommand } from "./row";

/** CPU use in percent of one core: a gateway has one worker, so it cannot use more. */
const BUSY_PERCENT = 90;

const deployments = z.object({
  model_list: z.array(
    z.object({ model_name: z.string(), litellm_params: z.object({ api_base: z.string().optional() }) }),
  ),
});

const described = z.object({ models: z.record(z.string(), z.object({ prove: z.boolean() })) });

/** An address that the gateway sends a model's requests to. */
interface Upstream {
  model: string;
  target: string;
  /** The backend, when the address is a valve of this box. */
  backend?: ModelServerPlan;
  /** True when a person starts the server, so that it may be down. */
  manual: boolean;
}

/** Where the gateway sends requests, except to providers whose address only LiteLLM knows. */
export function upstreamsOf(box: BoxPlan): Upstream[] {
  const { models } = described.parse(JSON.parse(box.gateway.description));
  return deployments.parse(gatewayYaml(box)).model_list.flatMap(({ model_name, litellm_params }) => {
    if (!litellm_params.api_base || !URL.canParse(litellm_params.api_base)) return [];
    const target = hostPort(litellm_params.api_base);
    const backend = modelServers(box).find(({ instance }) => hostPort(valveUrl(instance)) === target);
    return [{ model: model_name, target, backend, manual: models[model_name]?.prove === false }];
  });
}

function hostPort(address: string): string {
  const { hostname, port, protocol } = new URL(address);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

/** Addresses that a gateway must reach, as `host:port`. */
export function upstreamAddresses(box: BoxPlan): string[] {
  return [...new Set(upstreamsOf(box).map(({ target }) => target))];
}

const MET: Record<Exclude<Reachability, "open">, string> = {
  refused: "the connection is refused",
  "unknown name": "nobody knows that name",
  "no answer": "nothing answers",
};

/** How many requests a server handles at the same time, if its command line says so. */
export function concurrencyOf({ service }: ModelServerPlan): number | undefined {
  const { command } = service.container;
  const flags = ["--parallel", "--max-num-seqs", "--max-running-requests"];
  const index = command.findIndex((word) => flags.includes(word));
  const parallel = Number(command[index + 1]);
  return index >= 0 && Number.isInteger(parallel) ? parallel : undefined;
}

function reachFindings(box: BoxPlan, facts: Facts): Finding[] | undefined {
  const { reach, valves = {} } = facts;
  const outside = reach
    ? upstreamsOf(box).flatMap(({ model, target, backend, manual }) => {
        const met = reach[target];
        if (!met || met === "open") return [];
        // The row `model` reports a valve that does not run.
        if (backend ? problemOf(containerOf(facts, backend.valve.container.name)) : manual) return [];
        return [
          {
            what: `Model ${model}: the gateway cannot reach ${target}: ${MET[met]}.`,
            fix: backend
              ? rejoin(box, backend.valve.container.name, "models")
              : `Correct gpubox:models.${model}.baseUrl, or start that server; on this host it must listen on more than loopback.`,
          },
        ];
      })
    : [];
  const inside = modelServers(box).flatMap((backend) => {
    const { name } = backend.service.container;
    const container = containerOf(facts, name);
    const away = /^(DOWN|MAINT)/.test(valves[backend.instance]?.status ?? "");
    if (!away || problemOf(container) || container?.health !== "healthy") return [];
    return [
      {
        what: `Model ${backend.instance}: its server is well, but its valve cannot reach ${name}.`,
        fix: rejoin(box, name, "backends"),
      },
    ];
  });
  return reach || facts.valves ? [...outside, ...inside] : undefined;
}

function rejoin({ prefix, stack }: BoxPlan, role: string, network: string): string {
  const container = `${prefix}-${role}`;
  return `Run \`docker network connect --alias ${role} ${prefix}-${network} ${container}\`, or \`docker rm -f ${container}\` and \`gpubox up --stack ${stack}\`.`;
}

function slowFindings(box: BoxPlan, facts: Facts): Finding[] | undefined {
  if (!facts.valves) return undefined;
  const queues = modelServers(box).flatMap((backend) => {
    const { running = 0, held = 0 } = facts.valves?.[backend.instance] ?? {};
    const parallel = concurrencyOf(backend);
    if (parallel === undefined || running + held <= parallel) return [];
    return [
      {
        what: `Requests queue: ${backend.instance} has ${running + held} and handles ${parallel} at a time.`,
        fix: `Cache answers (gpubox:cache.ttlSeconds), let it handle more at a time if its memory allows, or add an instance to gpubox:models.${backend.model}.`,
      },
    ];
  });
  const busy = (facts.containers ?? [])
    .filter(({ role, cpuPercent = 0 }) => role === "gateway" && cpuPercent >= BUSY_PERCENT)
    .map(({ name, cpuPercent }) => ({
      what: `${name} has its one core busy (${Math.round(cpuPercent!)} %).`,
      fix: `Raise gpubox:gateway.replicas, then ${upCommand(box)}.`,
    }));
  return [...queues, ...busy];
}

function status(answer: Answer | undefined): number | undefined {
  return answer && "status" in answer ? answer.status : undefined;
}

export const routingRows: Row[] = [
  {
    id: "reach",
    symptom: "`connection refused` or `cannot connect to host` from LiteLLM",
    cause: "a name or network differs from the config, so the gateway cannot reach the model's server",
    check: reachFindings,
  },
  {
    id: "key",
    symptom: "401 `asks for a valid key` with the right key",
    cause: "the key of the stack config, or the client's, is not the one that the box accepts",
    check: (box, { listed, clientKey }) => {
      if (status(listed) === undefined && status(clientKey) === undefined) return undefined;
      const own =
        status(listed) === 401
          ? [
              {
                what: "The box does not accept the master key of the stack config, which changed since the last `up`.",
                fix: `Run ${upCommand(box)}: it activates the new key without an outage.`,
              },
            ]
          : [];
      const theirs =
        status(clientKey) === 401
          ? [
              {
                what: "The box does not accept the client's key.",
                fix: `Give the client the right one: \`pulumi config get gpubox:masterKey --stack ${box.stack}\`, or a virtual key.`,
              },
            ]
          : [];
      return [...own, ...theirs];
    },
  },
  {
    id: "unknown-model",
    symptom: "400 `Invalid model name passed in`",
    cause: "a client writes a name that the stack config does not declare",
    level: "note",
    check: (box, { unknownModels, clientModel }) => {
      if (!unknownModels && clientModel === undefined) return undefined;
      const asked = [...(unknownModels ?? []), ...(clientModel === undefined ? [] : [clientModel])];
      return [...new Set(asked)]
        .filter((name) => !isServed(name, box.models))
        .map((name) => {
          const near = nearest(name, box.models);
          return {
            what: `A client asks for the model ${JSON.stringify(name)}, which the stack config does not declare.`,
            fix: near
              ? `Write "${near}" in the client, or declare the name as an alias of that model.`
              : `Write one of ${box.models.join(", ") || "none yet"} in the client, or declare the model.`,
          };
        });
    },
  },
  {
    id: "slow",
    symptom: "high latency",
    cause: "more requests than the server handles at a time, nothing cached, or a gateway at its limit",
    check: slowFindings,
  },
  {
    id: "changed",
    symptom: "a change of the stack config does nothing",
    cause: "nobody ran `up` since",
    level: "note",
    check: (box, { edge }) => {
      if (!edge?.generation) return undefined;
      if (edge.generation === box.gateway.generation) return [];
      return [
        {
          what: `The config plans the gateway ${box.gateway.generation}, but ${edge.generation} serves.`,
          fix: `Run ${upCommand(box)}; if it failed, its last lines say why.`,
        },
      ];
    },
  },
  {
    id: "draining",
    symptom: "`up` waits at its end; two gateways run",
    cause: "an old gateway still finishes requests",
    level: "note",
    check: (box, { edge }) =>
      edge?.gateways
        .filter(({ state, requests }) => state === "draining" && requests > 0)
        .map(({ gateway, requests }) => ({
          what: `${gateway} drains: it has ${requests} request${requests === 1 ? "" : "s"} to finish.`,
          fix: `Wait, at most ${box.gateway.drainSeconds} s; ${logsCommand(box, "gateway")} shows both.`,
        })),
  },
];

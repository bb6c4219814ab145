import { table } from "../../configs/kit/table";
import type { BoxPlan, ModelServerPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import type { StackConfig } from "../../configs/stack/config";
import { instancesOf, namesOf, throughGateway } from "../../configs/stack/instances";
import type { ContainerFacts, ValveFacts } from "../doctor/facts";

/** The current state of one instance of a declared model. */
export interface ModelStatus {
  model: string;
  instance: string;
  engine: string;
  /** Other names that clients may use for the model. */
  aliases: string[];
  /** Whether the box lists the model to clients; null when it could not be asked, and for a model that no gateway serves. */
  listed: boolean | null;
  /** Whether its server runs; null for one outside this box's containers. */
  up: boolean | null;
  /** Whether its server accepts requests; null for a model that loads on demand. */
  loaded: boolean | null;
  /** The state in a word or two, for people. */
  state: string;
  /** Requests that ended in the last minute; null when nobody counts them. */
  requestsPerMinute: number | null;
  /** Current requests, including waiting ones. */
  requestsNow: number | null;
  /** Processes of its server that the kernel killed because memory ran out, within a day; null outside this box's containers. */
  memoryKills: number | null;
}

/** Observations of the box. */
export interface ModelFacts {
  containers: ContainerFacts[];
  /** State of each instance's valve. */
  valves: Record<string, ValveFacts>;
  /** Requests that each instance's valve logged in the last minute. */
  lastMinute: Record<string, number>;
  /** The list of `/v1/models`; undefined when it did not answer. */
  listed?: string[];
}

/** Every declared model, with one line for each instance. */
export function modelStatus(config: StackConfig, box: BoxPlan, facts: ModelFacts): ModelStatus[] {
  return Object.entries(config.models).flatMap(([model, entry]) =>
    instancesOf(model, entry).map(({ id: instance }) => {
      const common = declaredModel(model, instance, entry, facts.listed);
      const backend = modelServers(box).find((one) => one.instance === instance);
      if (!backend) {
        const nothing = {
          up: null,
          loaded: null,
          requestsPerMinute: null,
          requestsNow: null,
          memoryKills: null,
        };
        return { ...common, ...nothing, state: "elsewhere" };
      }
      const container = facts.containers.find(({ role }) => role === backend.service.container.name);
      const valve = facts.valves[instance];
      const up = container?.state === "running";
      const serves = up && valve?.status === "UP";
      const onDemand = backend.start === "ondemand";
      return {
        ...common,
        up,
        // Only its slot knows whether it is in memory.
        loaded: serves && onDemand ? null : serves,
        state: `${serves ? (onDemand ? "loads on demand" : "loaded") : stateOf(container, backend.start)}${killed(container)}`,
        requestsPerMinute: facts.lastMinute[instance] ?? null,
        requestsNow: valve ? valve.running + valve.held : null,
        memoryKills: container?.memoryKills?.count ?? 0,
      };
    }),
  );
}

/** What is known of a model by its entry, and by the list of `/v1/models`. */
export function declaredModel(
  model: string,
  instance: string,
  entry: StackConfig["models"][string],
  listed: string[] | undefined,
): Pick<ModelStatus, "model" | "instance" | "engine" | "aliases" | "listed"> {
  return {
    ...{ model, instance, engine: entry.engine },
    aliases: namesOf(model, entry).slice(1),
    listed: listed && throughGateway(entry) ? listed.includes(model) : null,
  };
}

/** What the health check says of an engine that was ended before the host froze (assets/backend/memory.sh). */
const STARVED = /^the host had (\d+) MiB of memory left/;

function stateOf(container: ContainerFacts | undefined, start: ModelServerPlan["start"]): string {
  if (!container) return "not brought up";
  if (container.state === "running") {
    if (container.health === "healthy") return "not reached";
    const [, left] = STARVED.exec(container.healthSays ?? "") ?? [];
    return left ? `ended, the host had ${left} MiB of memory left` : "loading";
  }
  if (start === "manual" && !container.oomKilled) return "not started";
  // Some versions of Docker forget the mark, and the kernel's log does not.
  const killed = container.oomKilled || (container.memoryKills && container.exitCode === 137);
  return killed ? "killed, out of memory" : container.state;
}

/** What a person should know although it runs again. One that is down says it by its state. */
function killed(container: ContainerFacts | undefined): string {
  if (!container?.memoryKills || container.state === "exited") return "";
  const { count, limit } = container.memoryKills;
  const times = count === 1 ? "once" : `${count} times`;
  return `, killed ${times} ${limit === "host" ? "when the host had no memory left" : "at its memory limit"}`;
}

/** The table for people. */
export function statusTable(all: ModelStatus[]): string {
  const figure = (value: number | null) => (value === null ? "–" : String(value));
  const rows = all.map(
    ({ model, instance, engine, state, listed, requestsPerMinute, requestsNow, aliases }) => [
      instance === model ? model : `${model} (${instance})`,
      engine,
      listed === false ? `${state}, not served yet` : state,
      figure(requestsPerMinute),
      figure(requestsNow),
      aliases.join(", "),
    ],
  );
  const head = ["MODEL", "ENGINE", "STATE", "REQUESTS/MIN", "NOW", "ALSO CALLED"];
  return table(head, rows, () => false).join("\n");
}

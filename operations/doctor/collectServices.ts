import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import { edgeGateways } from "../../platform/box/edge";
import { inGateway } from "../../platform/box/gateway";
import { parseJson } from "../../platform/json";
import type { Facts, ValveFacts } from "./facts";
import { upstreamAddresses } from "./routing";
import { execWithin, LOOK_MS } from "./timeLimits";

/** One table of HAProxy's statistics: field name to value, a row for each server. */
export function parseStat(csv: string): Record<string, string>[] {
  const lines = csv.split("\n").filter((line) => line.includes(","));
  const head =
    lines
      .find((line) => line.startsWith("# "))
      ?.slice(2)
      .split(",") ?? [];
  return lines
    .filter((line) => !line.startsWith("# "))
    .map((line) => Object.fromEntries(line.split(",").map((value, index) => [head[index] ?? "", value])));
}

/** How each valve sees its backend, without the valves that do not answer. */
export async function valvesOf(box: BoxPlan): Promise<Record<string, ValveFacts>> {
  const ask = 'source /etc/gpubox/control.sh; ask "@1 show stat model 4 -1"';
  const looks = modelServers(box).map(async ({ instance, valve }) => {
    const { stdout } = await execWithin(box, `${box.prefix}-${valve.container.name}`, ["bash", "-c", ask]);
    const facts = valveFacts(stdout);
    return facts ? [[instance, facts] as const] : [];
  });
  return Object.fromEntries((await Promise.all(looks)).flat());
}

/** How a valve sees its backend, from its table of servers; undefined where it gave none. */
export function valveFacts(csv: string): ValveFacts | undefined {
  const servers = parseStat(csv);
  const backend = servers.find(({ svname }) => svname === "backend");
  const waiting = servers.find(({ svname }) => svname === "waiting");
  if (!backend) return undefined;
  return { status: backend.status!, running: Number(backend.scur), held: Number(waiting?.scur ?? 0) };
}

const serving = z.object({ generation: z.string() });

/** Asks the edge which generation serves, and for the state of each gateway. Undefined where it does not answer. */
export async function edgeOf(box: BoxPlan): Promise<Facts["edge"]> {
  const [gateways, written] = await Promise.all([
    edgeGateways(box, LOOK_MS),
    execWithin(box, `${box.prefix}-edge`, ["cat", "/var/lib/gpubox/serving.json"]),
  ]);
  if (!gateways) return undefined;
  const generation = written.code === 0 ? serving.safeParse(parseJson(written.stdout)).data : undefined;
  return { generation: generation?.generation, gateways };
}

const looked = z.object({
  reach: z.record(z.string(), z.enum(["open", "refused", "unknown name", "no answer"])),
  redis: z.string().nullable(),
});

/** Highest number of gateways to ask. One of them may hang, and each costs the host a Python process. */
const MOST_ASKED = 3;

/** Which upstreams the first answering gateway can reach, and whether it can reach Redis. */
export async function gatewayConnections(
  box: BoxPlan,
  gateways: string[],
): Promise<Pick<Facts, "reach" | "redis">> {
  const looks = await Promise.all(
    gateways.slice(0, MOST_ASKED).map((gateway) => connectionsFrom(box, gateway)),
  );
  return looks.find(({ reach }) => reach) ?? {};
}

async function connectionsFrom(box: BoxPlan, gateway: string): Promise<Pick<Facts, "reach" | "redis">> {
  const targets = { GPUBOX_TARGETS: upstreamAddresses(box).join(" ") };
  const result = await inGateway({ box, gateway }, "look.py", targets, LOOK_MS);
  const answer = looked.safeParse(parseJson(result.stdout));
  if (!answer.success) return {};
  return { reach: answer.data.reach, redis: answer.data.redis ?? undefined };
}

/** `ready`, or why Postgres is not ready; undefined for a box without its own. */
export async function postgresReadiness(box: BoxPlan): Promise<string | undefined> {
  if (!box.database) return undefined;
  const container = `${box.prefix}-${box.database.container.name}`;
  const ask = 'PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)" pg_isready -h 127.0.0.1 -U litellm -d litellm';
  const { code, stdout, stderr } = await execWithin(box, container, ["sh", "-c", ask]);
  return code === 0 ? "ready" : `${stdout}${stderr}`.trim().split("\n").at(-1) || undefined;
}

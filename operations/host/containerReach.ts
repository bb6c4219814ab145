import { isIP } from "node:net";
import { planNetworks } from "../../configs/plan/networks";
import type { StackConfig } from "../../configs/stack/config";

/** The parts of the host that a box's containers may connect to. */
export interface ContainerReach {
  /** An address of the host and a port; `*` is each of its addresses. */
  open: { address: string; port: number }[];
  /** True: the cloud's metadata addresses too, for models that use the machine's role. */
  metadata: boolean;
  /** Bridges of the box's networks, existing or not. */
  bridges: string[];
}

const URL_PARTS = /\b([a-z][a-z0-9+.-]*):\/\/(?:[^\s/@]*@)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?/gi;

const DEFAULT_PORTS: Record<string, number> = {
  http: 80,
  https: 443,
  redis: 6379,
  rediss: 6379,
  postgres: 5432,
  postgresql: 5432,
};

/** Providers that sign calls with the machine's role when an entry names no credentials. */
const BY_ROLE = ["bedrock", "sagemaker", "vertex_ai", "vertex_ai_beta"];

/** Suffixes of names that no public server has. */
const PRIVATE_NAMES = /\.(local|lan|home|internal|intranet|localdomain|home\.arpa|ts\.net)$/i;

/** Derives from a stack's config where its containers connect to, as far as that may be the host itself. */
export function containerReach(config: StackConfig): ContainerReach {
  const { host, ...rest } = config;
  const found = [...strings(rest)]
    .flatMap((text) => [...text.matchAll(URL_PARTS)])
    .flatMap(([, scheme, name, port]) => {
      const number = Number(port ?? DEFAULT_PORTS[scheme!.toLowerCase()]);
      const address = addressOf(name!, config);
      return address && number >= 1 && number <= 65535 ? [{ address, port: number }] : [];
    });
  const declared = host.openToContainers.map((port) => ({ address: "*", port }));
  const distinct = new Map([...declared, ...found].map((one) => [`${one.address} ${one.port}`, one]));
  return {
    open: [...distinct.keys()].sort().map((key) => distinct.get(key)!),
    metadata: Object.values(config.models).some((model) => usesRole(model)),
    bridges: planNetworks(config).flatMap(({ bridge }) => bridge ?? []),
  };
}

/** The address itself; `*` for a name that may be the host's; undefined for any other host. */
function addressOf(name: string, { gateway }: StackConfig): string | undefined {
  const bare = name.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (isIP(bare)) return bare;
  const own = gateway.hosts.some((one) => one.toLowerCase() === bare);
  return bare === "host.docker.internal" || own || !bare.includes(".") || PRIVATE_NAMES.test(bare)
    ? "*"
    : undefined;
}

function usesRole(model: StackConfig["models"][string]): boolean {
  if (model.engine !== "cloud") return false;
  const accounts = [model, ...(model.instances ?? [])].map((one) => ({ ...model, ...one }));
  return accounts.some(
    ({ model: name = "", apiKey, aws, vertex }) =>
      BY_ROLE.includes(name.split("/")[0]!) && apiKey === "none" && !aws?.accessKeyId && !vertex?.credentials,
  );
}

function* strings(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (value !== null && typeof value === "object")
    for (const inner of Object.values(value)) yield* strings(inner);
}

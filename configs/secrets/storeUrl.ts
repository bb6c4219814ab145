import { isOwnLoopback } from "./loopback";

/** What a secret may hold the address of: the stores, and who is told of alerts. */
export type AddressOf = "cache" | "database" | "webhook";

/** What a store's address may be, and what of it does not arrive at every program that connects there. */
const STORES: Record<AddressOf, { scheme: RegExp; example: string }> = {
  cache: { scheme: /^rediss?:$/, example: "redis://<user>:<password>@<host>:6379/<number>" },
  database: { scheme: /^postgres(ql)?:$/, example: "postgresql://<user>:<password>@<host>:5432/<database>" },
  webhook: { scheme: /^https?:$/, example: "https://<host>/<path>" },
};

const LOOPBACK = "leads to a container's own loopback; host.docker.internal is this host";

/** Why a text is no address of each store, in words that say nothing of it; stores that it suits are left out. */
export function unfitAddress(value: string): Partial<Record<AddressOf, string>> {
  const found = (Object.keys(STORES) as AddressOf[]).map((store) => [store, unfitFor(store, value)] as const);
  return Object.fromEntries(found.filter(([, why]) => why !== undefined));
}

/** How such an address is written. */
export function storeExample(store: AddressOf): string {
  return STORES[store].example;
}

function unfitFor(store: AddressOf, value: string): string | undefined {
  const odd = "has a character in its login that a URL gives another meaning (# / ? @ : %)";
  if (!STORES[store].scheme.test(/^([\w+.-]+:)\/\//.exec(value)?.[1]?.toLowerCase() ?? ""))
    return `does not begin with ${STORES[store].example.split(":")[0]}://`;
  if (!URL.canParse(value)) return value.includes("@") ? odd : "is no address: look at its host and its port";
  const url = new URL(value);
  if (store === "webhook") return isOwnLoopback(url.hostname) ? LOOPBACK : undefined;
  if (url.hash !== "" || value.split("://")[1]!.split("/")[0]!.split("@").length > 2) return odd;
  if (!decodes(url.password) || !decodes(url.username)) return odd;
  if (url.hostname === "") return "names no host; a socket of the host is in no container";
  if (isOwnLoopback(url.hostname)) return LOOPBACK;
  return store === "cache" ? ofRedis(url) : ofPostgres(url);
}

/** LiteLLM gets the parts of the address, and none of its options. */
function ofRedis(url: URL): string | undefined {
  if (!/^(\/\d*)?$/.test(url.pathname)) return "has a path that is no number of a database";
  return url.search === "" ? undefined : "has options, which LiteLLM would not get";
}

function ofPostgres(url: URL): string | undefined {
  if (/^\/?$/.test(url.pathname)) return "names no database";
  return url.searchParams.get("host")?.startsWith("/")
    ? "names a socket of the host, which is in no container"
    : undefined;
}

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

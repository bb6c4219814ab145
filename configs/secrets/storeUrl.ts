import { isOwnLoopback } from "./loopback";

/** The stores that a secret may hold the address of. */
export type AddressOf = "cache" | "database";

/** What a store's address may be, and what of it does not arrive at every program that connects there. */
const STORES: Record<AddressOf, { scheme: RegExp; example: string }> = {
  cache: { scheme: /^redis:$/, example: "redis://:<password>@<host>:6379" },
  database: { scheme: /^postgres(ql)?:$/, example: "postgresql://<user>:<password>@<host>:5432/<database>" },
};

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
  if (!URL.canParse(value)) return odd;
  const url = new URL(value);
  if (!STORES[store].scheme.test(url.protocol))
    return `does not begin with ${STORES[store].example.split(":")[0]}://`;
  if (url.hash !== "" || value.split("://")[1]!.split("/")[0]!.split("@").length > 2) return odd;
  if (!decodes(url.password) || !decodes(url.username)) return odd;
  if (url.hostname === "") return "names no host; a socket of the host is in no container";
  if (isOwnLoopback(url.hostname))
    return "leads to a container's own loopback; host.docker.internal is this host";
  return store === "cache" ? ofRedis(url) : ofPostgres(url);
}

/** LiteLLM gets host, port and password, and nothing else of the address. */
function ofRedis(url: URL): string | undefined {
  if (url.username !== "" && url.username !== "default") return "names a user, which LiteLLM would not get";
  if (!["", "/", "/0"].includes(url.pathname)) return "names a database number, which LiteLLM would not get";
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

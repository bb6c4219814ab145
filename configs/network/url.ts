import type { Problem } from "../kit/problems";
import { isOwnLoopback } from "../secrets/loopback";

/** How an address is used. */
export interface UrlUse {
  /**
   * `versioned`: routes like /chat/completions are put behind it, so that it ends with the API's version. `root`: the API's
   * own paths are put behind it. `whole`: it is asked as it stands.
   */
  kind: "versioned" | "root" | "whole";
  /** True: gateways of this box ask it, for which loopback is their container's own. Default: somebody elsewhere does. */
  gateway?: true;
  /** Where a login belongs instead of the address. */
  login: string;
}

/** Where a server's login belongs instead of its address. */
export const KEY_BELONGS = "Put the key into a secret and name it in `apiKey: { secret: … }`.";

/** Routes that are put behind an address, the longest first. */
const ROUTE =
  /\/(chat\/completions|completions|embeddings|rerank|responses|messages|audio\/(transcriptions|translations|speech)|images\/generations|models|api\/(chat|generate|embed|embeddings|tags))\/*$/;

/** Mistakes in an address of a server. At most one: the next would only follow from it. */
export function urlProblems(value: string, path: string, use: UrlUse): Problem[] {
  const found = mistakeIn(value, use);
  if (!found) return [];
  if (!("instead" in found)) return [{ path, ...found }];
  const { what, write, instead, more = "" } = found;
  return [{ path, what, fix: `${write} ${shown(settled(instead, use))}${more}.` }];
}

type Mistake =
  | { what: string; fix: string }
  | { what: string; write: string; instead: string; more?: string };

/** An address for people: what stands behind ? and # may be a key. */
function shown(value: string): string {
  const [, base = "", query = "", fragment = ""] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(value) ?? [];
  const parts = query
    .slice(1)
    .split("&")
    .map((part) => {
      const [name = "", ...rest] = part.split("=");
      if (name === "api-version") return part;
      return rest.length > 0 ? `${name}=…` : "…";
    });
  return `${base}${query.length > 1 ? `?${parts.join("&")}` : query}${fragment.length > 1 ? "#…" : fragment}`;
}

/** An address without the mistakes that a correction may still have. */
function settled(value: string, use: UrlUse): string {
  const found = mistakeIn(value, use);
  return found && "instead" in found ? settled(found.instead, use) : value;
}

function mistakeIn(value: string, use: UrlUse): Mistake | undefined {
  const url = parsed(value);
  if (hasLogin(value, url))
    return { what: "The URL carries credentials, which would be stored in plaintext.", fix: use.login };
  if (!url) return notWhole(value, use);
  const write = "Write";
  if (url.hash)
    return {
      what: `"${shown(value)}" has a fragment, which is never sent.`,
      write,
      instead: based(url, url.pathname, use),
    };
  if (url.search && use.kind !== "whole") {
    const version = url.searchParams.get("api-version");
    const more = version ? `, and apiVersion: ${version}` : "";
    const what = `"${shown(value)}" has a query, and routes are put behind it.`;
    return { what, write, instead: based(url, url.pathname, use), more };
  }
  const route = use.kind === "whole" ? null : ROUTE.exec(url.pathname);
  if (route) {
    const what = `"${shown(value)}" ends in a route, which would be there twice.`;
    return { what, write, instead: based(url, url.pathname.slice(0, route.index), use) };
  }
  if (use.gateway && isOwnLoopback(url.hostname)) return loopback(url, use);
  if (use.kind === "versioned" && trimmed(url.pathname) === "")
    return { what: `"${shown(value)}" does not end in /v1.`, write, instead: based(url, "", use) };
  return undefined;
}

/** As a program reads it that does not mend addresses as browsers do. */
function parsed(value: string): URL | undefined {
  if (!/^https?:\/\/[^\s\\/?#]+[^\s\\]*$/i.test(value) || !URL.canParse(value)) return undefined;
  return new URL(value);
}

function hasLogin(value: string, url: URL | undefined): boolean {
  return url ? url.username !== "" || url.password !== "" : /^[\w+.-]*:?\/\/[^/\s]*@/.test(value);
}

function notWhole(value: string, { kind }: UrlUse): Mistake {
  const guess = `http://${value.trim().replace(/^\w*:?\/\//, "")}`;
  const example = kind === "versioned" ? "http://192.168.1.5:8000/v1" : "https://host.example";
  return {
    what: `"${shown(value)}" is not an http or https URL.`,
    write: "Write it whole, for example",
    instead: parsed(guess) ? guess : example,
  };
}

function loopback(url: URL, use: UrlUse): Mistake {
  const host = new URL(url);
  host.hostname = "host.docker.internal";
  return {
    what: `${url.hostname} is the gateway container's own loopback, not the host's.`,
    write: "Let the server listen on the Docker bridge and write",
    instead: based(host, url.pathname, use),
  };
}

/** The address with this path, and with /v1 where it would have none and needs one. */
function based(url: URL, pathname: string, { kind }: UrlUse): string {
  const path = trimmed(pathname) || (kind === "versioned" ? "/v1" : "");
  return `${url.origin}${path}${kind === "whole" ? url.search : ""}`;
}

function trimmed(pathname: string): string {
  return pathname.replace(/\/+$/, "");
}

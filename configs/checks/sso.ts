import type { Problem } from "../kit/problems";
import { isLoopback } from "../network/addresses";
import { acceptedHosts } from "../network/endpoint";
import type { SsoConfig } from "../schema/sso";
import type { StackConfig } from "../stack/config";
import { adminPort } from "../stack/ports";

const PATH = "gpubox:access.sso";

/** People that LiteLLM's database may have before it asks for a license at a single sign-on (1.106.0). */
export const FREE_PEOPLE = 5;

/** Mistakes of single sign-on that LiteLLM would show only to the person who signs in. */
export function checkSso(config: StackConfig): Problem[] {
  const { sso } = config.access;
  if (!sso) return [];
  return [...checkUrl(config, sso), ...checkProvider(sso), ...checkVariables(config), ...checkPeople(config)];
}

/** Before this section there was only the environment. */
function checkVariables({ gateway }: StackConfig): Problem[] {
  return Object.keys(gateway.env)
    .filter((name) => /^(GENERIC_|(GOOGLE|MICROSOFT)_CLIENT_ID$|PROXY_BASE_URL$)/.test(name))
    .map((name) => ({
      path: `gpubox:gateway.env.${name}`,
      what: `${name} would compete with ${PATH}.`,
      fix: `Write it there, or remove ${PATH}.`,
    }));
}

/** The provider sends people back to this address, so it has to be one where the edge answers. */
function checkUrl(config: StackConfig, { url }: SsoConfig): Problem[] {
  const path = `${PATH}.url`;
  const { protocol, hostname, port, pathname, search, hash } = new URL(url);
  const problem = (what: string, fix: string) => [{ path, what, fix }];
  if (pathname !== "/" || search || hash)
    return problem("LiteLLM's UI lies at the root of its port.", "Write scheme, host and port only.");
  const wanted = adminPort(config);
  if (Number(port || (protocol === "https:" ? 443 : 80)) !== wanted)
    return problem(`The admin port is ${wanted}.`, `Write ${protocol}//${hostname}:${wanted}.`);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (host === "localhost" || isLoopback(host))
    return protocol === "http:"
      ? []
      : problem("The admin port speaks plain HTTP on loopback.", "Write http://.");
  const { admin } = config.gateway;
  if (!admin)
    return problem(
      "The admin port is on loopback only, so that no browser elsewhere reaches it.",
      "Write gpubox:gateway.admin (docs/tls.md), or an address of loopback.",
    );
  const scheme = admin.unencrypted ? "http:" : "https:";
  if (protocol !== scheme)
    return problem(`The admin port speaks ${scheme.slice(0, -1)} there.`, `Write ${scheme}//.`);
  if (![...acceptedHosts(config), ...admin.hosts, admin.bind].includes(host))
    return problem(
      `The edge does not answer to ${host}.`,
      "Add it to gpubox:gateway.admin.hosts, or write a name that is there.",
    );
  return [];
}

function checkProvider(sso: SsoConfig): Problem[] {
  if (sso.unencrypted) return [];
  return (["authorizationUrl", "tokenUrl", "userinfoUrl"] as const)
    .filter((key) => sso[key].startsWith("http:"))
    .map((key) => ({
      path: `${PATH}.${key}`,
      what: "Whoever is on the way to the provider would read the client's secret, or who signs in.",
      fix: "Write https://, or unencrypted: true where the way is your own.",
    }));
}

function checkPeople({ access: { users }, gateway }: StackConfig): Problem[] {
  // LiteLLM keeps the master key's owner, and the budget of the whole gateway, as people.
  const rows = Object.keys(users).length + 1 + (gateway.limits.budget ? 1 : 0);
  if (rows <= FREE_PEOPLE || Object.hasOwn(gateway.env, "LITELLM_LICENSE")) return [];
  return [
    {
      path: PATH,
      what: `LiteLLM lets nobody sign in there with more than ${FREE_PEOPLE} people in its database, and this config makes ${rows}, its own included.`,
      fix: "Invite them instead (docs/admin-ui.md), or set LITELLM_LICENSE in gpubox:gateway.env.",
    },
  ];
}

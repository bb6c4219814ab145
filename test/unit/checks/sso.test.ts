import { renderText } from "../../../configs/kit/text";
import {
  mistakesOf,
  officialGateway,
  rawStack,
  testPlan,
  testSecrets,
  tinyModel,
} from "../../support/stacks";

const secrets = { ...testSecrets, ssoSecret: "PLANTED-sso-'secret" };
const provider = "https://id.example.com";
const sso = {
  url: "http://127.0.0.1:4001",
  authorizationUrl: `${provider}/authorize?tenant=a`,
  tokenUrl: `${provider}/token`,
  userinfoUrl: `${provider}/userinfo`,
  clientId: "gpubox",
  clientSecret: { secret: "ssoSecret" },
};
const people = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, { email: `p${n}@example.com` }]));
const admin = { bind: "203.0.113.5" };
const PATH = "gpubox:access.sso";

/** The mistakes of a stack with this section, a line each. */
function refused(
  change: Record<string, unknown>,
  { gateway = {}, users = {}, ...more }: Record<string, object> = {},
): string[] {
  const access = { sso: { ...sso, ...change }, users };
  return mistakesOf(rawStack({ models: tinyModel, access, gateway, ...more }, secrets));
}

test.each([
  ["loopback", {}, {}],
  ["localhost", { url: "http://localhost:4001/" }, {}],
  ["IPv6's loopback", { url: "http://[::1]:4001" }, {}],
  [
    "an opened admin port, by its address",
    { url: "http://203.0.113.5:4001" },
    { admin: { ...admin, unencrypted: true } },
  ],
  [
    "an opened admin port, by its name",
    { url: "http://box.tailnet:4001" },
    { admin: { ...admin, unencrypted: true, hosts: ["box.tailnet"] } },
  ],
  ["another port", { url: "http://127.0.0.1:443" }, { adminPort: 443 }],
])("people come back to %s", (_, change, gateway) => {
  expect(refused(change, { gateway })).toEqual([]);
});

test.each<[string, Record<string, unknown>, Record<string, object>, string]>([
  [
    "the clients' port",
    { url: "http://127.0.0.1:4000" },
    {},
    `${PATH}.url: The admin port is 4001. Write http://127.0.0.1:4001.`,
  ],
  [
    "a path",
    { url: "http://127.0.0.1:4001/ui" },
    {},
    `${PATH}.url: LiteLLM's UI lies at the root of its port. Write scheme, host and port only.`,
  ],
  [
    "TLS on loopback",
    { url: "https://127.0.0.1:4001" },
    {},
    `${PATH}.url: The admin port speaks plain HTTP on loopback. Write http://.`,
  ],
  [
    "a name that leads to loopback only",
    { url: "https://box.example.com:4001" },
    {},
    `${PATH}.url: The admin port is on loopback only, so that no browser elsewhere reaches it. Write gpubox:gateway.admin (docs/tls.md), or an address of loopback.`,
  ],
  [
    "TLS where there is none",
    { url: "https://203.0.113.5:4001" },
    { gateway: { admin: { ...admin, unencrypted: true } } },
    `${PATH}.url: The admin port speaks http there. Write http://.`,
  ],
  [
    "a name that the edge does not know",
    { url: "http://other.example.com:4001" },
    { gateway: { admin: { ...admin, unencrypted: true } } },
    `${PATH}.url: The edge does not answer to other.example.com. Add it to gpubox:gateway.admin.hosts, or write a name that is there.`,
  ],
  [
    "a provider in plain text",
    { tokenUrl: "http://id.example.com/token" },
    {},
    `${PATH}.tokenUrl: Whoever is on the way to the provider would read the client's secret, or who signs in. Write https://, or unencrypted: true where the way is your own.`,
  ],
  [
    "a provider that is no address",
    { tokenUrl: "id.example.com/token" },
    {},
    `${PATH}.tokenUrl: "id.example.com/token" is not valid. Write an address with https://.`,
  ],
  [
    "a secret that is missing",
    { clientSecret: { secret: "otherSecret" } },
    {},
    `${PATH}.clientSecret: The secret otherSecret is missing. Set it: pulumi config set --secret gpubox:otherSecret.`,
  ],
  [
    "the box's own master key as the client's secret",
    { clientSecret: { secret: "masterKey" } },
    {},
    `${PATH}.clientSecret: The secret masterKey is one that the box makes for itself, and this place sends it to another server. Set a secret of its own for that server and name it here: pulumi config set --secret gpubox:<name>.`,
  ],
  [
    "newcomers without a budget",
    { newcomers: { emailDomains: ["example.com"] } },
    {},
    `${PATH}.newcomers.budgetUsd:`,
  ],
  [
    "more people than LiteLLM lets in",
    {},
    { users: people(5) },
    `${PATH}: LiteLLM lets nobody sign in there with more than 5 people in its database, and this config makes 6, its own included. Invite them instead (docs/admin-ui.md), or set LITELLM_LICENSE in gpubox:gateway.env.`,
  ],
  [
    "the budget of the whole gateway, which counts as one of them",
    {},
    { users: people(4), gateway: { limits: { budget: { usd: 1, per: "30d" } } } },
    `${PATH}: LiteLLM lets nobody sign in there with more than 5 people in its database, and this config makes 6, its own included.`,
  ],
  [
    "the variables of the time before this section",
    {},
    { gateway: { env: { GENERIC_CLIENT_ID: "other" } } },
    `gpubox:gateway.env.GENERIC_CLIENT_ID: GENERIC_CLIENT_ID would compete with ${PATH}. Write it there, or remove ${PATH}.`,
  ],
  [
    "no database",
    {},
    { database: { mode: "none" } },
    "gpubox:access: Teams, people, keys and the UI need a database, and this stack has none.",
  ],
])("%s is refused", (_, change, more, line) => {
  expect(refused(change, more).map((found) => found.slice(0, line.length))).toEqual([line]);
});

test("four people may sign in without a license, and more with one", () => {
  expect(refused({}, { users: people(4) })).toEqual([]);
  const env = { LITELLM_LICENSE: { secret: "ssoSecret" } };
  expect(refused({}, { users: people(6), gateway: { env } })).toEqual([]);
});

const planned = (access: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  testPlan({ models: tinyModel, access, ...more }, secrets, officialGateway).gateway;
const file = (gateway: ReturnType<typeof planned>, name: string) =>
  renderText(gateway.directory.files[name]!.text, secrets);

test("a gateway gets LiteLLM's client, with PKCE where gateways share a Redis, and links that stay relative", () => {
  const env = file(planned({ sso }), "gateway.env").split("\n");
  expect(env.filter((line) => /^(GENERIC|PROXY)_/.test(line)).sort()).toEqual([
    `GENERIC_AUTHORIZATION_ENDPOINT='${sso.authorizationUrl}'`,
    "GENERIC_CLIENT_ID='gpubox'",
    "GENERIC_CLIENT_SECRET='PLANTED-sso-'\\''secret'",
    "GENERIC_CLIENT_USE_PKCE='true'",
    "GENERIC_SCOPE='openid email profile'",
    `GENERIC_TOKEN_ENDPOINT='${sso.tokenUrl}'`,
    `GENERIC_USERINFO_ENDPOINT='${sso.userinfoUrl}'`,
    "GENERIC_USER_EXTRA_ATTRIBUTES='email_verified'",
    "GENERIC_USER_ID_ATTRIBUTE='sub'",
    "GENERIC_USER_ROLE_ATTRIBUTE=''",
    "PROXY_BASE_URL=''",
  ]);
  expect(file(planned({ sso }, { cache: { mode: "none" } }), "gateway.env")).toContain(
    "GENERIC_CLIENT_USE_PKCE='false'",
  );
});

test("who may come in stands beside LiteLLM's config, which names the program that reads it", () => {
  const newcomers = {
    emailDomains: ["Example.com"],
    role: "internal_user",
    budgetUsd: 5,
    budgetDuration: "30d",
  };
  const gateway = planned({ sso: { ...sso, url: `${sso.url}/`, newcomers } });
  expect(file(gateway, "config.yaml")).toContain("custom_sso: gpubox_sso.admit");
  expect(gateway.directory.files["gpubox_sso.py"]).toBeDefined();
  expect(JSON.parse(file(gateway, "sso.json"))).toEqual({
    url: sso.url,
    newcomers: { domains: ["example.com"], role: "internal_user", budget: 5, duration: "30d" },
  });
  expect(JSON.parse(file(planned({ sso }), "sso.json"))).toEqual({ url: sso.url, newcomers: null });
});

test("a gateway without single sign-on has none of it", () => {
  const gateway = planned({ ui: { password: { secret: "ssoSecret" } } });
  expect(Object.keys(gateway.directory.files).filter((name) => /sso/.test(name))).toEqual([]);
  expect(file(gateway, "gateway.env") + file(gateway, "config.yaml")).not.toMatch(/GENERIC|custom_sso/);
});

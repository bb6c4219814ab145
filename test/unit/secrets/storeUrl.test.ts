import fc from "fast-check";
import { ConfigError } from "../../../configs/kit/problems";
import { renderText } from "../../../configs/kit/text";
import { parseStack } from "../../../configs/parse";
import { unfitAddress } from "../../../configs/secrets/storeUrl";
import { mistakesOf, rawStack, testPlan, testSecrets } from "../../support/stacks";

test.each([
  ["valkey://:pw@far:6379", "does not begin with redis://"],
  ["far:6379", "does not begin with redis://"],
  ["redis://:pw@far:6379/keys", "has a path that is no number of a database"],
  ["redis://:pw@far?ssl=true", "has options, which LiteLLM would not get"],
  ["redis://:pw@127.0.0.1:6379", "leads to a container's own loopback; host.docker.internal is this host"],
  ["redis://:p#w@far:6379", "has a character in its login that a URL gives another meaning (# / ? @ : %)"],
  ["redis://:p/w@far:6379", "has a character in its login that a URL gives another meaning (# / ? @ : %)"],
  ["redis://:p@w@far:6379", "has a character in its login that a URL gives another meaning (# / ? @ : %)"],
  ["redis://:p%w@far:6379", "has a character in its login that a URL gives another meaning (# / ? @ : %)"],
])("%s does not arrive whole at every program that uses Redis", (value, why) => {
  expect(unfitAddress(value).cache).toBe(why);
});

test.each([
  ["mysql://me:pw@far/db", "does not begin with postgresql://"],
  ["far/db", "does not begin with postgresql://"],
  ["postgresql://far:99999/db", "is no address: look at its host and its port"],
  ["postgresql://me:pw@far", "names no database"],
  [
    "postgresql://me:pw@localhost/db",
    "leads to a container's own loopback; host.docker.internal is this host",
  ],
  ["postgresql://me:pw@far/db?host=/run/postgresql", "names a socket of the host, which is in no container"],
  ["postgresql:///db", "names no host; a socket of the host is in no container"],
])("%s is no Postgres that a container reaches", (value, why) => {
  expect(unfitAddress(value).database).toBe(why);
});

test("any password arrives whole where it is percent-encoded", () => {
  const passwords = fc.string({ minLength: 1, unit: "grapheme-ascii" });
  fc.assert(
    fc.property(passwords, (password) => {
      const encoded = encodeURIComponent(password);
      expect(unfitAddress(`redis://:${encoded}@far:6379`).cache).toBeUndefined();
      expect(unfitAddress(`postgresql://me:${encoded}@far/db?sslmode=require`).database).toBeUndefined();
      const values = { ...testSecrets, redis: `redis://:${encoded}@far:6380` };
      const plan = testPlan({ cache: { mode: "external", url: { secret: "redis" } } }, values);
      const env = renderText(plan.gateway.directory.files["gateway.env"]!.text, values);
      expect(env).toContain(`REDIS_PASSWORD='${password.replaceAll("'", "'\\''")}'\n`);
    }),
    { numRuns: 40 },
  );
});

test.each([
  ["redis://far", { HOST: "far", PORT: "6379", USERNAME: "", PASSWORD: "", DB: "0", SSL: "" }],
  [
    "redis://:p%40w@far:6380/0",
    { HOST: "far", PORT: "6380", USERNAME: "", PASSWORD: "p@w", DB: "0", SSL: "" },
  ],
  [
    "rediss://m%2Fe:pw@far.example/3",
    { HOST: "far.example", PORT: "6379", USERNAME: "m/e", PASSWORD: "pw", DB: "3", SSL: "true" },
  ],
])("%s arrives whole: host, user, password, database, TLS", (value, parts) => {
  expect(unfitAddress(value).cache).toBeUndefined();
  const values = { ...testSecrets, redis: value };
  const plan = testPlan({ cache: { mode: "external", url: { secret: "redis" } } }, values);
  const env = renderText(plan.gateway.directory.files["gateway.env"]!.text, values);
  for (const [name, part] of Object.entries(parts)) expect(env).toContain(`\nREDIS_${name}='${part}'\n`);
});

test("a stack with such an address is refused with the form to write, and never shows it", () => {
  const values = { ...testSecrets, redis: "valkey://me:PLANTED@far:6379" };
  const raw = rawStack({ cache: { mode: "external", url: { secret: "redis" } } }, values);
  expect(() => parseStack(raw)).toThrow(ConfigError);
  expect(() => parseStack(raw)).toThrow(
    "gpubox:cache.url: The secret redis does not begin with redis://. Set redis://<user>:<password>@<host>:6379/<number>, with the login percent-encoded: pulumi config set --secret gpubox:redis.",
  );
});

test.each([
  ["hooks.example/x", "does not begin with https://"],
  ["http://localhost:9093/x", "leads to a container's own loopback; host.docker.internal is this host"],
])("alerts do not go to %s", (hook, why) => {
  const observability = { mode: "bundled", alerts: { webhook: { secret: "hook" } } };
  const models = { far: { engine: "openai", baseUrl: "http://far/v1" } };
  const secrets = { ...testSecrets, grafanaPassword: "grafana-0123456789", hook };
  expect(mistakesOf(rawStack({ observability, models }, secrets))).toEqual([
    `gpubox:observability.alerts.webhook: The secret hook ${why}. Set https://<host>/<path>: pulumi config set --secret gpubox:hook.`,
  ]);
});

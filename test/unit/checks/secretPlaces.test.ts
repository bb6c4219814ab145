import fc from "fast-check";
import { z } from "zod";
import { checkJob } from "../../../configs/checks/jobs";
import { checkSecretPlaces, RESERVED } from "../../../configs/checks/secretPlaces";
import { engines } from "../../../configs/engines";
import { ConfigError } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { secretFacts } from "../../../configs/secrets/facts";
import { type StackConfig, sections } from "../../../configs/stack/config";
import { rawStack, testSecrets, tinyModel } from "../../support/stacks";

type Schema = {
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
};

/** Every place of a schema that takes `{ secret: name }`: `jobs.*.upstream.apiKey`. */
function placesIn(schema: Schema, path: string): string[] {
  const { properties = {}, additionalProperties: rest, items } = schema;
  if (Object.keys(properties).join() === "secret") return [path];
  return [
    ...Object.entries(properties).flatMap(([key, inner]) => placesIn(inner, `${path}.${key}`)),
    ...(typeof rest === "object" ? placesIn(rest, `${path}.*`) : []),
    ...(items ? placesIn(items, `${path}.[]`) : []),
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((inner) => placesIn(inner, path)),
  ];
}

const jsonSchema = (schema: z.ZodType) => z.toJSONSchema(schema, { io: "input" }) as Schema;

/** All of them, as the schemas are today. */
const PLACES = [
  ...new Set([
    ...Object.entries(sections).flatMap(([name, schema]) => placesIn(jsonSchema(schema), name)),
    ...Object.values(engines).flatMap(({ schema }) => placesIn(jsonSchema(schema), "models.*")),
  ]),
];

/** Where the box itself is who checks or uses the secret. */
const KEPT = [
  "gateway.tls.certificate",
  "gateway.tls.key",
  "database.tls.authority",
  "database.tls.certificate",
  "database.tls.key",
  "access.keys.*.key",
  "access.keys.*.previous",
  "access.ui.password",
  "backup.restic.password",
  "jobs.*.key",
  "models.*.expose.key",
  "models.*.instances.[].expose.key",
];

/** Where it goes to the one server that it is for. */
const DEDICATED = ["cache.url", "database.url", "observability.alerts.webhook"];

const FOREIGN = PLACES.filter((place) => !KEPT.includes(place) && !DEDICATED.includes(place));

const base = parseStack(rawStack({ models: tinyModel }));

/** A config with a secret at a place, and what the place is called there. */
function placed(config: StackConfig, place: string, name: string, secret: string) {
  const keys = place.split(".").map((key) => (key === "*" ? name : key));
  const put = (at: unknown, [key, ...rest]: string[]): unknown => {
    if (key === undefined) return { secret };
    // What another place put into the list stays.
    if (key === "[]") return [put(Array.isArray(at) ? at[0] : {}, rest)];
    const there = typeof at === "object" && at !== null ? (at as Record<string, unknown>) : {};
    return { ...there, [key]: put(there[key], rest) };
  };
  const path = `gpubox:${keys.join(".").replaceAll(".[]", "[0]")}`;
  return { config: put(config, keys) as StackConfig, path };
}

const entryName = fc.constantFrom("one", "gpt-4.1", "a.expose", "ORG/model:7b");

test("the list has every secret place of the schemas", () => {
  expect(PLACES).toEqual(expect.arrayContaining([...KEPT, ...DEDICATED]));
  expect(FOREIGN).toEqual(
    expect.arrayContaining([
      ...["gateway.env.*", "boxes.*.key", "jobs.*.upstream.apiKey", "jobs.*.extra.*", "models.*.apiKey"],
      ...["models.*.instances.[].apiKey", "models.*.instances.[].aws.secretAccessKey"],
      ...["models.*.profiles.stateless.apiKey", "models.*.vertex.credentials"],
      ...["observability.langfuse.publicKey", "observability.langfuse.secretKey"],
    ]),
  );
});

test("no place that sends a secret away accepts one that the box made for itself", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...FOREIGN, ...DEDICATED),
      entryName,
      fc.constantFrom(...RESERVED),
      (place, name, secret) => {
        const { config, path } = placed(base, place, name, secret);
        expect(checkSecretPlaces(config, {}).map((problem) => problem.path)).toEqual([path]);
      },
    ),
  );
});

test("no place that sends a secret away accepts one that another place uses for the box, by name or by value", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...FOREIGN, ...DEDICATED),
      fc.constantFrom(...KEPT, ...DEDICATED),
      fc.tuple(entryName, entryName),
      fc.boolean(),
      (foreign, own, [name, other], byValue) => {
        fc.pre(foreign !== own);
        // How a gateway elsewhere reaches a model may be that model's published port.
        fc.pre(!(foreign.includes(".profiles.") && own.endsWith(".expose.key")));
        const inside = placed(base, own, other, "ours").config;
        const { config, path } = placed(inside, foreign, name, byValue ? "theirs" : "ours");
        const facts = secretFacts(
          { aaa: "x", ours: "PLANTED", theirs: byValue ? "PLANTED" : "y" },
          () => true,
        );
        const problems = checkSecretPlaces(config, facts);
        expect(problems.map((problem) => problem.path)).toContain(path);
        expect(JSON.stringify(problems)).not.toContain("PLANTED");
      },
    ),
  );
});

test("a place accepts its own secret, which others of the same kind may name too", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...PLACES),
      fc.constantFrom(...FOREIGN),
      fc.tuple(entryName, entryName),
      (place, foreign, [name, other]) => {
        const { config } = placed(base, place, name, "mine");
        expect(checkSecretPlaces(config, {})).toEqual([]);
        const two = placed(config, foreign, other, FOREIGN.includes(place) ? "mine" : "another").config;
        expect(checkSecretPlaces(two, {})).toEqual([]);
      },
    ),
  );
});

test("a gateway on another machine may use a published port's key for that model, and for no other", () => {
  const exposed = placed(base, "models.*.expose.key", "one", "port").config;
  const profile = "models.*.profiles.stateless.apiKey";
  expect(checkSecretPlaces(placed(exposed, profile, "one", "port").config, {})).toEqual([]);
  expect(checkSecretPlaces(placed(exposed, profile, "two", "port").config, {})).toHaveLength(1);
});

test("a third secret of the same value does not hide whose it is", () => {
  const same = "sk-PLANTED-same-0123456789abcdef";
  const facts = secretFacts({ zeta: same, eta: same, masterKey: same }, () => true);
  const { config } = placed(base, "boxes.*.key", "gpu2", "zeta");
  expect(checkSecretPlaces(config, facts)).toHaveLength(1);
});

test("the preview refuses it, with the path and what to do", () => {
  const far = { engine: "openai", baseUrl: "http://far.example/v1", apiKey: { secret: "masterKey" } };
  const access = { keys: { ada: { key: { secret: "adaKey" } } } };
  const gateway = { env: { LANGFUSE_PUBLIC_KEY: { secret: "adaKey" } } };
  const secrets = { ...testSecrets, adaKey: "sk-PLANTED-ada-0123456789abcdef" };
  let problems: string[] = [];
  try {
    parseStack(rawStack({ models: { far }, access, gateway }, secrets));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems = error.problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
  }
  const fix =
    "Set a secret of its own for that server and name it here: pulumi config set --secret gpubox:<name>.";
  expect(problems.sort()).toEqual([
    `gpubox:gateway.env.LANGFUSE_PUBLIC_KEY: The secret adaKey is a virtual key of this box, and this place sends it to another server. ${fix}`,
    `gpubox:models.far.apiKey: The secret masterKey is one that the box makes for itself, and this place sends it to another server. ${fix}`,
  ]);
});

test("a job that a caller declares may not read a variable of the gateway either", () => {
  const upstream = { baseUrl: "http://far.example/v1", model: "os.environ/LITELLM_MASTER_KEY" };
  const job = sections.jobs.parse({ eval: { upstream, port: 4101 } }).eval!;
  expect(checkJob({ models: {} }, job, "job").map(({ path }) => path)).toEqual(["job.upstream.model"]);
});

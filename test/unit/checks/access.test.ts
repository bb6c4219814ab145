import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { renderText } from "../../../configs/kit/text";
import { parseStack } from "../../../configs/parse";
import { packageDir } from "../../../platform/project";
import { checkStackFile } from "../../../platform/stack/planStack";
import {
  mistakesOf,
  officialGateway,
  rawStack,
  testPlan,
  testSecrets,
  tinyModel,
} from "../../support/stacks";

const secrets = { ...testSecrets, aliceKey: "sk-PLANTED-alice-0123456789", uiPassword: "PLANTED-ui-'pass" };
const alice = { key: { secret: "aliceKey" } };

/** The mistakes of a stack with this access section, a line each. */
function refused(
  access: unknown,
  more: Record<string, unknown> = {},
  values: Record<string, string> = secrets,
) {
  return mistakesOf(rawStack({ models: tinyModel, access, ...more }, values));
}

describe("refused before anything is done:", () => {
  test.each<[string, unknown, string]>([
    [
      "a model that is not declared",
      { keys: { alice: { ...alice, models: ["tiby"] } } },
      'gpubox:access.keys.alice.models[0]: There is no model "tiby". Did you mean "tiny"?',
    ],
    [
      "a team that is not declared",
      { teams: { research: {} }, keys: { alice: { ...alice, team: "reserch" } } },
      'gpubox:access.keys.alice.team: There is no team "reserch". Did you mean "research"?',
    ],
    [
      "a budget above the team's",
      { teams: { t: { budgetUsd: 10 } }, keys: { alice: { ...alice, team: "t", budgetUsd: 11 } } },
      "gpubox:access.keys.alice.budgetUsd: 11 is more than the 10 of its team t, which count too. Write at most 10, or raise the team's.",
    ],
    [
      "a limit above the team's",
      { teams: { t: { rpm: 10 } }, keys: { alice: { ...alice, team: "t", rpm: 11 } } },
      "gpubox:access.keys.alice.rpm: 11 is more than the 10 of its team t, which count too. Write at most 10, or raise the team's.",
    ],
    [
      "a model that the team may not use",
      { teams: { t: { models: ["tiny"] } }, keys: { alice: { ...alice, team: "t", models: ["other"] } } },
      "gpubox:access.keys.alice.models[0]: Its team t may not use other. Add it to gpubox:access.teams.t.models, or remove it here.",
    ],
    [
      "a period without a budget",
      { teams: { t: { budgetDuration: "30d" } } },
      "gpubox:access.teams.t.budgetDuration: There is no budget to reset. Write budgetUsd too, or remove this.",
    ],
    [
      "a period that LiteLLM does not read",
      { teams: { t: { budgetUsd: 1, budgetDuration: "1 month" } } },
      'gpubox:access.teams.t.budgetDuration: "1 month" is not valid. Write a number and s, m, h, d, w or mo, for example 30d or 1mo.',
    ],
    [
      "a key that stands in the config",
      { keys: { alice: { key: "sk-123456789012345678901234" } } },
      "gpubox:access.keys.alice.key: A key in plain text is not valid. Write a map of settings.",
    ],
    [
      "the master key as somebody's key",
      { keys: { alice: { key: { secret: "masterKey" } } } },
      "gpubox:access.keys.alice.key: The secret masterKey has another use. Name a secret of its own; a missing one is made.",
    ],
    [
      "one key for two",
      { keys: { alice, bob: alice } },
      "gpubox:access.keys.bob.key: The secret aliceKey is the key of another entry too. Name a secret of its own; a missing one is made.",
    ],
    [
      "a missing key of before, which nobody can make",
      { keys: { alice: { ...alice, previous: { secret: "aliceOld" } } } },
      "gpubox:access.keys.alice.previous: The secret aliceOld is missing. Set it: pulumi config set --secret gpubox:aliceOld.",
    ],
    [
      "a key that LiteLLM would not take",
      { keys: { alice: { key: { secret: "uiPassword" } } } },
      "gpubox:access.keys.alice.key: The secret uiPassword does not start with sk-. Set another value: pulumi config set --secret gpubox:uiPassword.",
    ],
    [
      "a limit that a team cannot have",
      { teams: { t: { maxParallel: 2 } } },
      'gpubox:access.teams.t.maxParallel: "maxParallel" is no setting here.',
    ],
    [
      "an expiry that is no time",
      { keys: { alice: { ...alice, expires: "next year" } } },
      'gpubox:access.keys.alice.expires: "next year" is not valid. Write a day, 2027-01-31, or a moment, 2027-01-31T18:00:00Z.',
    ],
    [
      "a negative budget",
      { teams: { t: { budgetUsd: -1 } } },
      "gpubox:access.teams.t.budgetUsd: -1 is not valid. Write more than 0.",
    ],
    [
      "a budget of nothing",
      { keys: { alice: { ...alice, budgetUsd: 0 } } },
      "gpubox:access.keys.alice.budgetUsd: 0 is not valid. Write more than 0.",
    ],
    [
      "one address for two people",
      { users: { dana: { email: "Dana@example.com" }, eve: { email: "dana@example.com" } } },
      "gpubox:access.users.eve.email: dana@example.com is dana's address too. Declare each person once.",
    ],
    [
      "a person's team that is not declared",
      { teams: { research: {} }, users: { dana: { email: "dana@example.com", teams: ["reserch"] } } },
      'gpubox:access.users.dana.teams[0]: There is no team "reserch". Did you mean "research"?',
    ],
    [
      "a person's model that is not declared",
      { users: { dana: { email: "dana@example.com", models: ["tiby"] } } },
      'gpubox:access.users.dana.models[0]: There is no model "tiby". Did you mean "tiny"?',
    ],
    [
      "a role that LiteLLM does not have",
      { users: { dana: { email: "dana@example.com", role: "boss" } } },
      "gpubox:access.users.dana.role:",
    ],
    [
      "a person without an address",
      { users: { dana: { email: "dana" } } },
      'gpubox:access.users.dana.email: "dana" is not valid. Write an e-mail address.',
    ],
    ["a name that needs quoting", { keys: { "a b": alice } }, "gpubox:access.keys.a b:"],
  ])("%s", (_, access, line) => {
    expect(refused(access).map((found) => found.slice(0, line.length))).toContain(line);
  });

  test("two secrets with one value", () => {
    const values = { ...secrets, bobKey: secrets.aliceKey };
    expect(refused({ keys: { alice, bob: { key: { secret: "bobKey" } } } }, {}, values)).toEqual([
      "gpubox:access.keys.alice.key: The secret aliceKey equals bobKey. Set another value: pulumi config set --secret gpubox:aliceKey.",
      "gpubox:access.keys.bob.key: The secret bobKey equals aliceKey. Set another value: pulumi config set --secret gpubox:bobKey.",
    ]);
  });

  test("teams, people, keys and a login without a database", () => {
    const line =
      "gpubox:access: Teams, people, keys and the UI need a database, and this stack has none. Write gpubox:database mode: bundled, or remove this section.";
    for (const access of [
      { keys: { alice } },
      { teams: { t: {} } },
      { users: { dana: { email: "dana@example.com" } } },
      { ui: { password: { secret: "uiPassword" } } },
    ])
      expect(refused(access, { database: { mode: "none" } })).toEqual([line]);
    expect(refused({}, { database: { mode: "none" } })).toEqual([]);
  });
});

const official = (more: Record<string, unknown> = {}, values: Record<string, string> = secrets) =>
  testPlan({ models: tinyModel, ...more }, values, officialGateway);

test("another key makes no other generation and is another input of the step, which alone holds it", () => {
  const keys = { alice };
  const before = official({ access: { keys } });
  const after = official({ access: { keys } }, { ...secrets, aliceKey: "sk-PLANTED-other-0123456789" });
  expect(after.gateway.generation).toBe(before.gateway.generation);
  const input = (plan: typeof before, values: Record<string, string>) =>
    JSON.parse(renderText(plan.gateway.access!.stdin!, values));
  expect(input(before, secrets).keys[0].key).toBe(secrets.aliceKey);
  expect(JSON.stringify(before)).not.toContain("PLANTED");
});

test("any value of a key reaches the step's input unchanged", () => {
  const value = 'sk-"\\quoted\\" 0123456789';
  const plan = official({ access: { keys: { alice } } }, { ...secrets, aliceKey: value });
  const input = renderText(plan.gateway.access!.stdin!, { ...secrets, aliceKey: value });
  expect(JSON.parse(input).keys[0].key).toBe(value);
});

test.each([
  ["2027-01-31", "2027-01-31T00:00:00.000Z"],
  // What Pulumi makes of a day or a moment without quotes, as soon as it stores a secret in the file.
  ["2027-01-31 00:00:00 +0000 UTC", "2027-01-31T00:00:00.000Z"],
  ["2027-01-31 18:00:00.5 +0200 +0200", "2027-01-31T16:00:00.500Z"],
  ["2027-01-31T18:00:00+02:00", "2027-01-31T16:00:00.000Z"],
])("an expiry of %s is %s", (written, moment) => {
  const plan = official({ access: { keys: { alice: { ...alice, expires: written } } } });
  expect(JSON.parse(renderText(plan.gateway.access!.stdin!, secrets)).keys[0].expires).toBe(moment);
});

test("the UI's login goes into the env file, and without one there is none", () => {
  const env = (plan: ReturnType<typeof official>) =>
    renderText(plan.gateway.directory.files["gateway.env"]!.text, secrets);
  const ui = { username: "root", password: { secret: "uiPassword" } };
  expect(env(official({ access: { ui } }))).toContain(
    "UI_USERNAME='root'\nUI_PASSWORD='PLANTED-ui-'\\''pass'\n",
  );
  expect(env(official())).not.toContain("UI_");
});

test("the UI's links are relative, unless the stack names the base that single sign-on needs", () => {
  const base = (more: Record<string, unknown>) =>
    renderText(official(more).gateway.directory.files["gateway.env"]!.text, secrets).match(
      /PROXY_BASE_URL=.*/g,
    );
  expect(base({})).toEqual(["PROXY_BASE_URL=''"]);
  const env = { PROXY_BASE_URL: "https://llm.example.com:4001" };
  expect(base({ gateway: { env } })).toEqual([`PROXY_BASE_URL='${env.PROXY_BASE_URL}'`]);
  expect(base({ database: { mode: "none" } })).toBeNull();
});

test("`up` makes missing keys and the UI's password", () => {
  const access = { keys: { alice }, ui: { password: { secret: "uiPassword" } } };
  const { aliceKey, uiPassword, ...others } = secrets;
  expect(refused(access, {}, others)).toEqual([
    expect.stringMatching(/aliceKey is missing\..* or let `gpubox up` make it\.$/),
    expect.stringMatching(/uiPassword is missing\..* or let `gpubox up` make it\.$/),
  ]);
});

test("spend logs are kept for 30 days or as declared", () => {
  const period = (database: object) =>
    renderText(official({ database }).gateway.directory.files["config.yaml"]!.text, secrets);
  expect(period({})).toContain("maximum_spend_logs_retention_period: 30d\n");
  expect(period({ spendLogs: { keepDays: 7 } })).toContain("maximum_spend_logs_retention_period: 7d\n");
});

test("spend waits in Redis for the database, where there is a Redis", () => {
  const buffered = (values: Record<string, unknown>) =>
    /use_redis_transaction_buffer: true/.test(
      renderText(official(values).gateway.directory.files["config.yaml"]!.text, secrets),
    );
  expect(buffered({})).toBe(true);
  expect(buffered({ cache: { mode: "none" } })).toBe(false);
  expect(buffered({ database: { mode: "none" } })).toBe(false);
});

test("a gateway with a database compares its schema and never migrates; the job before it does", () => {
  const { container, before } = official().gateway;
  expect(container.env.DISABLE_SCHEMA_UPDATE).toBe("true");
  expect(before.map(({ name, triggers }) => [name, triggers])).toEqual([
    ["backup", ["litellm@sha256:0"]],
    ["migrate", ["litellm@sha256:0"]],
  ]);
  expect(before[1]!.script).not.toContain("DISABLE_SCHEMA_UPDATE");
  expect(official({ database: { mode: "none" } }).gateway).toMatchObject({ before: [], usesDatabase: false });
});

test("an external database is migrated through the network with a way out, and backed up by its owner", () => {
  const database = { mode: "external", url: { secret: "databaseUrl" } };
  const { before } = official({ database }, { ...secrets, databaseUrl: "postgresql://u:p@h/db" }).gateway;
  expect(before.map(({ name }) => name)).toEqual(["migrate"]);
  expect(before[0]!.script).toContain("'--network' 'gpubox-test-edge'");
});

test("the sections that the pages show have no mistake", () => {
  const shown = ["docs/keys.md", "docs/backup.md"].map((page) => {
    const text = readFileSync(join(packageDir, page), "utf8");
    return parse(/```yaml\n(gpubox:[\s\S]*?)```/.exec(text)![1]!) as Record<string, unknown>;
  });
  const sections = Object.fromEntries(
    shown.flatMap(Object.entries).map(([name, section]) => [name.replace("gpubox:", ""), section]),
  );
  expect(Object.keys(sections)).toEqual(["access", "backup"]);
  const models = { "qwen3-coder": { ...tinyModel.tiny } };
  const values = { ...secrets, ciKey: "sk-PLANTED-ci-0123456789abc", resticPassword: "PLANTED-restic" };
  expect(() => parseStack(rawStack({ models, ...sections }, values))).not.toThrow();
});

test("a declared key without a value is no mistake for `up`, which makes it", () => {
  const folder = mkdtempSync(join(tmpdir(), "gpubox-access-"));
  const write = (key: object) =>
    writeFileSync(
      join(folder, "Pulumi.test.yaml"),
      stringify({
        config: { "gpubox:models": tinyModel, "gpubox:access": { keys: { alice: { ...alice, ...key } } } },
      }),
    );
  write({});
  expect(checkStackFile(folder, "test", {}).access.keys.alice?.key).toEqual({ secret: "aliceKey" });
  write({ previous: { secret: "aliceOld" } });
  expect(() => checkStackFile(folder, "test", {})).toThrow("The secret aliceOld is missing.");
  rmSync(folder, { recursive: true });
});

test("a backup's repository never has a password in its address", () => {
  const backup = (repository: string) => ({ restic: { repository, password: { secret: "uiPassword" } } });
  const check = (repository: string) => refused({}, { backup: backup(repository) });
  for (const right of [
    "/mnt/backup",
    "sftp:nas:/backup",
    "s3:https://s3.example/bucket",
    "rest:https://host:8000/",
  ])
    expect(check(right)).toEqual([]);
  const wrong = check("rest:https://user:PLANTED@host/");
  expect(wrong).toEqual([
    "gpubox:backup.restic.repository: An address with a login in it is not valid. A password does not belong into the repository's address.",
  ]);
});

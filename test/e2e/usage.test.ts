import { createHash } from "node:crypto";
import { allocate } from "../support/allocate";
import { type DatabaseProject, makeDatabaseProject } from "../support/databaseProject";
import { needs } from "../support/needs";
import { gatewaySql } from "../support/postgres";
import { gpubox, removeProject } from "../support/project";

jest.setTimeout(120_000);

const digest = (key: string) => createHash("sha256").update(key).digest("hex");
const day = (ago: number) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
const secrets = {
  aliceKey: "sk-PLANTED-alice-0123456789",
  aliceOld: "sk-PLANTED-alice-9876543210",
  bobKey: "sk-PLANTED-bob-0123456789",
  carolKey: "sk-PLANTED-carol-0123456789",
};

/** As LiteLLM writes them: keys by their hash, the master key by an alias of it, sums by day. */
const { stack: STACK, port: PORT } = allocate("keys");
const ROWS = `INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias) VALUES ('gpubox-${STACK}-research', 'research');
INSERT INTO "LiteLLM_VerificationToken" (token, key_alias, team_id, spend, max_budget, budget_reset_at, expires, blocked, last_active) VALUES
  ('${digest(secrets.aliceKey)}', 'alice', 'gpubox-${STACK}-research', 4, 10, '2099-02-01', NULL, NULL, '2026-11-01 12:00:00'),
  ('${digest(secrets.aliceOld)}', 'alice (previous)', NULL, 10, 10, NULL, NULL, NULL, NULL),
  ('${digest(secrets.bobKey)}', 'bob', NULL, 0, NULL, NULL, '2026-01-01', NULL, NULL),
  ('feedface', 'by hand', NULL, 0.5, NULL, NULL, NULL, true, NULL),
  ('cafe', NULL, 'litellm-dashboard', 0, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "LiteLLM_DeletedVerificationToken" (id, token, key_alias) VALUES ('1', 'dead', 'dora');
INSERT INTO "LiteLLM_DailyUserSpend" (id, user_id, date, api_key, model, model_group, api_requests, failed_requests, prompt_tokens, completion_tokens, spend, updated_at) VALUES
  ('1', NULL, '${day(0)}', '${digest(secrets.aliceKey)}', 'hosted_vllm/q', 'qwen', 10, 1, 1000, 100, 0.5, now()),
  ('2', NULL, '${day(1)}', '${digest(secrets.aliceKey)}', 'hosted_vllm/q', 'qwen', 5, 0, 500, 50, 0.25, now()),
  ('3', NULL, '${day(1)}', 'litellm_proxy_master_key', 'gpt', '', 1, 0, 7, 3, 2, now()),
  ('4', NULL, '${day(1)}', '${digest("litellm_proxy_master_key")}', 'gpt', NULL, 1, 1, 0, 0, 0, now()),
  ('5', NULL, '${day(5)}', 'dead', 'gpt', 'gpt', 2, 0, 10, 10, 0.125, now()),
  ('6', NULL, '${day(40)}', 'feedface', 'gpt', 'gpt', 100, 0, 1, 1, 100, now());`;

needs("docker")("a stack's spend and keys", () => {
  let project: DatabaseProject;

  beforeAll(async () => {
    const access = {
      teams: { research: {} },
      keys: {
        alice: {
          key: { secret: "aliceKey" },
          previous: { secret: "aliceOld" },
          team: "research",
          budgetUsd: 10,
        },
        bob: { key: { secret: "bobKey" } },
        carol: { key: { secret: "carolKey" } },
      },
    };
    project = await makeDatabaseProject(STACK, PORT, { access }, secrets);
    await gatewaySql(project.plan, ROWS);
  });
  afterAll(() => removeProject(project));

  test("are listed by model, key and day of the last 30 days, from LiteLLM's own sums", async () => {
    const { code, stdout } = await gpubox(project, "usage", "--json");
    const row = (
      name: string,
      requests: number,
      failed: number,
      inputTokens: number,
      outputTokens: number,
      usd: number,
    ) => ({
      name,
      requests,
      failed,
      inputTokens,
      outputTokens,
      usd,
    });
    expect({ code, ...JSON.parse(stdout) }).toEqual({
      code: 0,
      since: day(30),
      model: [row("gpt", 4, 1, 17, 13, 2.125), row("qwen", 15, 1, 1500, 150, 0.75)],
      key: [
        row("master key", 2, 1, 7, 3, 2),
        row("alice", 15, 1, 1500, 150, 0.75),
        row("dora", 2, 0, 10, 10, 0.125),
      ],
      day: [
        row(day(5), 2, 0, 10, 10, 0.125),
        row(day(1), 7, 1, 507, 53, 2.25),
        row(day(0), 10, 1, 1000, 100, 0.5),
      ],
    });
  });

  test("are a table for people, since the day that they name", async () => {
    const { stdout } = await gpubox(project, "usage", "--since", day(0), "--by", "key");
    expect(stdout).toBe(`spend of ${project.stack} since ${day(0)}, UTC

  key    requests  failed  tokens in  tokens out     USD
  alice        10       1       1000         100  0.5000
`);
    const all = await gpubox(project, "usage", "--since", "60d", "--by", "key", "--json");
    expect(JSON.parse(all.stdout).key[0]).toMatchObject({ name: "by hand", usd: 100 });
  });

  test("show what each declared key has left, which keys are missing, and which others made, but no key", async () => {
    const { code, stdout } = await gpubox(project, "keys", "--json");
    expect(stdout).not.toContain("PLANTED");
    expect({ code, keys: JSON.parse(stdout) }).toEqual({
      code: 0,
      keys: [
        {
          name: "alice",
          state: "ok",
          team: "research",
          spentUsd: 4,
          budgetUsd: 10,
          leftUsd: 6,
          resets: "2099-02-01T00:00:00Z",
          lastUsed: "2026-11-01T12:00:00Z",
        },
        { name: "alice (previous)", state: "used up", spentUsd: 10, budgetUsd: 10, leftUsd: 0 },
        { name: "bob", state: "expired", spentUsd: 0, expires: "2026-01-01T00:00:00Z" },
        { name: "carol", state: "missing", spentUsd: 0 },
        { name: "by hand", state: "undeclared", spentUsd: 0.5 },
      ],
    });
  });

  test("show the same as a table, and say how to make a key that is missing", async () => {
    const { code, stdout } = await gpubox(project, "keys", "--repair");
    expect({ code, lines: stdout.trimEnd().split("\n") }).toEqual({
      code: 0,
      lines: [
        "  no gateway of this config runs: `gpubox up` makes the declared teams and keys",
        "key               state       team      spent USD   budget    left  resets      expires     last used",
        "alice             ok          research     4.0000  10.0000  6.0000  2099-02-01              2026-11-01",
        "alice (previous)  used up                 10.0000  10.0000  0.0000",
        "bob               expired                  0.0000                               2026-01-01",
        "carol             missing                  0.0000",
        "by hand           undeclared               0.5000",
        "Keys are missing in the database: `gpubox keys --repair` creates them, or says why it cannot.",
      ],
    });
  });

  test("accept only values that the help explains", async () => {
    const [usage, keys, by, since] = await Promise.all([
      gpubox(project, "usage", "--help"),
      gpubox(project, "keys", "--help"),
      gpubox(project, "usage", "--by", "user"),
      gpubox(project, "usage", "--since", "1 month"),
    ]);
    expect([usage?.stdout.slice(0, 19), keys?.stdout.slice(0, 18)]).toEqual([
      "Usage: gpubox usage",
      "Usage: gpubox keys",
    ]);
    expect(by).toMatchObject({ code: 2, stderr: expect.stringContaining("argument 'user' is invalid") });
    expect(since).toMatchObject({ code: 1, stderr: expect.stringContaining('"1 month" is not a time.') });
  });

  test("from a database without LiteLLM's tables are refused with the reason", async () => {
    await gatewaySql(project.plan, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    const { code, stderr } = await gpubox(project, "usage");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("The database has none of LiteLLM's tables."),
    });
  });
});

import { readdirSync } from "node:fs";
import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { askReplica, call, gatewaysOf, type Rows, rowsOf, usageOf } from "../support/access";
import { allocate } from "../support/allocate";
import { changed, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { needs } from "../support/needs";
import { gatewaySql } from "../support/postgres";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("access");
jest.setTimeout(4 * MINUTE);

/** So dear that a call's spend is no rounding: the canned model reads and writes a few tokens. */
const price = { inputPerMillion: 1000, outputPerMillion: 2000 };
const canned = { engine: "llamacpp", model: "canned", memoryMiB: 2048 };
const keyOf = (name: string) => ({ key: { secret: `${name}Key` }, models: ["tiny"] });

type Access = { "gpubox:access": { keys: Record<string, unknown> } };

needs("docker", "pulumi")("teams and keys of a config, on LiteLLM with Postgres and two gateways", () => {
  let project: TestProject;
  let exports: string[];
  let keys: Record<string, string>;
  let replicas: string[];
  /** What one call costs, in US dollars: the canned model counts the same tokens each time. */
  let cost: number;

  beforeAll(() => {
    project = makeProject(STACK, PORT, {
      gateway: {
        ...{ port: PORT, drainTimeout: 30, replicas: 2, memoryMiB: 2048 },
        // Retention runs once a day by itself.
        settings: { general: { maximum_spend_logs_retention_interval: "15s", proxy_batch_write_at: 2 } },
      },
      database: { mode: "bundled", spendLogs: { keepDays: 7 } },
      models: {
        tiny: { ...canned, price, info: { access_groups: ["everyday"] } },
        other: { ...canned, start: "manual" },
      },
      access: {
        teams: { research: { budgetUsd: 100, models: ["tiny"] } },
        keys: {
          alice: { ...keyOf("alice"), team: "research", budgetUsd: 50, rpm: 600 },
          bob: keyOf("bob"),
          leaver: { ...keyOf("leaver"), models: ["everyday"] },
          spender: { ...keyOf("spender"), budgetUsd: 0.001 },
        },
      },
    });
  });
  afterAll(() => removeProject(project));

  /** The output of a command that ends well. */
  const done = async (...words: string[]) => {
    const { code, stdout, stderr } = await gpubox(project, ...words);
    expect({ words, code, said: code === 0 ? "" : stdout + stderr }).toEqual({ words, code: 0, said: "" });
    return stdout;
  };
  const shell = async (command: string) => {
    const { code, stdout, stderr } = await inShell(project, exports, command);
    expect({ command, code, said: code === 0 ? "" : stdout + stderr }).toEqual({
      command,
      code: 0,
      said: "",
    });
    return stdout;
  };
  const up = (option = "") =>
    shell(`pulumi up --yes --skip-preview --non-interactive --stack ${STACK} ${option}`);
  const readKeys = async () => {
    const text = await shell(`pulumi config --show-secrets --json --stack ${STACK}`);
    const config = JSON.parse(text) as Record<string, { value: string }>;
    const found = Object.entries(config).filter(([name]) => /(Key|KeyOld)$/.test(name));
    return Object.fromEntries(found.map(([name, { value }]) => [name.replace("gpubox:", ""), value]));
  };
  const editKeys = (edit: (keys: Record<string, unknown>) => void) =>
    editStack(project, (config) => edit((config as unknown as Access)["gpubox:access"].keys));
  const atClients = (key: string, model = "tiny") => call(project.endpoint, key, model);
  const rows = (): Promise<Rows> => rowsOf(STACK);
  /** One call of each gateway. */
  const everywhere = async (key: string) =>
    (await Promise.all(replicas.map((one) => askReplica(one, key, 1)))).flat();
  /** Until each gateway answers a call with this status. */
  const answering = (status: number, key: string) =>
    until(`each gateway answers ${status}`, async () =>
      (await everywhere(key)).every((one) => one.status === status),
    );

  test(
    "are made by `up`, and a key works for its models only",
    async () => {
      const made = await done("up", "--yes");
      exports = exportsIn(made);
      keys = await readKeys();
      replicas = await gatewaysOf(STACK);
      expect(replicas).toHaveLength(2);

      const answer = await atClients(keys.bobKey!);
      expect(answer.status).toBe(200);
      const { prompt_tokens: read, completion_tokens: written } = answer.body.usage!;
      cost = (read * price.inputPerMillion + written * price.outputPerMillion) / 1e6;
      expect(cost).toBeGreaterThan(0.001);
      const refused = await atClients(keys.bobKey!, "other");
      expect(refused).toMatchObject({
        status: 403,
        body: { error: { type: "key_model_access_denied", message: expect.stringContaining("other") } },
      });
      expect(JSON.stringify(refused.body)).not.toContain(keys.bobKey);
      // By the group that the model says it is in.
      expect((await atClients(keys.leaverKey!)).status).toBe(200);
      expect((await atClients(keys.leaverKey!, "other")).status).toBe(403);
    },
    8 * MINUTE,
  );

  test("show the exact spend of calls through both gateways", async () => {
    const each = await Promise.all(replicas.map((one) => askReplica(one, keys.aliceKey!, 8)));
    expect(each.flat().map(({ status }) => status)).toEqual(Array(16).fill(200));
    for (let n = 0; n < 4; n += 1) expect((await atClients(keys.aliceKey!)).status).toBe(200);

    const usage = await until(
      "all calls are in the sums",
      async () => {
        const found = await usageOf(project);
        return found.alice?.requests === 20 && found.bob?.requests === 2 ? found : undefined;
      },
      { seconds: 90, everyMs: 1000 },
    );
    expect(usage.alice).toMatchObject({ requests: 20, failed: 0, usd: expect.closeTo(20 * cost, 9) });
    // The refused call counts as a request that failed.
    expect(usage.bob).toMatchObject({ requests: 2, failed: 1, usd: expect.closeTo(cost, 9) });
    expect(usage["gpubox-smoke"]).toMatchObject({ requests: 1, failed: 0 });
    const listed = JSON.parse(await done("keys", "--json")) as Record<string, unknown>[];
    expect(listed.find(({ name }) => name === "alice")).toMatchObject({
      state: "ok",
      team: "research",
      spentUsd: expect.closeTo(20 * cost, 9),
      budgetUsd: 50,
      leftUsd: expect.closeTo(50 - 20 * cost, 9),
    });
    expect(listed.map(({ name, state }) => [name, state])).toEqual([
      ["alice", "ok"],
      ["bob", "ok"],
      ["leaver", "ok"],
      ["spender", "ok"],
    ]);
  });

  test("a used-up budget is an answer that no client tries again, on both protocols", async () => {
    expect((await atClients(keys.spenderKey!)).status).toBe(200);
    const refused = await until("the budget counts on both gateways", async () => {
      const answers = await everywhere(keys.spenderKey!);
      return answers.every(({ status }) => status !== 200) && answers;
    });
    for (const one of refused)
      expect(one).toMatchObject({ status: 402, body: { error: { type: "budget_exceeded" } } });

    let asked = 0;
    const counting: typeof fetch = (...request) => {
      asked += 1;
      return fetch(...request);
    };
    const options = { apiKey: keys.spenderKey!, fetch: counting };
    const messages = [{ role: "user" as const, content: "ping" }];
    const openai = new OpenAI({ baseURL: `${project.endpoint}/v1`, ...options });
    const anthropic = new Anthropic({ baseURL: project.endpoint, ...options });
    await expect(openai.chat.completions.create({ model: "tiny", messages })).rejects.toMatchObject({
      status: 402,
      message: expect.stringContaining("Budget has been exceeded"),
    });
    await expect(anthropic.messages.create({ model: "tiny", max_tokens: 8, messages })).rejects.toMatchObject(
      { status: 402, message: expect.stringContaining("Budget has been exceeded") },
    );
    expect(asked).toBe(2);
    await until("the spend is written", async () => (await rows()).spender!.spend > 0.9 * cost);
    const listed = JSON.parse(await done("keys", "--json")) as Record<string, unknown>[];
    expect(listed.find(({ name }) => name === "spender")).toMatchObject({ state: "used up", leftUsd: 0 });
  });

  test("a second `up` changes neither a container nor a row", async () => {
    // Spend of the last calls may still be on its way; settings may not.
    const settings = async () =>
      Object.entries(await rows()).map(([name, { changed: at, team, budget }]) => ({
        name,
        at,
        team,
        budget,
      }));
    const before = { containers: await containersOf(STACK), settings: await settings() };
    await up("--expect-no-changes");
    expect(await done("keys", "--repair")).not.toMatch(/made|changed|deleted|renamed/);
    expect(changed(before.containers, await containersOf(STACK))).toEqual([]);
    expect(await settings()).toEqual(before.settings);
  });

  test("a rotated key and its predecessor work, and a removed key is refused by every gateway at once", async () => {
    const old = keys.aliceKey!;
    await shell(
      `pulumi config get gpubox:aliceKey --stack ${STACK} | tr -d '\\n' | pulumi config set --secret gpubox:aliceKeyOld --stack ${STACK}
       printf 'sk-%s' "$(openssl rand -hex 32)" | pulumi config set --secret gpubox:aliceKey --stack ${STACK}`,
    );
    editKeys((declared) => {
      Object.assign(declared.alice as object, { previous: { secret: "aliceKeyOld" } });
      delete declared.leaver;
    });
    const before = await containersOf(STACK);
    // Both gateways know the key by now, and keep it in memory.
    await answering(200, keys.leaverKey!);

    let over = false;
    const watched = Promise.all(
      replicas.map(async (one) => {
        const seen = [];
        while (!over || seen.at(-1)?.status === 200)
          seen.push(...(await askReplica(one, keys.leaverKey!, 5)));
        return seen;
      }),
    );
    await up().finally(() => {
      over = true;
    });
    // A rotation does not refill a budget.
    expect((await rows()).alice?.spend).toBeCloseTo(20 * cost, 9);
    const deleted = Number(
      await gatewaySql(
        { prefix: `gpubox-${STACK}` },
        `SELECT extract(epoch FROM deleted_at) FROM "LiteLLM_DeletedVerificationToken" WHERE key_alias = 'leaver'`,
      ),
    );
    const seconds = (await watched).map((seen) => {
      expect(seen.at(-1)).toMatchObject({ status: 401 });
      return Math.max(...seen.filter(({ status }) => status === 200).map(({ at }) => at)) - deleted;
    });
    process.stdout.write(`a deleted key was last accepted ${seconds.map((s) => s.toFixed(2))} s later\n`);
    for (const one of seconds) expect(one).toBeLessThan(5);

    expect(changed(before, await containersOf(STACK))).toEqual([]);
    keys = await readKeys();
    expect(keys.aliceKey).not.toBe(old);
    for (const key of [keys.aliceKey!, old])
      expect((await everywhere(key)).map(({ status }) => status)).toEqual([200, 200]);

    editKeys((declared) => {
      delete (declared.alice as { previous?: unknown }).previous;
    });
    await up();
    await answering(401, old);
    expect((await everywhere(keys.aliceKey!)).map(({ status }) => status)).toEqual([200, 200]);
  });

  test("the log of single requests is kept for the declared days, and the sums stay", async () => {
    const ids = "('kept-6-days', now() - interval '6 days'), ('gone-8-days', now() - interval '8 days')";
    const sql = (text: string) => gatewaySql({ prefix: `gpubox-${STACK}` }, text);
    await sql(
      `INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, "startTime", "endTime") SELECT id, 'acompletion', at, at FROM (VALUES ${ids}) v(id, at) ON CONFLICT DO NOTHING`,
    );
    const select = `SELECT request_id FROM "LiteLLM_SpendLogs" WHERE request_id LIKE '%-days' ORDER BY 1`;
    await until("the old row is gone", async () => (await sql(select)) === "kept-6-days", { everyMs: 1000 });
    // The key that was rotated away keeps its name, and its calls.
    expect((await usageOf(project))["alice (previous)"]?.requests).toBeGreaterThanOrEqual(20);
  });

  test(
    "outlive a reset by their backup: key and spend are there again, and work",
    async () => {
      const before = await until("all spend is written", async () => {
        const [first, second] = [await rows(), await rows()];
        return first.alice!.spend > 20.5 * cost && JSON.stringify(first) === JSON.stringify(second) && first;
      });
      await done("backup", "--rehearse");
      const [folder] = readdirSync(join(project.dir, ".gpubox/backups"));

      await done("database", "reset", "--yes", "--confirm", STACK);
      const empty = Object.entries(await rows()).map(([name, { spend }]) => [name, spend]);
      expect(Object.fromEntries(empty)).toEqual({ alice: 0, bob: 0, spender: 0 });
      await answering(200, keys.aliceKey!);

      await done("restore", "--yes", "--from", join(project.dir, ".gpubox/backups", folder!));
      expect((await rows()).alice?.spend).toBeGreaterThanOrEqual(before.alice!.spend);
      expect((await usageOf(project)).bob).toMatchObject({ usd: expect.closeTo(cost, 9) });
      await answering(200, keys.aliceKey!);
      await answering(402, keys.spenderKey!);
    },
    6 * MINUTE,
  );

  test("mistakes are refused with path and fix, and the box keeps serving", async () => {
    editKeys((declared) => Object.assign(declared.bob as object, { budgetUsd: 0 }));
    const refused = await gpubox(project, "up");
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("gpubox:access.keys.bob.budgetUsd: 0 is not valid. Write more than 0."),
    });
    expect((await atClients(keys.bobKey!)).status).toBe(200);
  });
});

import { readdirSync } from "node:fs";
import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { output } from "../../platform/process";
import { askReplica } from "../support/access";
import { allocate } from "../support/allocate";
import { allowance } from "../support/allowance";
import { changed, containersOf } from "../support/box";
import { needs } from "../support/needs";
import { gpubox } from "../support/project";
import { until } from "../support/wait";
import { AccessBox } from "./access/box";
import { limited, limitsHold } from "./access/limits";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("access");
jest.setTimeout(4 * MINUTE);

/** So dear that a call's spend is no rounding: the canned model reads and writes a few tokens. */
const price = { inputPerMillion: 1000, outputPerMillion: 2000 };
const canned = { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1 };
const keyOf = (name: string) => ({ key: { secret: `${name}Key` }, models: ["tiny"] });

needs("docker", "pulumi")("teams and keys of a config, on LiteLLM with Postgres and two gateways", () => {
  let box: AccessBox;
  /** What one call costs, in US dollars: the canned model counts the same tokens each time. */
  let cost: number;

  beforeAll(() => {
    box = new AccessBox(STACK, PORT, {
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
        teams: { ...limited.teams, research: { budgetUsd: 100, models: ["tiny"] } },
        users: {
          dana: { email: "dana@example.com", teams: ["research"], models: ["tiny"], budgetUsd: 0.001 },
          erin: { email: "erin@example.com", teams: ["research"] },
        },
        keys: {
          ...limited.keys,
          alice: { ...keyOf("alice"), team: "research", budgetUsd: 50, rpm: 600 },
          bob: keyOf("bob"),
          leaver: { ...keyOf("leaver"), models: ["everyday"] },
          spender: { ...keyOf("spender"), budgetUsd: 0.001 },
        },
      },
    });
  });
  afterAll(() => box.remove());

  test(
    "are made by `up`, and a key works for its models only",
    async () => {
      await box.start();
      expect(box.replicas).toHaveLength(2);
      const person = { role: "internal_user", teams: [`gpubox-${STACK}-research`] };
      expect(await box.people()).toEqual({
        dana: { ...person, email: "dana@example.com", models: ["tiny"], budget: 0.001 },
        erin: { ...person, email: "erin@example.com", models: ["all-proxy-models"], budget: null },
      });

      const answer = await box.atClients(box.keys.bobKey!);
      expect(answer.status).toBe(200);
      const { prompt_tokens: read, completion_tokens: written } = answer.body.usage!;
      cost = (read * price.inputPerMillion + written * price.outputPerMillion) / 1e6;
      expect(cost).toBeGreaterThan(0.001);
      const refused = await box.atClients(box.keys.bobKey!, "other");
      expect(refused).toMatchObject({
        status: 403,
        body: { error: { type: "key_model_access_denied", message: expect.stringContaining("other") } },
      });
      expect(JSON.stringify(refused.body)).not.toContain(box.keys.bobKey);
      // By the group that the model says it is in.
      expect((await box.atClients(box.keys.leaverKey!)).status).toBe(200);
      expect((await box.atClients(box.keys.leaverKey!, "other")).status).toBe(403);
    },
    8 * MINUTE,
  );

  test("show the exact spend of calls through both gateways", async () => {
    const each = await Promise.all(box.replicas.map((one) => askReplica(one, box.keys.aliceKey!, 8)));
    expect(each.flat().map(({ status }) => status)).toEqual(Array(16).fill(200));
    for (let n = 0; n < 4; n += 1) expect((await box.atClients(box.keys.aliceKey!)).status).toBe(200);

    const usage = await until(
      "all calls are in the sums",
      async () => {
        const found = await box.usage();
        return found.alice?.requests === 20 && found.bob?.requests === 2 ? found : undefined;
      },
      { seconds: 180, everyMs: 1000 },
    );
    expect(usage.alice).toMatchObject({ requests: 20, failed: 0, usd: expect.closeTo(20 * cost, 9) });
    // The refused call counts as a request that failed.
    expect(usage.bob).toMatchObject({ requests: 2, failed: 1, usd: expect.closeTo(cost, 9) });
    expect(usage["gpubox-smoke"]).toMatchObject({ requests: 1, failed: 0 });
    const listed = JSON.parse(await box.done("keys", "--json")) as Record<string, unknown>[];
    expect(listed.find(({ name }) => name === "alice")).toMatchObject({
      state: "ok",
      team: "research",
      spentUsd: expect.closeTo(20 * cost, 9),
      budgetUsd: 50,
      leftUsd: expect.closeTo(50 - 20 * cost, 9),
    });
    const names = ["alice", "bob", "leaver", "spender", ...Object.keys(limited.keys)];
    expect(listed.map(({ name, state }) => [name, state])).toEqual(names.sort().map((name) => [name, "ok"]));
  });

  test("a used-up budget is an answer that no client tries again, on both protocols", async () => {
    expect((await box.atClients(box.keys.spenderKey!)).status).toBe(200);
    const refused = await until("the budget counts on both gateways", async () => {
      const answers = await box.everywhere(box.keys.spenderKey!);
      return answers.every(({ status }) => status !== 200) && answers;
    });
    for (const one of refused)
      expect(one).toMatchObject({ status: 402, body: { error: { type: "budget_exceeded" } } });

    let asked = 0;
    const counting: typeof fetch = (...request) => {
      asked += 1;
      return fetch(...request);
    };
    const options = { apiKey: box.keys.spenderKey!, fetch: counting };
    const messages = [{ role: "user" as const, content: "ping" }];
    const openai = new OpenAI({ baseURL: `${box.project.endpoint}/v1`, ...options });
    const anthropic = new Anthropic({ baseURL: box.project.endpoint, ...options });
    await expect(openai.chat.completions.create({ model: "tiny", messages })).rejects.toMatchObject({
      status: 402,
      message: expect.stringContaining("Budget has been exceeded"),
    });
    await expect(anthropic.messages.create({ model: "tiny", max_tokens: 8, messages })).rejects.toMatchObject(
      { status: 402, message: expect.stringContaining("Budget has been exceeded") },
    );
    expect(asked).toBe(2);
    await until("the spend is written", async () => (await box.rows()).spender!.spend > 0.9 * cost);
    const listed = JSON.parse(await box.done("keys", "--json")) as Record<string, unknown>[];
    expect(listed.find(({ name }) => name === "spender")).toMatchObject({ state: "used up", leftUsd: 0 });
  });

  limitsHold(() => box);

  test("a second `up` changes neither a container nor a row", async () => {
    // Spend of the last calls may still be on its way; settings may not.
    const settings = async () =>
      Object.entries(await box.rows()).map(([name, { changed: at, team, budget }]) => ({
        name,
        at,
        team,
        budget,
      }));
    const before = { containers: await containersOf(STACK), settings: await settings() };
    await box.up("--expect-no-changes");
    expect(await box.done("keys", "--repair")).not.toMatch(/made|changed|deleted|renamed|put|took/);
    expect(changed(before.containers, await containersOf(STACK))).toEqual([]);
    expect(await settings()).toEqual(before.settings);
  });

  test("a rotated key and its predecessor work; a removed key, and a removed person's, is refused by every gateway at once", async () => {
    const old = box.keys.aliceKey!;
    await box.shell(
      `pulumi config get gpubox:aliceKey --stack ${STACK} | tr -d '\\n' | pulumi config set --secret gpubox:aliceKeyOld --stack ${STACK}
       printf 'sk-%s' "$(openssl rand -hex 32)" | pulumi config set --secret gpubox:aliceKey --stack ${STACK}`,
    );
    const erin = { user_id: `gpubox-${STACK}-erin`, key_alias: "erins" };
    const erins = String((await box.admin("/key/generate", erin)).key);
    box.edit(({ keys, users }) => {
      Object.assign(keys.alice!, { previous: { secret: "aliceKeyOld" } });
      delete keys.leaver;
      delete users.erin;
      users.dana = { email: "dana@example.com", role: "internal_user_viewer", budgetUsd: 2 };
    });
    const before = await containersOf(STACK);
    // Both gateways know the key by now, and keep it in memory.
    for (const key of [box.keys.leaverKey!, erins]) await box.answering(200, key);

    let over = false;
    const watched = Promise.all(
      box.replicas.map(async (one) => {
        const seen = [];
        while (!over || seen.at(-1)?.status === 200)
          seen.push(...(await askReplica(one, box.keys.leaverKey!, 10)));
        return seen;
      }),
    );
    await box.up().finally(() => {
      over = true;
    });
    // A rotation does not refill a budget.
    expect((await box.rows()).alice?.spend).toBeCloseTo(20 * cost, 9);
    const deleted = Number(
      await box.sql(
        `SELECT extract(epoch FROM deleted_at) FROM "LiteLLM_DeletedVerificationToken" WHERE key_alias = 'leaver'`,
      ),
    );
    const seconds = (await watched).map((seen) => {
      expect(seen.at(-1)).toMatchObject({ status: 401 });
      return Math.max(...seen.filter(({ status }) => status === 200).map(({ at }) => at)) - deleted;
    });
    process.stdout.write(`a deleted key was last accepted ${seconds.map((s) => s.toFixed(2))} s later\n`);
    for (const one of seconds) expect(one).toBeLessThan(allowance(5));

    expect((await box.everywhere(erins)).map(({ status }) => status)).toEqual([401, 401]);
    expect(await box.people()).toEqual({
      dana: {
        ...{ email: "dana@example.com", role: "internal_user_viewer", teams: [] },
        ...{ models: ["all-proxy-models"], budget: 2 },
      },
    });

    expect(changed(before, await containersOf(STACK))).toEqual([]);
    await box.readKeys();
    expect(box.keys.aliceKey).not.toBe(old);
    for (const key of [box.keys.aliceKey!, old])
      expect((await box.everywhere(key)).map(({ status }) => status)).toEqual([200, 200]);

    expect((await box.everywhere(box.keys.guestKey!)).map(({ status }) => status)).toEqual([200, 200]);
    box.edit(({ keys }) => {
      delete keys.alice!.previous;
      keys.guest!.expires = new Date(Date.now() + 20_000).toISOString();
    });
    await box.up();
    for (const key of [old, box.keys.guestKey!]) await box.answering(401, key);
    expect((await box.everywhere(box.keys.aliceKey!)).map(({ status }) => status)).toEqual([200, 200]);
  });

  test("the log of single requests is kept for the declared days, and the sums stay", async () => {
    const ids = "('kept-6-days', now() - interval '6 days'), ('gone-8-days', now() - interval '8 days')";
    await box.sql(
      `INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, "startTime", "endTime") SELECT id, 'acompletion', at, at FROM (VALUES ${ids}) v(id, at) ON CONFLICT DO NOTHING`,
    );
    const select = `SELECT request_id FROM "LiteLLM_SpendLogs" WHERE request_id LIKE '%-days' ORDER BY 1`;
    await until("the old row is gone", async () => (await box.sql(select)) === "kept-6-days", {
      everyMs: 1000,
    });
    // The key that was rotated away keeps its name, and its calls.
    expect((await box.usage())["alice (previous)"]?.requests).toBeGreaterThanOrEqual(20);
  });

  test(
    "outlive a reset by their backup: key and spend are there again, and work",
    async () => {
      const before = await until("all spend is written", async () => {
        const [first, second] = [await box.rows(), await box.rows()];
        return first.alice!.spend > 20.5 * cost && JSON.stringify(first) === JSON.stringify(second) && first;
      });
      await box.done("backup", "--rehearse");
      const [folder] = readdirSync(join(box.project.dir, ".gpubox/backups"));

      await box.done("database", "reset", "--yes", "--confirm", STACK);
      const empty = Object.entries(await box.rows()).map(([name, { spend }]) => [name, spend]);
      expect(Object.fromEntries(empty)).toEqual(
        // The guest's key has expired.
        Object.fromEntries(
          ["alice", "bob", "spender", "member", "hasty", "words", "narrow"].map((name) => [name, 0]),
        ),
      );
      await box.answering(200, box.keys.aliceKey!);

      await box.done("restore", "--yes", "--from", join(box.project.dir, ".gpubox/backups", folder!));
      expect((await box.rows()).alice?.spend).toBeGreaterThanOrEqual(before.alice!.spend);
      expect((await box.usage()).bob).toMatchObject({ usd: expect.closeTo(cost, 9) });
      await box.answering(200, box.keys.aliceKey!);
      await box.answering(402, box.keys.spenderKey!);
    },
    6 * MINUTE,
  );

  test("two gateways serve one generation, and the death of one is not noticed", async () => {
    const edge = `gpubox-${STACK}-edge`;
    const status = await output("docker", ["exec", edge, "bash", "/etc/gpubox/switch.sh", "--status"]);
    const serving = status.split("\n").filter((line) => line.includes(" serving "));
    expect(serving).toHaveLength(2);
    await output("docker", ["kill", serving[0]!.split(" ")[1]!]);
    const statuses = [];
    for (let i = 0; i < 10; i++) statuses.push((await box.atClients(box.keys.aliceKey!)).status);
    expect(statuses).toEqual(Array(10).fill(200));
  });

  test("mistakes are refused with path and fix, and the box keeps serving", async () => {
    box.edit(({ keys }) => Object.assign(keys.bob!, { budgetUsd: 0 }));
    const refused = await gpubox(box.project, "up");
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("gpubox:access.keys.bob.budgetUsd: 0 is not valid. Write more than 0."),
    });
    expect((await box.atClients(box.keys.bobKey!)).status).toBe(200);
  });
});

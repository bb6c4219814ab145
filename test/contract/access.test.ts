import { AccessLab } from "../support/accessLab";
import type { Row } from "../support/litellmAdmin";
import contract from "./litellm/admin.json";

// Each case starts a Python a few times.
jest.setTimeout(60_000);

const lab = new AccessLab();
const up = (access: Record<string, unknown>) => lab.up(access);
const alice = { key: { secret: "aliceKey" } };
const held = () => lab.held();
const one = (alias: string): Row => held()[alias] ?? {};

test("without declarations it reads the present state and changes nothing", async () => {
  expect(await up({})).toEqual({ code: 0, said: [], failed: "" });
  expect(lab.litellm.calls.map(({ path }) => path)).toEqual(["/team/list", "/key/list", "/user/list"]);
});

test("a team and its key are made with their limits, under the names that LiteLLM reads", async () => {
  const research = { budgetUsd: 100, budgetDuration: "30d", models: ["tiny"], rpm: 60, tpm: 100_000 };
  const key = {
    ...alice,
    team: "research",
    budgetUsd: 10,
    budgetDuration: "1mo",
    rpm: 6,
    tpm: 7,
    maxParallel: 2,
  };
  const { code, said } = await up({ teams: { research }, keys: { alice: key } });
  expect({ code, said }).toEqual({ code: 0, said: ["made the team research", "made the key alice"] });
  expect(lab.litellm.teams.get("gpubox-test-research")).toEqual({
    team_id: "gpubox-test-research",
    team_alias: "research",
    metadata: { gpubox: { stack: "test" } },
    models: ["tiny", "local"],
    max_budget: 100,
    budget_duration: "30d",
    rpm_limit: 60,
    tpm_limit: 100_000,
    spend: 0,
  });
  expect(one("alice")).toMatchObject({
    team_id: "gpubox-test-research",
    metadata: { gpubox: { stack: "test", key: "alice" } },
    models: [],
    max_budget: 10,
    budget_duration: "1mo",
    rpm_limit: 6,
    tpm_limit: 7,
    max_parallel_requests: 2,
    expires: null,
  });
});

test("it leaves alone what matches the declaration, so that no budget restarts", async () => {
  const access = {
    teams: { research: { budgetUsd: 100 } },
    keys: { alice: { ...alice, team: "research", budgetUsd: 10, models: ["local"], expires: "2099-01-31" } },
  };
  await up(access);
  expect(await up(access)).toEqual({ code: 0, said: [], failed: "" });
  expect(lab.litellm.changes()).toEqual([]);
});

test("only what changed is sent, and what is no longer declared is unset", async () => {
  const teams = { research: {} };
  await up({
    teams,
    keys: { alice: { ...alice, budgetUsd: 10, budgetDuration: "30d", rpm: 6, team: "research" } },
  });
  const { said } = await up({ teams, keys: { alice: { ...alice, budgetUsd: 20, budgetDuration: "30d" } } });
  expect(said).toEqual(["changed the key alice (max_budget, rpm_limit, team_id)"]);
  const { token } = one("alice");
  expect(lab.litellm.calls.at(-1)?.body).toEqual({
    key: token,
    max_budget: 20,
    rpm_limit: null,
    team_id: null,
  });
});

test("an expiry is set, moved and removed", async () => {
  const until = (expires?: string) => up({ keys: { alice: { ...alice, ...(expires ? { expires } : {}) } } });
  const near = (moment: string) =>
    Math.abs(Date.parse(String(one("alice").expires)) - Date.parse(moment)) < 60_000;
  await until("2099-01-31");
  expect(near("2099-01-31T00:00:00Z")).toBe(true);
  expect((await until("2099-03-01T12:00:00+02:00")).said).toEqual(["changed the key alice (expires)"]);
  expect(near("2099-03-01T10:00:00Z")).toBe(true);
  expect((await until()).said).toEqual(["changed the key alice (expires)"]);
  expect(one("alice").expires).toBeNull();
  expect((await until("2020-01-01")).said).toEqual(["changed the key alice (expires)"]);
  expect(Date.parse(String(one("alice").expires))).toBeLessThan(Date.now() + 2000);
});

test("a key that expired before it was made is not made", async () => {
  const { code, said } = await up({ keys: { alice: { ...alice, expires: "2020-01-01" } } });
  expect({ code, said }).toEqual({ code: 0, said: ["did not make the key alice: it has expired"] });
  expect(lab.litellm.keys.size).toBe(0);
});

describe("a rotation", () => {
  test("creates the new key next to the old one, which works until it is no longer named", async () => {
    await up({ keys: { alice: { ...alice, budgetUsd: 10 } } });
    const old = one("alice").token;
    Object.assign(one("alice"), { spend: 4 });
    const keys = { alice: { key: { secret: "aliceNew" }, previous: { secret: "aliceKey" }, budgetUsd: 10 } };
    const { said } = await up({ keys });
    expect(said).toEqual([
      "renamed the key alice of before",
      "made the key alice",
      "changed the key alice (previous) (key_alias)",
    ]);
    expect(one("alice (previous)").token).toBe(old);
    // It does not refill the budget.
    expect(one("alice")).toMatchObject({ spend: 4, max_budget: 10 });
    expect((await up({ keys })).said).toEqual([]);
    const done = await up({ keys: { alice: { key: { secret: "aliceNew" }, budgetUsd: 10 } } });
    expect(done.said).toEqual(["deleted the key alice (previous)"]);
    expect(Object.keys(held())).toEqual(["alice"]);
  });

  test("without a previous key deletes the old one only after the new one exists", async () => {
    await up({ keys: { alice } });
    await up({ keys: { alice: { key: { secret: "aliceNew" } } } });
    // The name is freed, and the old key expires before it goes.
    expect(lab.litellm.changes()).toEqual(["/key/update", "/key/generate", "/key/update", "/key/delete"]);
    expect(Object.keys(held())).toEqual(["alice"]);
  });

  test("that fails keeps the old key, says so, and is done by the next `up`", async () => {
    await up({ keys: { alice } });
    const before = [...lab.litellm.keys.keys()];
    lab.litellm.broken = ({ path }) => path === "/key/generate";
    const { code, said, failed } = await up({ keys: { alice: { key: { secret: "aliceNew" } } } });
    expect({ code, last: said.at(-1) }).toEqual({
      code: 1,
      last: expect.stringMatching(/^kept the key alice \([0-9a-f]{8}\): its successor was not made$/),
    });
    expect(failed).toBe(
      "Not all teams, people and keys are as declared; the next `up` tries again:\n  made the key alice: status 500: could not, for [key]\n",
    );
    expect([...lab.litellm.keys.keys()]).toEqual(before);
    lab.litellm.broken = () => false;
    expect((await up({ keys: { alice: { key: { secret: "aliceNew" } } } })).code).toBe(0);
    expect(Object.keys(held())).toEqual(["alice"]);
    expect([...lab.litellm.keys.keys()]).not.toEqual(before);
  });
});

test("a call that fails while the database comes back is tried once more, and what is there is left alone", async () => {
  let lost = 1;
  lab.litellm.broken = ({ path }) => path === "/key/generate" && lost-- > 0;
  expect(await up({ keys: { alice, bob: { key: { secret: "bobKey" } } } })).toEqual({
    code: 0,
    said: ["made the key bob", "made the key alice"],
    failed: "",
  });
});

test("a call that fails is named, and the others are made all the same", async () => {
  lab.litellm.broken = ({ body }) => body.key_alias === "alice";
  const { code, said, failed } = await up({ keys: { alice, bob: { key: { secret: "bobKey" } } } });
  expect({ code, said }).toEqual({ code: 1, said: ["made the key bob"] });
  expect(failed).toContain("  made the key alice: status 500");
});

test("a key that is no longer declared is deleted, and a team after its keys", async () => {
  const access = { teams: { research: {} }, keys: { alice: { ...alice, team: "research" } } };
  await up(access);
  expect((await up({})).said).toEqual(["deleted the key alice", "deleted the team research"]);
  expect([lab.litellm.keys.size, lab.litellm.teams.size]).toEqual([0, 0]);
});

test("a deleted key expires first, because LiteLLM tells the other gateways of a change and not of a deletion", async () => {
  await up({ keys: { alice } });
  const { token } = one("alice");
  await up({});
  expect(lab.litellm.calls.slice(-2).map(({ path, body }) => [path, body])).toEqual([
    ["/key/update", { key: token, duration: "1s" }],
    ["/key/delete", { keys: [token] }],
  ]);
});

test("a key that does not expire is deleted all the same, and it is said what that means", async () => {
  await up({ keys: { alice } });
  lab.litellm.broken = ({ path }) => path === "/key/update";
  expect(await up({})).toEqual({
    code: 0,
    said: [
      "the key alice did not expire first: other gateways may accept it for a minute",
      "deleted the key alice",
    ],
    failed: "",
  });
  expect(lab.litellm.keys.size).toBe(0);
});

test("it never touches what others made: keys, teams, or a team with one of their keys", async () => {
  const theirs = { token: "f".repeat(64), key_alias: "by hand", metadata: {}, models: [] };
  const foreign = {
    token: "e".repeat(64),
    key_alias: "other",
    metadata: { gpubox: { stack: "other" } },
    models: [],
  };
  lab.litellm.teams.set("by-hand", { team_id: "by-hand", metadata: null });
  await up({ teams: { research: {} } });
  for (const row of [theirs, foreign])
    lab.litellm.keys.set(row.token, { ...row, team_id: "gpubox-test-research" });
  const { code, failed } = await up({});
  expect(code).toBe(1);
  expect(failed).toContain(
    "the team research stays: keys belong to it that would be deleted too: by hand, other",
  );
  expect([lab.litellm.keys.size, lab.litellm.teams.size]).toEqual([2, 2]);
  expect(lab.litellm.changes()).toEqual([]);
});

test("a declared key whose value or name belongs to somebody else's key is reported by name", async () => {
  await up({ keys: { alice } });
  const row = one("alice");
  Object.assign(row, { metadata: {} });
  const taken = await up({ keys: { alice } });
  expect(taken.failed).toContain(
    "the key alice: its value is that of a key that was not made from this config",
  );
  const named = await up({ keys: { alice: { key: { secret: "aliceNew" } } } });
  expect(named.failed).toContain("made the key alice: status 400: Key with alias 'alice' already exists.");
});

test("it reads every page of keys", async () => {
  for (let n = 0; n < 250; n++) {
    const token = String(n).padStart(64, "0");
    lab.litellm.keys.set(token, { token, key_alias: `hand ${n}`, metadata: {}, models: [] });
  }
  await up({ keys: { alice } });
  expect((await up({ keys: { alice } })).said).toEqual([]);
  expect((await up({})).said).toEqual(["deleted the key alice"]);
});

test("a gateway that does not list its keys stops it before any change", async () => {
  lab.litellm.broken = ({ path }) => path === "/key/list";
  const { code, failed } = await up({ keys: { alice } });
  expect(code).toBe(1);
  expect(failed).toContain("LiteLLM did not answer /key/list: status 500");
  expect(lab.litellm.changes()).toEqual([]);
});

test("every field that it reads from a key, team or person exists in LiteLLM", () => {
  const limits = [
    "metadata",
    "models",
    "max_budget",
    "budget_duration",
    "rpm_limit",
    "tpm_limit",
    "team_id",
    "spend",
  ];
  const ofKey = [...limits, "token", "key_alias", "expires", "max_parallel_requests"];
  expect(ofKey.filter((name) => !contract.key.includes(name))).toEqual([]);
  expect(
    [...limits, "team_alias", "members_with_roles"].filter((name) => !contract.team.includes(name)),
  ).toEqual([]);
  const ofUser = [
    ...limits.filter((name) => name !== "team_id"),
    "user_id",
    "user_alias",
    "user_email",
    "user_role",
  ];
  expect(ofUser.filter((name) => !contract.user.includes(name))).toEqual([]);
});

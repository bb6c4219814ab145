import { answer, type Behaviour, FIX, KEY, smokeStub } from "../../../support/smokeStub";

const TOKEN = "a".repeat(64);
const LOGS = `/spend/logs?api_key=${TOKEN}`;

/** An admin port that makes a key, knows its request at the second question, and deletes it. */
function admin(faults: Record<string, Behaviour> = {}): Record<string, Behaviour> {
  let asked = 0;
  return {
    "/key/generate plain": answer(200, { key: "sk-virtual", token: TOKEN }),
    [LOGS]: (response) => answer(200, asked++ === 0 ? [] : [{ api_key: TOKEN, spend: 0.25 }])(response),
    "/key/delete plain": answer(200, {}),
    ...faults,
  };
}

const trial = (faults?: Record<string, Behaviour>, more = {}) =>
  smokeStub(admin(faults), { keys: { admin: "stub", masterKey: KEY }, ...more });

test("a box with a database makes a virtual key, serves it, knows what it spent, and deletes it", async () => {
  const { lines, failure, seen } = await trial();
  expect(failure).toBeUndefined();
  expect(lines.at(-1)).toBe("  ok    a virtual key   made, asked tiny, $0.25 spent, deleted");
  const own = seen.filter(({ headers }) => headers.authorization === "Bearer sk-virtual");
  expect(own.map(({ check }) => check)).toEqual(["/v1/chat/completions plain"]);
  const made = seen.find(({ check }) => check === "/key/generate plain")!;
  expect(JSON.parse(made.body)).toEqual({
    key_alias: expect.stringMatching(/^gpubox-smoke-[0-9a-f]{8}$/),
    models: ["tiny"],
    duration: "10m",
    metadata: { gpubox: "smoke" },
  });
  expect(seen.at(-1)).toMatchObject({ check: "/key/delete plain", body: JSON.stringify({ keys: [TOKEN] }) });
});

test.each([
  [
    "no key can be made",
    { "/key/generate plain": answer(500, { error: { message: "no tables" } }) },
    "a virtual key: /key/generate: status 500: no tables",
  ],
  [
    "the spend log does not answer",
    { [LOGS]: answer(503, { error: { message: "no database" } }) },
    "a virtual key: /spend/logs: status 503: no database",
  ],
  [
    "the key cannot be deleted",
    { "/key/delete plain": answer(400, { error: { message: "no such key" } }) },
    "a virtual key: /key/delete: status 400: no such key",
  ],
])("fails when %s", async (_, faults, reason) => {
  expect((await trial(faults)).failure).toBe(`1 of 9 checks failed:\n  - ${reason} ${FIX}`);
});

test("a key that was made is deleted although its request failed", async () => {
  const { seen, failure } = await trial({
    "/v1/chat/completions plain": answer(401, { error: { message: "unknown key" } }),
  });
  expect(failure).toContain("a virtual key: status 401: unknown key");
  expect(seen.map(({ check }) => check)).toContain("/key/delete plain");
});

test("a gateway that is not connected to its database fails, also when it is healthy", async () => {
  const away = answer(200, { status: "healthy", db: "Not connected" });
  expect((await trial({ "/health/readiness": away })).failure).toContain(
    '/health/readiness: healthy, and its database is "Not connected"',
  );
});

test("a box without a database is asked for no key", async () => {
  const { lines, seen } = await smokeStub();
  expect(lines.join()).not.toContain("virtual key");
  expect(seen.filter(({ check }) => /^.(key|spend)/.test(check))).toEqual([]);
});

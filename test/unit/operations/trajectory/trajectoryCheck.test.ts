import { execFileSync, spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { pretty, reportText } from "../../../../operations/trajectory/pretty";
import { rawValue } from "../../../../operations/trajectory/rawJson";
import { linesOf } from "../../../../operations/trajectory/readLines";
import { AT, justNow, LATER, Log, lineText, sha256 } from "../../../support/trajectoryLog";

let log: Log;
beforeEach(() => {
  log = new Log();
});
afterEach(() => rmSync(log.folder, { recursive: true }));

describe("a check", () => {
  test("of a log with a line for every request says that it is complete", async () => {
    for (const seq of [1, 2, 3]) log.line(log.request(`{"n": ${seq}.50, "s":"\u2028ü\\u00fc"}`, seq).text);
    log.stop();
    const report = await log.check();
    expect(report).toEqual({
      ...{
        complete: true,
        requests: 3,
        lines: 3,
        outcomes: { ok: 3 },
        missing: [],
        different: [],
        duplicate: [],
      },
      ...{ uncounted: [], broken: [], websockets: 0, refused: 0, open: 0 },
    });
    expect(reportText(report)).toBe("3 requests counted, 3 lines: 3 ok\ncomplete");
  });

  test("names a request in progress when the gateway was killed", async () => {
    const { id } = log.request("{}", 1, false);
    const report = await log.check();
    expect(report.missing).toEqual([
      { id, at: AT, path: "/v1/chat/completions", why: "the gateway was killed while it worked on it" },
    ]);
    expect(report.complete).toBe(false);
    expect(reportText(report)).toContain(`missing: 1\n  ${id}`);
  });

  test("distinguishes an answer that was sent from one that was not", async () => {
    log.request();
    const [missing] = (await log.check()).missing;
    expect(missing?.why).toBe(
      "the gateway was killed after it had answered (status 200) and before its line was written",
    );
  });

  test("does not blame a kill when the gateway stopped by itself", async () => {
    log.request();
    log.stop();
    expect((await log.check()).missing[0]?.why).toContain(
      "the gateway stopped by itself after it had answered",
    );
  });

  test("concludes from a request after a stop record that the process went on", async () => {
    log.stop();
    log.request("{}", 1, false);
    expect((await log.check()).missing[0]?.why).toBe("the gateway was killed while it worked on it");
  });

  /** What a check says while somebody holds the log's lock, as its gateway does. */
  async function checkedWhileHeld(how: "--exclusive" | "--shared", gap = " \n") {
    writeFileSync(log.path(".gap"), gap);
    const holder = [how, log.path(".gap"), "node", "-e", "console.log(1); setTimeout(() => {}, 60000)"];
    const child = spawn("flock", holder, { stdio: ["ignore", "pipe", "ignore"], detached: true });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const report = await log.check();
    process.kill(-child.pid!, "SIGKILL");
    return report;
  }

  test("counts a running gateway's requests as open, not as missing", async () => {
    const { text } = log.request();
    log.line(text, '{"schema":1,"id":"half of a li');
    log.request("{}", 2, false);
    const report = await checkedWhileHeld("--exclusive");
    expect([report.open, report.missing, report.broken, report.complete]).toEqual([1, [], [], true]);
  });

  test("counts what a running gateway has just answered as open too, and what it answered long ago as missing", async () => {
    const old = log.request("{}", 1);
    const lately = log.request("{}", 2, false);
    const at = justNow();
    log.count({ kind: "response", id: lately.id, at, status: 200, bytes: 2, complete: true });
    const report = await checkedWhileHeld("--exclusive");
    expect([report.open, report.missing.map(({ id }) => id), report.broken]).toEqual([1, [old.id], []]);
  });

  test.each([
    ["has just answered and could not write", true],
    ["began on the last room of its disk and could not write to the end", false],
  ])("counts what a running gateway %s as missing", async (_, isAnswered) => {
    const { id } = log.request("{}", 1, false);
    const at = justNow();
    if (isAnswered) log.count({ kind: "response", id, at, status: 200, bytes: 2, complete: true });
    const gap = { kind: "gap", since: AT, reason: "full", held: 1, dropped: 0, refused: 0 };
    const report = await checkedWhileHeld("--exclusive", `${JSON.stringify({ ...gap, requests: [id] })}\n`);
    expect([report.open, report.missing.map((one) => one.id), report.broken]).toEqual([0, [id], []]);
  });

  test("does not mistake a simultaneous check for a gateway", async () => {
    log.request("{}", 1, false);
    const report = await checkedWhileHeld("--shared");
    expect(report.missing[0]?.why).toBe("the gateway was killed while it worked on it");
  });

  test("finds a body that differs from the one received, even if only a number is written differently", async () => {
    const { id, text } = log.request('{"n":1.0}');
    log.line(text.replace('{"n":1.0}', '{"n":1}'));
    const report = await log.check();
    expect(report.different).toEqual([
      { id, at: AT, path: "/v1/chat/completions", why: `${log.path(".jsonl")}:1` },
    ]);
    expect(report.complete).toBe(false);
  });

  test("uses the hash of the logged body when keys or line breaks were removed", async () => {
    const id = randomUUID();
    const hashes = { sha256: sha256("{\n}"), logged_sha256: sha256("{ }") };
    const request = { kind: "request", id, seq: 1, at: AT, method: "POST", path: "/x", bytes: 3, ...hashes };
    log.count(request);
    log.line(lineText(id, "{ }"));
    expect((await log.check()).complete).toBe(true);
  });

  test("compares a body that is not JSON by its bytes", async () => {
    const raw = Buffer.from([0xff, 0x00, 0x0a]);
    const id = randomUUID();
    const hash = createHash("sha256").update(raw).digest("hex");
    log.count({ kind: "request", id, seq: 1, at: AT, method: "POST", path: "/x", bytes: 3, sha256: hash });
    log.line(lineText(id, "null").replace('"body":null', `"body_base64":"${raw.toString("base64")}"`));
    expect(await log.check()).toMatchObject({ complete: true, different: [], broken: [] });
  });

  test("finds duplicate lines and records", async () => {
    const first = log.request();
    log.line(first.text, first.text);
    const second = log.request();
    log.line(second.text);
    log.count({
      kind: "request",
      id: second.id,
      seq: 3,
      at: AT,
      method: "POST",
      path: "/x",
      bytes: 9,
      sha256: sha256('{"n":1.0}'),
    });
    const { duplicate } = await log.check();
    expect(duplicate.map(({ id, why }) => [id, why])).toEqual([
      [first.id, `${log.path(".jsonl")}:1, ${log.path(".jsonl")}:2`],
      [second.id, "the counter has it twice"],
    ]);
  });

  test("finds a missing attempt between others", async () => {
    const { id } = log.request();
    const body = '{"n":1.0}';
    log.line(
      lineText(id, body, { attempt: 1, final: false, response: null }),
      lineText(id, body, { attempt: 3 }),
    );
    expect((await log.check()).missing.map(({ why }) => why)).toEqual(["it has only the attempts 1, 3"]);
  });

  test("finds a line that was not counted", async () => {
    const id = randomUUID();
    log.line(lineText(id, "{}"));
    expect((await log.check()).uncounted).toEqual([{ id, why: `${log.path(".jsonl")}:1` }]);
  });

  test("reports lines that are cut off or do not match the schema, and continues after them", async () => {
    const { id, text } = log.request();
    log.line(
      text.slice(0, 50),
      "\n",
      lineText(id, "{}").replace('"schema":1', '"schema":2'),
      text,
      text.slice(0, 9),
    );
    const report = await log.check();
    expect(report.broken.map(({ where, why }) => [where.split(":").at(-1), why])).toEqual([
      ["1", "the line is cut off"],
      ["2", "schema: Invalid input: expected 1"],
      ["4", "the line is cut off"],
    ]);
    expect(report.missing).toEqual([]);
  });

  test("gives a gap as the reason for the requests lost in it", async () => {
    const { id } = log.request();
    const never = randomUUID();
    const gap = {
      kind: "gap",
      since: AT,
      until: LATER,
      reason: "No space left on device",
      held: 0,
      dropped: 2,
      refused: 3,
    };
    log.count({ ...gap, requests: [id, never], process: "p1" });
    log.stop();
    const report = await log.check();
    const why = `the log could not be written from ${AT} to ${LATER}: No space left on device`;
    expect(report.missing.map((one) => [one.id, one.why])).toEqual([
      [id, why],
      [never, why],
    ]);
    expect(report.refused).toBe(3);
  });

  test("reports a gap's record that is cut off", async () => {
    writeFileSync(log.path(".gap"), '{"kind":"gap","reas');
    const { broken } = await log.check();
    expect(broken).toEqual([{ where: log.path(".gap"), why: "it is not a record of a gap" }]);
  });

  test("reads what a process left when it died in a gap, even without all names", async () => {
    const gap = {
      kind: "gap",
      since: AT,
      reason: "No space left on device",
      held: 30,
      dropped: 0,
      refused: 0,
    };
    const id = randomUUID();
    writeFileSync(log.path(".gap"), `${JSON.stringify({ ...gap, requests: [id] })}      \n`);
    const { missing } = await log.check();
    expect(missing.map((one) => one.id)).toEqual([id, "9 or more other requests"]);
  });

  test("says that WebSockets are not logged", async () => {
    log.count({ kind: "websocket", seq: 1, at: AT, path: "/v1/responses" });
    const report = await log.check();
    expect([report.complete, report.websockets]).toEqual([false, 1]);
  });

  test("reads rotated files before the current one, compressed files, and logs in subfolders", async () => {
    const requests = [1, 2, 3].map((seq) => log.request("{}", seq));
    for (const [index, { text }] of requests.entries())
      writeFileSync(log.path([".000001.jsonl", ".000002.jsonl", ".jsonl"][index]!), text);
    execFileSync("zstd", ["--quiet", "--rm", log.path(".000001.jsonl")]);
    mkdirSync(join(log.folder, "below"));
    execFileSync("cp", [log.path(".counter.jsonl"), join(log.folder, "below", "other.counter.jsonl")]);
    const report = await log.check();
    expect([report.lines, report.requests]).toEqual([3, 6]);
    const shown = await linesOf([log.path(".jsonl")], {}, 10);
    expect(shown.map(({ id }) => id)).toEqual(requests.map(({ id }) => id));
  });
});

test("the last matching lines are shown by time", async () => {
  const texts = [3, 1, 2].map((second) =>
    lineText(randomUUID(), '{"messages":[{"role":"user","content":"what\\nis it"}]}', {
      started_at: `2026-01-01T00:00:0${second}.000000Z`,
      session_id: second === 3 ? "other" : "s",
      response: {
        status: 200,
        complete: true,
        bytes: 9,
        body: { choices: [{ message: { content: "it", tool_calls: [{ function: { name: "look" } }] } }] },
      },
    }),
  );
  log.line(...texts, lineText(randomUUID(), "{}", { final: false, session_id: "s" }));
  const times = async (...args: Parameters<typeof linesOf> extends [unknown, ...infer R] ? R : never) =>
    (await linesOf([log.folder], ...args)).map(({ started_at }) => started_at.slice(18, 19));
  expect(await times({}, 10)).toEqual(["1", "2", "3"]);
  expect(await times({}, 2)).toEqual(["2", "3"]);
  expect(await times({ conversation: "s" }, 10)).toEqual(["1", "2"]);
  expect(await times({ conversation: "s", attempts: true }, 10)).toEqual(["0", "1", "2"]);
  expect(await times({ outcome: "error" }, 10)).toEqual([]);
  const [line] = await linesOf([log.folder], {}, 1);
  expect(pretty(line!)).toMatch(/^2026-01-01 00:00:03\.000 .* 200 .*what is it -> it \[calls look\]$/);
});

describe("the raw text of a value", () => {
  test("is exactly its text, in any surrounding JSON", () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), fc.string(), (before, body, key) => {
        const text = `{ "a" :${before}, ${JSON.stringify(key)}: 1,"request": {"body":${body} , "x": ${before}},"z":${before}}`;
        if (key === "request") return;
        expect(rawValue(text, ["request", "body"])).toBe(body.trim());
      }),
    );
  });

  test("is that of the last duplicate key, which counts", () => {
    expect(rawValue('{"a":{"b":1},"a":{"b": 1.0e2 }}', ["a", "b"])).toBe("1.0e2");
  });

  test("is undefined without such a key", () => {
    expect(rawValue('{"a":[{"b":1}],"c":"\\"b\\":2"}', ["a", "b"])).toBeUndefined();
  });
});

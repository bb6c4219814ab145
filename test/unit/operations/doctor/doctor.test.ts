import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseStat } from "../../../../operations/doctor/collectServices";
import { diagnose, rows, rowsMarkdown } from "../../../../operations/doctor/diagnose";
import type { Facts } from "../../../../operations/doctor/facts";
import { parseRequest } from "../../../../operations/doctor/requests";
import { concurrencyOf } from "../../../../operations/doctor/routing";
import { configVerdict, type Verdict } from "../../../../operations/doctor/row";
import { packageDir } from "../../../../platform/project";
import { BOX_CASES } from "../../../support/doctorBoxCases";
import { box, findings, healthy, logged, with_ } from "../../../support/doctorFacts";
import { HOST_CASES } from "../../../support/doctorHostCases";

const CASES = [...HOST_CASES, ...BOX_CASES];

test("every row is checked for a healthy box, and none applies", () => {
  const verdicts = diagnose(box, healthy);
  expect(verdicts.filter(({ state }) => state !== "ok")).toEqual([]);
  expect(verdicts.map(({ row }) => row)).toEqual(rows.map(({ id }) => id));
});

test("a row that could not be checked is neither ok nor wrong, and says why", () => {
  const blind = diagnose(box, { docker: { state: "answers" }, host: {} }).filter(
    ({ row }) => row !== "docker",
  );
  expect([...new Set(blind.map(({ state }) => state))]).toEqual(["not looked at"]);
  for (const { row, because } of blind)
    expect([row, because]).toEqual([row, expect.stringMatching(/^\w.*[^.]$/)]);
});

/** What each fact is read for. Without it, at least these rows are not looked at, with these words. */
const MISSING: [keyof Facts, string[], RegExp][] = [
  [
    "containers",
    ["box", "edge", "gateway", "model", "memory", "restarted"],
    /did not list the box's containers/,
  ],
  ["networks", ["network"], /did not list its networks/],
  ["ports", ["port"], /who holds the ports/],
  ["redis", ["redis"], /reaches Redis/],
  ["postgres", ["postgres"], /Postgres gave no answer/],
  ["listed", ["key"], /the box's port gave no answer/],
  ["unknownModels", ["unknown-model"], /no gateway's log/],
  ["valves", ["slow"], /no valve said/],
  ["edge", ["changed", "draining"], /the edge did not say/],
  ["requests", ["logs", "wrong-key", "odd-path", "failed"], /the log of the edge/],
];

test.each(MISSING)(
  "without the fact `%s` its rows say so, and no row is judged by what is missing",
  (fact, ids, why) => {
    const blind = diagnose(box, { ...healthy, [fact]: undefined }).filter(({ state }) => state !== "ok");
    expect(blind.map(({ row }) => row)).toEqual(expect.arrayContaining(ids));
    for (const one of blind)
      expect(one).toMatchObject({ state: "not looked at", because: expect.stringMatching(why) });
  },
);

test("a log that Docker cannot read is named by every row that would read it", () => {
  const unreadLogs = ["The log of gpubox-test-edge cannot be read: it is gone"];
  const blind = diagnose(box, { ...healthy, requests: undefined, unreadLogs });
  const reasons = blind.flatMap(({ because }) => because ?? []);
  expect(reasons.length).toBeGreaterThan(5);
  expect(new Set(reasons)).toEqual(new Set(unreadLogs));
});

test.each(CASES)("%s is row %s and no other", (_, row, facts, what, fix) => {
  const matching = (text: string | RegExp) => (typeof text === "string" ? text : expect.stringMatching(text));
  expect(findings(facts)).toEqual([[row, matching(what), matching(fix)]]);
});

test("every row has a case", () => {
  // This box has nothing beside the way of its requests: doctorParts.test.ts has one that does.
  const covered = new Set(["auxiliary", ...CASES.map(([, row]) => row)]);
  expect(rows.map(({ id }) => id).filter((id) => !covered.has(id))).toEqual([]);
});

test("what a person stopped or lent out is not a finding", () => {
  expect(findings(with_("backend-giant", { state: "exited", exitCode: 143 }))).toEqual([]);
  expect(findings({ ...healthy, reach: { ...healthy.reach, "lent:9000": "refused" } })).toEqual([]);
});

test("a gateway's answers, and the requests of smoke and doctor, are not mistakes of clients", () => {
  const probes = ["/v1/models/gpubox-probe", "/key/gpubox-probe", "/health/readiness", "/health/liveliness"];
  const asked = probes.flatMap((path) =>
    [401, 404, 408, 421, 500, 502, 503, 504, -1].map((status) => ({ ...logged(status), path })),
  );
  expect(findings({ ...healthy, requests: [logged(400, false), logged(404, false), ...asked] })).toEqual([]);
  const failed = findings({ ...healthy, requests: [logged(200), ...asked, logged(503)] });
  expect(failed).toEqual([
    ["failed", "1 of the last 2 requests failed (503), the last POST /v1/x.", expect.any(String)],
  ]);
});

test("a config with mistakes is a row of its own", () => {
  const verdict: Verdict = configVerdict([{ path: "gpubox:models.m", what: "No.", fix: "Yes." }]);
  expect([verdict.row, verdict.findings]).toEqual([
    "config",
    [{ what: "gpubox:models.m: No.", fix: "Yes." }],
  ]);
});

test("a request of the edge's log is read, and other lines are not", () => {
  const line = (place: string, rest: string) =>
    `192.168.48.1 [21/Nov/2026:13:43:51.021] clients ${place} ${rest}`;
  const served = line("gateways/s1", "0/0/0/319/670 200 2568 ---- 2/2/0/0/0 POST /v1/chat/completions");
  const refused = line("clients/<NOSRV>", "0/-1/-1/-1/0 404 253 LR-- 1/1/0/0/0 GET /key/list");
  expect(parseRequest(served)).toEqual({
    frontend: "clients",
    status: 200,
    byEdge: false,
    method: "POST",
    path: "/v1/chat/completions",
  });
  expect(parseRequest(refused)).toMatchObject({ status: 404, byEdge: true, path: "/key/list" });
  expect(parseRequest("[WARNING] (1) : Server gateways/s1 is DOWN")).toBeUndefined();
});

test("HAProxy's statistics are read by the names of their fields", () => {
  expect(parseStat("# pxname,svname,scur,\nmodel,backend,3,\n\n")).toEqual([
    { pxname: "model", svname: "backend", scur: "3", "": "" },
  ]);
});

test("a server's command line says how many requests it handles", () => {
  expect(concurrencyOf(box.backends[0]!)).toBe(2);
});

test("docs/trouble.md holds the table of rows", () => {
  const text = readFileSync(join(packageDir, "docs/trouble.md"), "utf8");
  // The formatter pads the columns.
  const plain = (table: string) =>
    table
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .map((line) => line.replace(/ +/g, " ").replace(/-{3,}/g, "---"));
  const section = /^## What `gpubox doctor` looks for\n([\s\S]*?)^## /m.exec(text)?.[1] ?? "";
  expect(plain(section)).toEqual(plain(rowsMarkdown()));
});

test("what docs/trouble.md lists as the edge's answers to requests has a row each", () => {
  const text = readFileSync(join(packageDir, "docs/trouble.md"), "utf8");
  const section = /^## Requests\n([\s\S]*?)^## /m.exec(text)?.[1] ?? "";
  const messages = [...section.matchAll(/^\| (\d{3}) `([^`]+)`[^|]*\| edge/gm)].map(([, status, message]) => [
    status!,
    message!,
  ]);
  expect(messages.length).toBeGreaterThan(7);
  const symptoms = rows.map(({ symptom }) => symptom);
  for (const [status, message] of messages) {
    const own = symptoms.includes(`${status} \`${message}\``);
    expect([message, own || Number(status) >= 500]).toEqual([message, true]);
  }
});

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counterSchema, lineSchema } from "./line";
import { findLogs, isAlive, plainPath, readGap, readLines, type TrajectoryLog } from "./logs";
import { rawValue } from "./rawJson";
import { type CountedRequest, type LogFacts, type LogReport, reconcile } from "./reconcile";

/** How often to read logs that gateways rotate while they are read. */
const READINGS = 5;

/** Compares the counters of logs with their lines. @throws UserError when there is no log */
export async function checkLogs(paths: string[]): Promise<LogReport> {
  for (let reading = 1; ; reading++) {
    const logs = findLogs(paths);
    const facts = await factsOf(logs).catch((error: NodeJS.ErrnoException) => {
      // A gateway compressed or closed the file before it was read.
      if (error.code === "ENOENT" && reading < READINGS) return undefined;
      throw error;
    });
    const same = JSON.stringify(findLogs(paths)) === JSON.stringify(logs);
    if (facts && (same || reading === READINGS)) return reconcile(facts);
  }
}

async function factsOf(logs: TrajectoryLog[]): Promise<LogFacts> {
  const facts: LogFacts = {
    processes: [],
    requests: [],
    lines: [],
    gaps: [],
    websockets: [],
    broken: [],
    readAt: Date.now(),
  };
  const scratch = mkdtempSync(join(tmpdir(), "gpubox-trajectory-"));
  try {
    for (const log of logs) {
      // Before the files are read: a process that ends meanwhile must not look killed.
      const alive = isAlive(log);
      // A gateway counts a request before it writes its line. Reading lines first means that every line has its count.
      await readTrajectory(log, alive, facts, scratch);
      await readCounter(log, alive, facts, scratch);
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return facts;
}

/** Lines of one log that are valid JSON. Others are reported as broken, except a line that is still being written. */
async function* parsedLines(files: string[], alive: boolean | "unknown", facts: LogFacts, scratch: string) {
  for (const file of files)
    for await (const line of readLines(plainPath(file, scratch))) {
      if (!line.whole && alive === true) continue;
      const where = `${file}:${line.number}`;
      const value = jsonOf(line.text);
      if (value === undefined || !line.whole) facts.broken.push({ where, why: "the line is cut off" });
      else yield { value, where, line };
    }
}

/** Undefined for text that is not JSON: a power loss may leave half a record. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readCounter(log: TrajectoryLog, alive: boolean | "unknown", facts: LogFacts, scratch: string) {
  let process: LogFacts["processes"][number] | undefined;
  const requests = new Map<string, CountedRequest>();
  for await (const { value, where } of parsedLines(log.counter, alive, facts, scratch)) {
    const parsed = counterSchema.safeParse(value);
    if (!parsed.success) {
      facts.broken.push({ where, why: firstIssue(parsed.error) });
      continue;
    }
    const record = parsed.data;
    if (record.kind === "start") {
      process = { id: record.process, stopped: false, alive: false };
      facts.processes.push(process);
    } else if (record.kind === "request") {
      const { id, seq, at, path, sha256, logged_sha256 } = record;
      const request = { id, seq, at, path, sha256: logged_sha256 ?? sha256, process: process?.id ?? "" };
      requests.set(id, request);
      facts.requests.push(request);
      // A request after a stop: the process had not ended yet.
      if (process) process.stopped = false;
    } else if (record.kind === "response") {
      const { id, at, status, complete } = record;
      const request = requests.get(id);
      if (request) request.answered = { at, status, complete };
    } else if (record.kind === "gap") facts.gaps.push(record);
    else if (record.kind === "websocket") facts.websockets.push(record);
    else if (process?.id === record.process) process.stopped = true;
  }
  // Only the last process can be alive: its successor takes the lock.
  if (process) process.alive = process.stopped ? false : alive;
  const gap = readGap(log);
  if (gap) {
    const parsed = counterSchema.safeParse(jsonOf(gap));
    if (parsed.success && parsed.data.kind === "gap") facts.gaps.push(parsed.data);
    else facts.broken.push({ where: log.gap, why: "it is not a record of a gap" });
  }
}

async function readTrajectory(
  log: TrajectoryLog,
  alive: boolean | "unknown",
  facts: LogFacts,
  scratch: string,
) {
  for await (const { value, where, line } of parsedLines(log.lines, alive, facts, scratch)) {
    const parsed = lineSchema.safeParse(value);
    if (!parsed.success) {
      facts.broken.push({ where, why: firstIssue(parsed.error) });
      continue;
    }
    const { id, attempt, final, outcome, request } = parsed.data;
    const body =
      "body_base64" in request
        ? Buffer.from(request.body_base64, "base64")
        : (rawValue(line.text, ["request", "body"]) ?? "");
    const sha256 = createHash("sha256").update(body).digest("hex");
    facts.lines.push({ id, attempt, final, outcome, sha256, where });
  }
}

function firstIssue(error: { issues: { path: PropertyKey[]; message: string }[] }): string {
  const [issue] = error.issues;
  return issue
    ? `${issue.path.map(String).join(".") || "line"}: ${issue.message}`
    : "it does not match the schema";
}

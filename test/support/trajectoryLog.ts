import { createHash, randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { checkLogs } from "../../operations/trajectory/check";
import type { TrajectoryLine } from "../../operations/trajectory/line";
import type { LogReport } from "../../operations/trajectory/reconcile";
import { scratch } from "./allocate";

export const AT = "2026-01-01T00:00:00.000000Z";
export const LATER = "2026-01-01T00:00:01.000000Z";
/** To the microsecond, as the gateway writes it. */
export const justNow = () => new Date().toISOString().replace("Z", "000Z");
export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** A line as the writer makes it, around a body's own text. */
export function lineText(id: string, body: string, values: Partial<TrajectoryLine> = {}): string {
  const head = {
    ...{ schema: 1, id, attempt: 1, final: true, seq: 1, process: "p1", job: null, generation: null },
    ...{ call_id: "c", trace_id: "t", session_id: null, started_at: AT, ended_at: LATER, duration_ms: 1000 },
    ...{ first_token_ms: null, protocol: "openai", route: "chat/completions", model: "m", stream: false },
    ...{ outcome: "ok", error: null, upstream: null, usage: null, cost: null, cache_hit: null, told: true },
    ...values,
  };
  const request = { method: "POST", path: "/v1/chat/completions", headers: {}, redacted: false };
  const response =
    values.response === undefined ? { status: 200, complete: true, bytes: 2, body: {} } : values.response;
  const start = JSON.stringify({ ...head, request }).slice(0, -2);
  return `${start},"body":${body}},"response":${JSON.stringify(response)}}\n`;
}

export class Log {
  readonly folder = scratch("check");

  constructor(readonly name = "log") {
    this.count({ kind: "start", schema: 1, process: "p1", at: AT, job: null, generation: null, host: "h" });
  }

  path(ending: string) {
    return join(this.folder, `${this.name}${ending}`);
  }

  count(...records: object[]) {
    for (const record of records) appendFileSync(this.path(".counter.jsonl"), `${JSON.stringify(record)}\n`);
  }

  line(...texts: string[]) {
    for (const text of texts) appendFileSync(this.path(".jsonl"), text);
  }

  /** A request that was counted and answered, and the text of its line. */
  request(body = '{"n":1.0}', seq = 1, answered = true): { id: string; text: string } {
    const id = randomUUID();
    const path = "/v1/chat/completions";
    const bytes = Buffer.byteLength(body);
    this.count({ kind: "request", id, seq, at: AT, method: "POST", path, bytes, sha256: sha256(body) });
    if (answered) this.count({ kind: "response", id, at: LATER, status: 200, bytes: 2, complete: true });
    return { id, text: lineText(id, body, { seq }) };
  }

  stop() {
    this.count({ kind: "stop", process: "p1", at: LATER });
  }

  check(): Promise<LogReport> {
    return checkLogs([this.folder]);
  }
}

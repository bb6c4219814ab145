import type { GapRecord } from "./line";

/** A request in the counter's records. */
export interface CountedRequest {
  id: string;
  seq: number;
  at: string;
  path: string;
  /** SHA-256 of the body that its lines contain. */
  sha256: string;
  /** The process that counted it. */
  process: string;
  /** Set once the answer has ended. */
  answered?: { at: string; status: number | null; complete: boolean };
}

export interface LogProcess {
  id: string;
  stopped: boolean;
  /** `unknown` where the lock cannot be read. */
  alive: boolean | "unknown";
}

/** The parts of a line that `check` needs. */
export interface LineFact {
  id: string;
  attempt: number;
  final: boolean;
  outcome: string;
  /** SHA-256 of the body in it. */
  sha256: string;
  /** File and line number. */
  where: string;
}

/** Text in place of a line. */
export interface BrokenLine {
  where: string;
  why: string;
}

/** The contents of one or more gateways' files. */
export interface LogFacts {
  processes: LogProcess[];
  requests: CountedRequest[];
  lines: LineFact[];
  gaps: GapRecord[];
  websockets: { at: string; path: string }[];
  broken: BrokenLine[];
  /** When the first line was read, in milliseconds since 1970. An answer that ended later may have no line yet. */
  readAt: number;
}

/** A request with the reason why it is listed. */
export interface ListedRequest {
  id: string;
  at?: string;
  path?: string;
  why: string;
}

/** Result of `check`. */
export interface LogReport {
  /** True when every request has its lines exactly once, with the body received. */
  complete: boolean;
  requests: number;
  lines: number;
  /** Number of requests by outcome. */
  outcomes: Record<string, number>;
  missing: ListedRequest[];
  /** Lines whose body differs from the one received. */
  different: ListedRequest[];
  duplicate: ListedRequest[];
  /** Lines of requests that the counter does not have. */
  uncounted: ListedRequest[];
  broken: BrokenLine[];
  /** WebSocket connections, which have no lines. */
  websockets: number;
  /** Requests that were refused because the log could not be written. */
  refused: number;
  /** Requests in progress, and those whose line is about to be written. */
  open: number;
}

/** Longest time from an answer's end to its line, in milliseconds: a gateway gives its callbacks ten seconds. */
const SETTLE_MS = 15_000;

/** Compares the counter's records with the lines. */
export function reconcile(facts: LogFacts): LogReport {
  const processes = new Map(facts.processes.map((process) => [process.id, process]));
  const linesOf = new Map<string, LineFact[]>();
  for (const line of facts.lines) linesOf.set(line.id, [...(linesOf.get(line.id) ?? []), line]);
  const lost = new Map(facts.gaps.flatMap((gap) => gap.requests.map((id) => [id, gap] as const)));
  const report: LogReport = {
    complete: false,
    requests: facts.requests.length,
    lines: facts.lines.length,
    outcomes: {},
    missing: [],
    different: [],
    duplicate: [],
    uncounted: [],
    broken: facts.broken,
    websockets: facts.websockets.length,
    refused: facts.gaps.reduce((sum, { refused }) => sum + refused, 0),
    open: 0,
  };
  const counted = new Set<string>();
  for (const request of facts.requests) {
    const finding = (why: string): ListedRequest => ({
      id: request.id,
      at: request.at,
      path: request.path,
      why,
    });
    if (counted.has(request.id)) report.duplicate.push(finding("the counter has it twice"));
    counted.add(request.id);
    const lines = linesOf.get(request.id) ?? [];
    const finals = lines.filter(({ final }) => final);
    if (finals.length === 0) {
      const process = processes.get(request.process);
      // Of one whose beginning is on the disk, the answer or the line is what could not be written.
      if (!lost.has(request.id) && isOpen(request, facts.readAt, process)) report.open++;
      else report.missing.push(finding(whyMissing(request, process, lost.get(request.id))));
      continue;
    }
    const outcome = finals[0]!.outcome;
    report.outcomes[outcome] = (report.outcomes[outcome] ?? 0) + 1;
    if (finals.length > 1) report.duplicate.push(finding(finals.map(({ where }) => where).join(", ")));
    const attempts = [...new Set(lines.map(({ attempt }) => attempt))].sort((a, b) => a - b);
    if (attempts.some((attempt, index) => attempt !== index + 1))
      report.missing.push(finding(`it has only the attempts ${attempts.join(", ")}`));
    for (const { sha256, where } of lines)
      if (sha256 !== request.sha256) report.different.push(finding(where));
  }
  for (const [id, lines] of linesOf)
    if (!counted.has(id)) report.uncounted.push({ id, why: lines[0]!.where });
  for (const [id, gap] of lost)
    if (!counted.has(id) && !linesOf.has(id)) report.missing.push({ id, at: gap.since, why: inGap(gap) });
  for (const gap of facts.gaps) report.missing.push(...unnamed(gap));
  const findings = [report.missing, report.different, report.duplicate, report.uncounted, report.broken];
  report.complete = findings.every((list) => list.length === 0) && report.websockets === 0;
  return report;
}

/**
 * True for a request in progress, and for one answered so recently that its line may have been written after the
 * reading.
 */
function isOpen({ answered }: CountedRequest, readAt: number, process?: LogProcess): boolean {
  if (process?.alive !== true || process.stopped) return false;
  return !answered || Date.parse(answered.at) > readAt - SETTLE_MS;
}

function whyMissing(request: CountedRequest, process?: LogProcess, gap?: GapRecord): string {
  if (gap) return inGap(gap);
  const { answered } = request;
  const when = answered
    ? `after ${answered.complete ? "it had answered" : "the answer broke off"} (status ${answered.status ?? "none"}) and before its line was written`
    : "while it worked on it";
  if (!process) return "no record of a gateway's start precedes it";
  if (process.stopped) return `the gateway stopped by itself ${when}, for an unknown reason`;
  if (process.alive === true) return "the answer ended, and the gateway wrote no line";
  if (process.alive === "unknown") return `the gateway was killed ${when}, or it still runs`;
  return `the gateway was killed ${when}`;
}

function inGap({ reason, since, until }: GapRecord): string {
  return `the log could not be written from ${since} to ${until ?? "now"}: ${reason}`;
}

/** Lost records that had no room for their requests' ids. */
function unnamed(gap: GapRecord): ListedRequest[] {
  const records = gap.dropped + (gap.process === null || gap.until === undefined ? gap.held : 0);
  // A request has at most three records.
  const more = Math.ceil(records / 3) - gap.requests.length;
  return more > 0 ? [{ id: `${more} or more other requests`, at: gap.since, why: inGap(gap) }] : [];
}

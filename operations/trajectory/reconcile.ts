import type { GapRecord } from "./line";

/** A request that the counter saw. */
export interface CountedRequest {
  id: string;
  seq: number;
  at: string;
  path: string;
  /** SHA-256 of the body that its lines hold. */
  sha256: string;
  /** Which process counted it. */
  process: string;
  /** The answer, once it had ended. */
  answered?: { at: string; status: number | null; complete: boolean };
}

/** A process that wrote a log. */
export interface LogProcess {
  id: string;
  stopped: boolean;
  /** `unknown` where that cannot be told. */
  alive: boolean | "unknown";
}

/** What `check` needs of a line. */
export interface LineFact {
  id: string;
  attempt: number;
  final: boolean;
  outcome: string;
  /** SHA-256 of the body in it. */
  sha256: string;
  /** File and number of the line. */
  where: string;
}

/** A line that is none. */
export interface BrokenLine {
  where: string;
  why: string;
}

/** Everything that lies in the files of one or more gateways. */
export interface LogFacts {
  processes: LogProcess[];
  requests: CountedRequest[];
  lines: LineFact[];
  gaps: GapRecord[];
  websockets: { at: string; path: string }[];
  broken: BrokenLine[];
  /** Milliseconds since 1970 when the first line was read: what was answered later has its line later too. */
  readAt: number;
}

/** A request with the reason why it is on a list. */
export interface ListedRequest {
  id: string;
  at?: string;
  path?: string;
  why: string;
}

/** What `check` says. */
export interface LogReport {
  /** True when every request has its lines, once, with the body that came. */
  complete: boolean;
  requests: number;
  lines: number;
  /** Outcome to the number of requests that ended so. */
  outcomes: Record<string, number>;
  missing: ListedRequest[];
  /** Lines whose body is not the one that came. */
  different: ListedRequest[];
  duplicate: ListedRequest[];
  /** Lines of requests that the counter did not see. */
  uncounted: ListedRequest[];
  broken: BrokenLine[];
  /** WebSocket connections, which are not logged. */
  websockets: number;
  /** Requests that were refused because the log could not be written. */
  refused: number;
  /** Requests that are being worked on, or whose line is about to be written. */
  open: number;
}

/** Milliseconds from an answer's end to its line at the latest: a gateway gives its callbacks ten seconds. */
const SETTLE_MS = 15_000;

/** Holds the counter's records against the lines. */
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
      if (isOpen(request, process, lost.has(request.id) ? undefined : facts.readAt)) report.open++;
      else report.missing.push(finding(whyMissing(request, process, lost.get(request.id))));
      continue;
    }
    const outcome = finals[0]!.outcome;
    report.outcomes[outcome] = (report.outcomes[outcome] ?? 0) + 1;
    if (finals.length > 1) report.duplicate.push(finding(finals.map(({ where }) => where).join(", ")));
    const attempts = [...new Set(lines.map(({ attempt }) => attempt))].sort((a, b) => a - b);
    if (attempts.some((attempt, index) => attempt !== index + 1))
      report.missing.push(finding(`of its attempts there are only ${attempts.join(", ")}`));
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
 * Being worked on, or answered so lately that its line may not have been there when the lines were read.
 *
 * @param readAt undefined for a request that is known to have no line on the disk
 */
function isOpen({ answered }: CountedRequest, process?: LogProcess, readAt?: number): boolean {
  if (process?.alive !== true || process.stopped) return false;
  return !answered || (readAt !== undefined && Date.parse(answered.at) > readAt - SETTLE_MS);
}

function whyMissing(request: CountedRequest, process?: LogProcess, gap?: GapRecord): string {
  if (gap) return inGap(gap);
  const { answered } = request;
  const when = answered
    ? `after ${answered.complete ? "it had answered" : "the answer broke off"} (status ${answered.status ?? "none"}) and before its line was written`
    : "while it worked on it";
  if (!process) return "no start of a gateway is on record before it";
  if (process.stopped) return `the gateway stopped by itself ${when}; no reason is known`;
  if (process.alive === true) return "the answer ended, and the gateway wrote no line";
  if (process.alive === "unknown") return `the gateway was killed ${when}, or it still runs`;
  return `the gateway was killed ${when}`;
}

function inGap({ reason, since, until }: GapRecord): string {
  return `the log could not be written from ${since} to ${until ?? "now"}: ${reason}`;
}

/** Records that were lost without room for their requests' names. */
function unnamed(gap: GapRecord): ListedRequest[] {
  const records = gap.dropped + (gap.process === null || gap.until === undefined ? gap.held : 0);
  // A request has three records at most.
  const more = Math.ceil(records / 3) - gap.requests.length;
  return more > 0 ? [{ id: `${more} or more further requests`, at: gap.since, why: inGap(gap) }] : [];
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { branches, type ChatProtocol, chatCall, conversationKey, conversationOf } from "./conversations";
import { lineSchema, SCHEMA_VERSION } from "./line";
import { findLogs, plainPath, readAt, readLines } from "./logs";
import { translate } from "./translate";

/** Result of a conversion. */
export interface Conversion {
  /** Paths of the files, one per conversation. */
  files: string[];
  /** Number of calls in them. */
  calls: number;
  /** Number of calls without a list of messages or a complete answer, by route and outcome. */
  leftOut: Record<string, number>;
}

interface Place {
  path: string;
  offset: number;
  bytes: number;
  order: string;
}

/** Writes each conversation's message list to a file in `out`. @throws UserError when there is no log */
export async function convertLogs(paths: string[], out: string, to?: ChatProtocol): Promise<Conversion> {
  const scratch = mkdtempSync(join(tmpdir(), "gpubox-trajectory-"));
  try {
    const { places, leftOut } = await placesOf(paths, scratch);
    // As private as the log.
    mkdirSync(out, { recursive: true, mode: 0o700 });
    const conversion: Conversion = { files: [], calls: 0, leftOut };
    for (const { conversation, own } of places.values()) {
      own.sort((a, b) => (a.order < b.order ? -1 : 1));
      const calls = own.flatMap(({ path, offset, bytes }) => {
        const call = chatCall(lineSchema.parse(JSON.parse(readAt(path, offset, bytes))));
        return call ? [call] : [];
      });
      const found = branches(calls).map((branch) => (to ? translate(branch, to) : branch));
      const path = join(out, fileName(conversation, conversion.files));
      writeFileSync(
        path,
        `${JSON.stringify({ schema: SCHEMA_VERSION, conversation, branches: found }, null, 2)}\n`,
        { mode: 0o600 },
      );
      conversion.files.push(path);
      conversion.calls += calls.length;
    }
    return conversion;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/**
 * Where the calls of each conversation are. Histories repeat each other, so all of them at once would fill the memory.
 */
async function placesOf(paths: string[], scratch: string) {
  const places = new Map<string, { conversation: string; own: Place[] }>();
  const leftOut: Record<string, number> = {};
  for (const file of findLogs(paths).flatMap(({ lines }) => lines)) {
    const path = plainPath(file, scratch);
    for await (const { text, offset, bytes, whole } of readLines(path)) {
      const line = whole ? lineOf(text) : undefined;
      if (!line?.final) continue;
      if (!chatCall(line)) {
        const why = `${line.route} ${line.outcome}`;
        leftOut[why] = (leftOut[why] ?? 0) + 1;
        continue;
      }
      // Within a process the sequence numbers decide, between processes the time.
      const order = `${line.started_at} ${String(line.seq).padStart(12, "0")}`;
      const key = conversationKey(line);
      const place = places.get(key) ?? { conversation: conversationOf(line), own: [] };
      place.own.push({ path, offset, bytes, order });
      places.set(key, place);
    }
  }
  return { places, leftOut };
}

/** `check` reports cut and foreign lines. */
function lineOf(text: string) {
  try {
    return lineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The client names a session, so the name may be any text, and two names may look alike. */
function fileName(conversation: string, taken: string[]): string {
  const safe =
    conversation
      .replace(/[^A-Za-z0-9._-]+/g, "_")
      .replace(/^\.+/, "_")
      .slice(0, 100) || "_";
  for (let number = 1; ; number++) {
    const name = number === 1 ? `${safe}.json` : `${safe}~${number}.json`;
    if (!taken.some((path) => path.endsWith(`/${name}`))) return name;
  }
}

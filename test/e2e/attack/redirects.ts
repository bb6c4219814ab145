import { everyPair } from "../../support/runs";
import { bodyFor, complaints, each, notRefused } from "./answers";
import { type AttackBox, type Name, STACK, testOn } from "./lab";
import { CANARY } from "./servers";

const STATUSES = [301, 302, 303, 307, 308];

/** Backends that lead the gateway elsewhere, and backends that stop in the middle. */
export function backendAttacks(box: () => AttackBox, on: Name[]): void {
  for (const [name, model, what] of [
    ["clients", "far", "a server without a valve"],
    ["clients", "bent", "a backend behind its valve"],
    ["direct", "bent", "a backend behind its published port"],
    ["job", "far", "a job's server"],
  ] as const)
    testOn(on, [name], `no redirect of ${what} is followed or passed on`, async () => {
      const to = box().listener(name);
      const places = [
        ...[`http://${CANARY}:8000/stolen`, `//${CANARY}:8000/stolen`, `https://${CANARY}/stolen`],
        ...[`http://gpubox-${STACK}-upstream:8000/v1/chat/completions`, "/v1/chat/completions"],
      ];
      const attempts = STATUSES.flatMap((status, row) =>
        places.flatMap((place, column) => [
          // Each status and each place, whole and streamed.
          ...[false, true]
            .filter((stream) => everyPair || (row + column) % 5 === (stream ? 1 : 0))
            .map((stream) => ({ path: "/v1/chat/completions", status, place, body: { stream } })),
          ...(place === places[0] && name !== "direct"
            ? ["/v1/messages", "/v1/completions", "/v1/responses"].map((path) => ({
                path,
                status,
                place,
                body: {},
              }))
            : []),
        ]),
      );
      const found = await each(
        attempts,
        async ({ path, status, place, body }, n): Promise<[string, string | undefined]> => {
          // Once more each: whoever follows to the same server would else go round and round.
          const text = `redirect ${n} do:redirect=${status},${place}`;
          const answer = await box().post(to, path, bodyFor(model, path, text, body));
          const what = `${status} to ${place} at ${path} ${JSON.stringify(body)}`;
          if (answer.headers.location !== undefined) return [what, `passed on: ${answer.headers.location}`];
          return [what, answer.body.includes("CANARY") ? "its answer came back" : notRefused(answer)];
        },
      );
      expect(complaints(found)).toEqual([]);
    });

  const cuts = (["close", "chunked", "length"] as const).flatMap((how) =>
    [true, false].map((stream) => ({ how, stream })),
  );
  for (const [name, model] of [
    ["clients", "far"],
    ["clients", "bent"],
    ["direct", "bent"],
    ["job", "far"],
    ["clients with TLS", "bent"],
  ] as const)
    testOn(on, [name], `an answer of ${model} that is cut looks cut, on both protocols`, async () => {
      const to = box().listener(name);
      const paths = ["/v1/chat/completions", "/v1/messages", "/v1/completions", "/v1/responses"];
      const attempts = (name === "direct" ? paths.slice(0, 3) : paths).flatMap((path) =>
        cuts.map((cut) => ({ path, ...cut })),
      );
      const found = await each(
        attempts,
        async ({ path, how, stream }, n): Promise<[string, string | undefined]> => {
          const text = `cut ${name} ${n} do:cut=${how}`;
          const { answers, text: wire } = await box().send(to, {
            ...{ method: "POST", path, headers: ["Content-Type: application/json"] },
            body: JSON.stringify(bodyFor(model, path, text, { stream })),
          });
          const what = `${path} ${stream ? "streamed" : "whole"}, ${how}`;
          const answer = answers[0];
          // A connection that breaks before the answer's end says it too.
          if (!answer || answer.status === 0 || !isWhole(wire)) return [what, undefined];
          // A stream that failed before it began may say so as an event.
          if (answer.status >= 400 && stream && /^(event: error\n)?data: ?\{"error"/.test(answer.body))
            return [what, undefined];
          if (answer.status !== 200) return [what, notRefused(answer)];
          return [what, looksWhole(path, answer.body)];
        },
      );
      expect(complaints(found)).toEqual([]);
    });
}

/** True where HTTP itself says that the answer came to its end. */
function isWhole(wire: string): boolean {
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(wire)) return wire.endsWith("0\r\n\r\n");
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(wire);
  return length === null || wire.length - wire.indexOf("\r\n\r\n") - 4 >= Number(length[1]);
}

/** Why a client would take a stream, or an answer, for a finished one. */
function looksWhole(path: string, body: string): string | undefined {
  const ends: Record<string, RegExp> = {
    "/v1/chat/completions": /"finish_reason": ?"stop"|\[DONE\]/,
    "/v1/completions": /"finish_reason": ?"stop"|\[DONE\]/,
    "/v1/messages": /"stop_reason": ?"end_turn"|"type": ?"message_stop"/,
    "/v1/responses": /"type": ?"response\.completed"|"status": ?"completed"/,
  };
  if (!ends[path]!.test(body)) return undefined;
  // OpenAI's clients raise at an event with an error, whatever follows.
  return /(^|\n)(event: error|data: ?\{"error")/.test(body) ? undefined : `looks whole: ${body.slice(-240)}`;
}

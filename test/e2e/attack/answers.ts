import type { RawAnswer } from "../../support/rawHttp";

/** The body of a chat request. */
export function chat(model: string, content: string, more: Record<string, unknown> = {}) {
  return { model, messages: [{ role: "user", content }], max_tokens: 32, ...more };
}

/** A body that is fine for the route. */
export function bodyFor(model: string, path: string, text: string, more: Record<string, unknown> = {}) {
  if (path.endsWith("embeddings")) return { model: "vectors", input: text, ...more };
  if (path.endsWith("responses")) return { model, input: text, max_output_tokens: 32, ...more };
  if (path.endsWith("/chat/completions") || path.endsWith("messages")) return chat(model, text, more);
  return { model, prompt: text, max_tokens: 32, ...more };
}

/**
 * HAProxy's own page where it could not even read a request, or waited for one in vain: it comes before any setting of a listener
 * is looked at.
 */
const BUILT_IN = /^<html><body><h1>(400 Bad request|408 Request Time-out|422 Unprocessable Content)<\/h1>/;

/** What is wrong with an answer that shall be a refusal in the API's form; nothing when it is one. */
export function notRefused({ status, headers, body }: RawAnswer): string | undefined {
  const said = `${status} ${body.slice(0, 160)}`;
  if (status < 400 || status > 599) return `not refused: ${said}`;
  if (BUILT_IN.test(body)) return undefined;
  return notApiError(headers["content-type"], body) ? `not in the API's form: ${said}` : undefined;
}

/** The same for an answer that may be one of success too. */
export function notAnswered(answer: RawAnswer): string | undefined {
  return answer.status === 200 ? undefined : notRefused(answer);
}

function notApiError(type: string | undefined, body: string): boolean {
  if (type !== undefined && !type.startsWith("application/json")) return true;
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } };
    return typeof error?.message !== "string" || error.message === "";
  } catch {
    return true;
  }
}

/** `what: why` for each that has a why. */
export function complaints(found: [what: string, why: string | undefined][]): string[] {
  return found.flatMap(([what, why]) => (why === undefined ? [] : [`${what}: ${why}`]));
}

/** Does something with each, some at a time, in order of the list. */
export async function each<Item, Result>(
  items: readonly Item[],
  act: (item: Item, index: number) => Promise<Result>,
  atATime = 8,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++)
      results[index] = await act(items[index]!, index);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return results;
}

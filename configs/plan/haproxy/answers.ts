import { shellQuote } from "../../kit/text";

/** What HAProxy answers itself: JSON that clients of both protocols parse, whatever went wrong and wherever. */

/** Seconds that a 503 tells its client to wait. A gateway starts in 7 to 15 s, so one or two tries meet it. */
export const RETRY_AFTER_SECONDS = 5;

/**
 * One word of haproxy.cfg that holds `text` as it is.
 *
 * @throws Error if `text` has a line break or another control character: no quoting keeps one.
 */
export function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw new Error(`haproxy.cfg cannot hold a control character: ${JSON.stringify(text)}`);
  }
  // HAProxy reads single quotes as sh does.
  return shellQuote(text);
}

/** An error in one shape for both protocols: OpenAI's clients read `error`, Anthropic's its `type` outside and inside. */
export function errorBody(status: number, type: string, message: string): string {
  return JSON.stringify({ type: "error", error: { message, type, code: status } });
}

/** The arguments of `http-request return` and of `http-error` that answer with {@link errorBody}. */
export function jsonError(status: number, type: string, message: string): string {
  const seconds = { 429: 1, 503: RETRY_AFTER_SECONDS }[status];
  const retry = seconds === undefined ? "" : ` hdr Retry-After ${seconds}`;
  return `status ${status} content-type application/json string ${quoted(errorBody(status, type, message))}${retry}`;
}

/** The same, its message a log format of HAProxy's: `%[…]` in it is filled in. */
export function jsonErrorWith(status: number, type: string, format: string): string {
  return `status ${status} content-type application/json lf-string ${quoted(errorBody(status, type, format))}`;
}

/**
 * A request that HAProxy itself found wrong is answered 400, also one that assets/haproxy/body.lua stopped, which says so in
 * these variables.
 */
const BAD_REQUEST =
  '{"type":"error","error":{"message":"%[var(txn.problem,"This is no well-formed HTTP request.")]",' +
  '"type":"%[var(txn.problem_type,"invalid_request")]","code":%[var(txn.problem_status,400)]}}';

/** Every other status that HAProxy may answer by itself (`http-error` knows no more), and what it says then. */
const OWN: Record<number, [type: string, message: string]> = {
  401: ["authentication_error", "This request needs a valid key."],
  403: ["permission_denied", "This request is not allowed."],
  404: ["not_found", "There is nothing here."],
  405: ["invalid_request", "This method is not served."],
  407: ["authentication_error", "This is no proxy."],
  408: ["timeout", "The request did not arrive in time."],
  410: ["not_found", "This is gone."],
  413: ["request_too_large", "The request is too large."],
  421: ["misdirected_request", "This server does not answer to that host name."],
  422: ["invalid_request", "The request contradicts itself."],
  425: ["invalid_request", "The request came too early."],
  429: ["rate_limit_error", "There are too many requests."],
  500: ["api_error", "The request could not be handled."],
  501: ["invalid_request", "This is not implemented."],
  502: ["bad_gateway", "The server stopped before it answered."],
  503: ["service_unavailable", "No server took the request."],
  504: ["timeout", "The server was silent for too long."],
};

/**
 * `http-error` lines for every status that HAProxy answers by itself.
 *
 * @param own arguments of `http-error` for statuses that have something better to say
 */
export function errorAnswers(own: Record<number, string>): string[] {
  const all = Object.entries(OWN).map(
    ([status, [type, message]]) => own[Number(status)] ?? jsonError(Number(status), type, message),
  );
  const bad = `status 400 content-type application/json lf-string ${quoted(BAD_REQUEST)}`;
  return [bad, ...all].map((answer) => `  http-error ${answer}`);
}

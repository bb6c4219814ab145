import type { BoxPlan } from "../../configs/kit/types";
import { PROBE } from "../../configs/network/endpoint";
import type { LoggedRequest } from "./facts";
import { logsCommand, type Row } from "./row";

/**
 * Parses `%ci [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %HM %HPO`, the log format of every
 * HAProxy in a box. Undefined for a line that is not a request.
 */
export function parseRequest(line: string): LoggedRequest | undefined {
  const match = /^\S+ \[[^\]]+\] (\w+) (\S+)\/(\S+) [-\d/]+ (\d{3}|-1) \d+ \S+ [\d/]+ (\S+) (.*)$/.exec(line);
  if (!match) return undefined;
  const [, frontend, backend, server, status, method, path] = match;
  const byEdge = server === "<NOSRV>" || backend === "waiting" || server === "waiting";
  return { frontend: frontend!, status: Number(status), byEdge, method: method!, path: path! };
}

/** An answer of the edge itself, and what the client should do about it. */
interface EdgeAnswer {
  id: string;
  status: number;
  message: string;
  cause: string;
  fix: (box: BoxPlan) => string;
}

const ANSWERS: EdgeAnswer[] = [
  {
    id: "wrong-key",
    status: 401,
    message: "This gateway asks for a valid key",
    cause: "a client sends no key, or a wrong one",
    fix: ({ stack }) =>
      `Give the client the right key: \`pulumi config get gpubox:masterKey --stack ${stack}\`, or a virtual key.`,
  },
  {
    id: "admin-route",
    status: 404,
    message: "This port serves inference only.",
    cause: "a client asks for an admin route, or for one that no model here has, as with `/v1` twice",
    fix: ({ endpoint, adminEndpoint }) =>
      `Set the client's base URL to ${endpoint}/v1 (OpenAI) or ${endpoint} (Anthropic); admin routes are at ${adminEndpoint}.`,
  },
  {
    id: "host-name",
    status: 421,
    message: "This gateway does not answer to that host name.",
    cause: "a client uses a host name that the config does not list",
    fix: () => "Add the name to gpubox:gateway.hosts.",
  },
  {
    id: "odd-path",
    status: 400,
    message: "The path is not in its normal form.",
    cause: "the path has `//`, `/../` or control characters, often from a base URL that ends in `/`",
    fix: ({ endpoint }) => `Set the client's base URL to ${endpoint}/v1, without a slash at its end.`,
  },
  {
    id: "web-page",
    status: 403,
    message: "Web pages of other hosts may not use this gateway",
    cause: "`auth: none`, and a web page of another host as the client",
    fix: () => "Set gpubox:gateway.auth to key, or add the page's host to gpubox:gateway.hosts.",
  },
  {
    id: "slow-client",
    status: 408,
    message: "The request did not arrive in time.",
    cause: "the client took longer than 30 s to send its request",
    fix: () => "Look at the client's network, or at the size of its requests.",
  },
];

function edgeRow({ id, status, message, cause, fix }: EdgeAnswer): Row {
  return {
    id,
    symptom: `${status} \`${message}\``,
    cause,
    level: "note",
    check: (box, { requests }) => {
      if (!requests) return undefined;
      const found = requests.filter((one) => one.byEdge && one.status === status && !isProbe(one));
      const last = found.at(-1);
      if (!last) return [];
      return [{ what: `${said(found.length, status)}, the last for ${shown(last)}.`, fix: fix(box) }];
    },
  };
}

/**
 * True for a request of smoke, doctor or a monitor. Health checks of a box that is down get a 503, which does not count
 * as a failed request.
 */
function isProbe({ path }: LoggedRequest): boolean {
  return path.endsWith(`/${PROBE}`) || path.startsWith("/health/");
}

function said(count: number, status: number): string {
  return `The edge answered ${count} request${count === 1 ? "" : "s"} with ${status}`;
}

/** A path as one short word, because it comes from clients. */
function shown({ method, path }: LoggedRequest): string {
  return `${method} ${path.replace(/[^\x21-\x7e]/g, "?").slice(0, 80)}`;
}

export const requestRows: Row[] = [
  {
    id: "logs",
    symptom: "`logs` lacks lines, and rows below this one say nothing of them",
    cause: "a power cut left zeros in a log of Docker's, at which Docker stops reading",
    level: "note",
    check: (_, { requests, unreadLogs }) =>
      unreadLogs?.map((what) => ({
        what: `${what}.`,
        fix: "Lines that came later are read. Docker drops the rest with the log's oldest file, or with the container.",
      })) ??
      (requests && []),
  },
  ...ANSWERS.map(edgeRow),
  {
    id: "failed",
    symptom: "500, 502, 503 or 504",
    cause: "a gateway or a model's server stopped, was unreachable, or was silent for too long",
    level: "note",
    check: (box, { requests }) => {
      if (!requests) return undefined;
      const asked = requests.filter((one) => one.frontend === "clients" && !isProbe(one));
      const failed = asked.filter(({ status }) => status >= 500);
      if (failed.length === 0) return [];
      const statuses = [...new Set(failed.map(({ status }) => status))].sort().join(", ");
      return [
        {
          what: `${failed.length} of the last ${asked.length} requests failed (${statuses}), the last ${shown(failed.at(-1)!)}.`,
          fix: `If no other row applies, the failures are over; otherwise ${logsCommand(box, "gateway")} shows the reasons.`,
        },
      ];
    },
  },
];

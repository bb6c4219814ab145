import { ONE_ANSWER, waitingServer } from "./common";
import { FALL, GATEWAY_PORT } from "./edge";
import { FORWARDED_HOST } from "./edgeHosts";

/**
 * Servers of the edge's backend. All are the one address of the gateways' Service: behind each a failed connection is tried again,
 * and most likely at another pod, while the others go on.
 */
const SLOTS = 4;

/**
 * The backend `gateways` on a cluster. The Service's address never changes, so it is looked up once, by the system: a cluster's own
 * names are no matter of HAProxy's.
 *
 * @param service name of the gateways' Service
 */
export function clusterUpstream(service: string): string {
  const lines = [
    "# Made by gpubox. The Service of the gateways leads to those that are ready.",
    "backend gateways from base",
    "  # Behind the one address no connection shows whether its pod is about to end.",
    `  ${ONE_ANSWER}`,
    "  no log",
    "  balance leastconn",
    "  option httpchk",
    `  http-check send meth GET uri /health/liveliness hdr Host ${FORWARDED_HOST}`,
    "  http-check expect status 200",
    "  timeout check 10s",
    `  default-server check inter 1s fastinter 500ms downinter 200ms rise 1 fall ${FALL} observe layer4 error-limit 1 on-error mark-down init-addr libc`,
    ...Array.from({ length: SLOTS }, (_, index) => `  server s${index + 1} ${service}:${GATEWAY_PORT}`),
    `  ${waitingServer()}`,
  ];
  return `${lines.join("\n")}\n`;
}

import { ONE_ANSWER } from "./common";

/**
 * After a reload the old process answers one more request on each connection that its client kept open. It gives that to its
 * successor, before any of its own rules: config and servers are then the present ones, and no stream begins in a process
 * that may send to a server which is about to end.
 *
 * @param moved a map of HAProxy's that reload.sh fills in the old process alone; the file is empty
 */
export function handOver(frontend: string, moved: string): string[] {
  return [
    `bind unix@/tmp/${frontend}.sock accept-proxy mode 600`,
    `acl moved str(moved),map(${moved}) -m found`,
    "http-request allow if moved",
  ];
}

/** Comes before the listener's other backends. */
export function toSuccessor(frontend: string): string {
  return `use_backend successor-${frontend} if moved`;
}

/** The backend of {@link toSuccessor}. */
export function successor(frontend: string): string[] {
  return [
    `backend successor-${frontend} from base`,
    `  ${ONE_ANSWER}`,
    `  server successor unix@/tmp/${frontend}.sock send-proxy-v2 no-check`,
    "",
  ];
}

import type { Facts } from "./facts";

type Reason = (facts: Facts) => string;

const noList: Reason = () => "the engine did not list the box's containers in time";
const noLog: Reason = ({ unreadLogs }) => unreadLogs?.[0] ?? "the log of the edge was not read";

/** Why a row could not be judged, where Docker answers and the box has containers. */
const REASONS: Record<string, Reason> = {
  clock: () => "the host did not say",
  network: () => "the engine did not list its networks in time",
  port: () => "nobody knows who holds the ports",
  redis: () => "no gateway said whether it reaches Redis",
  postgres: () => "Postgres gave no answer",
  reach: () => "no gateway and no valve said what it reaches",
  key: ({ listed }) =>
    `the box's port gave no answer${listed && "failed" in listed ? `: ${listed.failed}` : ""}`,
  "unknown-model": ({ unreadLogs }) => unreadLogs?.[0] ?? "no gateway's log was read",
  slow: () => "no valve said what it has to do",
  changed: () => "the edge did not say which gateway serves",
  draining: () => "the edge did not say which gateways it has",
  disk: () => "the host did not say how much of its disks is free",
  "host-memory": () => "the host did not say how much memory is available",
  gpu: () => "no GPU of NVIDIA is declared",
  firewall: () => "only root can read the firewall's rules",
};

/** Why the doctor could not judge a row, as half a sentence. */
export function whyUnread(row: string, facts: Facts): string {
  if (facts.host.unreachable) return "the host cannot be reached";
  const aboutHost = [
    "disk",
    "host-memory",
    "gpu",
    "firewall",
    "clock",
    "arch",
    "prepared",
    "unfit",
    "boot",
  ].includes(row);
  if (aboutHost) return (REASONS[row] ?? REASONS.clock!)(facts);
  if (facts.docker.state !== "answers") return "Docker does not answer";
  if (!facts.containers) return noList(facts);
  if (facts.containers.length === 0) return "the box has no container";
  return (REASONS[row] ?? noLog)(facts);
}

import type { PodContainer, PodFacts } from "./pods";

/** Why a pod does not serve. */
export interface Wait {
  /** `starts`: nothing is wrong so far. */
  kind: "starts" | "node" | "image" | "config" | "crash" | "memory" | "failed";
  /** In a few words, for people. */
  words: string;
}

const IMAGE = /^(ErrImage|ImagePull|InvalidImage|ErrImageNeverPull|RegistryUnavailable)/;
const CONFIG = /^(CreateContainer(Config)?Error|RunContainerError|StartError)/;

/** Why a pod does not serve; undefined for one that does, or that did its work. */
export function waitOf(pod: PodFacts): Wait | undefined {
  if (pod.ready || pod.phase === "Succeeded") return undefined;
  if (pod.unplaced) return { kind: "node", words: `waits for a node: ${placed(pod.unplaced)}` };
  if (pod.failed) return { kind: "failed", words: `failed: ${oneLine(pod.failed)}` };
  const found = pod.containers.map(containerWait).filter((one) => one !== undefined);
  const bad = found.find(({ kind }) => kind !== "starts");
  if (bad) return bad;
  const first = pod.containers.find(({ init, runs }) => init && runs);
  if (first) return { kind: "starts", words: `loading, at its step ${first.name}` };
  return found[0] ?? { kind: "starts", words: pod.node ? "loading" : "waits for a node" };
}

function containerWait({ name, init, restarts, runs, waits, ended }: PodContainer): Wait | undefined {
  const what = init ? `its step ${name}` : "it";
  const reason = waits?.reason ?? "";
  const said = waits?.message ? `: ${oneLine(waits.message)}` : "";
  if (IMAGE.test(reason)) return { kind: "image", words: `its image cannot be pulled${said}` };
  if (CONFIG.test(reason)) return { kind: "config", words: `cannot be started${said}` };
  if (runs) return undefined;
  if (ended && (restarts > 0 || reason === "CrashLoopBackOff" || ended.exitCode !== 0)) {
    const times = restarts > 0 ? `, started again ${restarts === 1 ? "once" : `${restarts} times`}` : "";
    return ended.reason === "OOMKilled"
      ? { kind: "memory", words: `killed, out of memory${times}` }
      : { kind: "crash", words: `${what} ended with exit code ${ended.exitCode}${times}` };
  }
  return waits && !init ? { kind: "starts", words: "starting" } : undefined;
}

/** The scheduler's words without what it tried beside: `0/3 nodes are available: 3 Insufficient nvidia.com/gpu`. */
function placed(message: string): string {
  return oneLine(message)
    .replace(/\.?\s*(preemption: |no new claims to deallocate).*$/i, "")
    .replace(/\.$/, "");
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim().replace(/\.$/, "");
}

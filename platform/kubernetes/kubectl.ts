import { type RunResult, run } from "../process";

/** A cluster as the person's kubeconfig reaches it, and a namespace in it. */
export interface Cluster {
  /** Name of a context; undefined for the current one. */
  context?: string;
  namespace: string;
  /** A file instead of the one that kubectl finds by itself. */
  kubeconfig?: string;
  /** A folder for what kubectl remembers of servers. Default: its own. */
  cacheDir?: string;
}

/** Seconds that a server has to answer a request. */
const ANSWER_SECONDS = 10;
/** Milliseconds after which a kubectl is ended that waits for something else, such as a login in a browser. */
const PATIENCE_MS = 60_000;

/**
 * Runs `kubectl` on a cluster and waits for it. Never rejects: code 127 where there is no kubectl.
 *
 * @param args without `--context` and `--namespace`
 * @param stdin objects as text. Secret values reach kubectl only this way
 */
export function kubectl(cluster: Cluster, args: string[], stdin?: string): Promise<RunResult> {
  const at = [...clusterArguments(cluster), `--request-timeout=${ANSWER_SECONDS}s`];
  return run("kubectl", [...at, ...args], { stdin, timeoutMs: PATIENCE_MS });
}

/** The begin of a kubectl's command line. */
export function clusterArguments({ context, namespace, kubeconfig, cacheDir }: Cluster): string[] {
  return [
    ...(context === undefined ? [] : ["--context", context]),
    ...(kubeconfig === undefined ? [] : ["--kubeconfig", kubeconfig]),
    ...(cacheDir === undefined ? [] : ["--cache-dir", cacheDir]),
    ...["--namespace", namespace],
  ];
}

/**
 * Objects as kubectl reads them from its standard input. As one List it would judge their fields itself, by what it knows of the
 * server, and stop at the first mistake.
 */
export function documents(objects: object[]): string {
  return objects.map((one) => `---\n${JSON.stringify(one)}\n`).join("");
}

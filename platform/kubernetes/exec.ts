import { type RunResult, run } from "../process";
import { type Cluster, clusterArguments } from "./kubectl";

/** Milliseconds after which a command in a pod is given up. */
const COMMAND_MS = 120_000;

/**
 * Runs a command in a pod of a workload and waits for it. Never rejects.
 *
 * @param workload `statefulset/database`
 * @param words the command, which others may see
 * @param stdin what it reads
 */
export function execInPod(
  cluster: Cluster,
  workload: string,
  words: string[],
  stdin: string,
): Promise<RunResult> {
  const args = ["exec", "--stdin", "--container", "main", workload, "--", ...words];
  return run("kubectl", [...clusterArguments(cluster), ...args], { stdin, timeoutMs: COMMAND_MS });
}

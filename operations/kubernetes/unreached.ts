import type { Failure } from "../../configs/kit/problems";
import type { RunResult } from "../../platform/process";

/** Why a cluster could not be asked. */
export interface Unreached {
  unreached: "program" | "context" | "answer" | "rights" | "certificate" | "other";
  /** kubectl's own words. */
  said: string;
}

const SIGNS: [RegExp, Unreached["unreached"]][] = [
  [
    /context .* (does not exist|not found)|no context exists|context was not found|invalid configuration/i,
    "context",
  ],
  [/Unauthorized|provide credentials|must be logged in|getting credentials|Forbidden/i, "rights"],
  [/x509|certificate/i, "certificate"],
  [
    /refused|timed? ?out|deadline exceeded|no such host|unreachable|Unable to connect|EOF|reset by peer/i,
    "answer",
  ],
];

/** Reads from a kubectl that failed why it could not ask the API server. */
export function unreached(answer: RunResult): Unreached {
  const { code, stderr } = answer;
  const said = lastWords(answer);
  if (code === 127) return { unreached: "program", said: "" };
  // Ended by us: it waited for something else than the API server.
  if (code === 137) return { unreached: "answer", said: "kubectl did not end within a minute" };
  return { unreached: SIGNS.find(([sign]) => sign.test(stderr))?.[1] ?? "other", said };
}

/** What a kubectl that failed said last, without its begin and its end. */
export function lastWords({ stderr }: Pick<RunResult, "stderr">): string {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  return last
    .replace(/^(error|Error from server \(\w+\)): /, "")
    .replace(/( - did you specify .*)?[.?!]*$/, "");
}

/** What a person does about it. */
export function unreachedWords({ unreached: why, said }: Unreached, context: string | undefined): Failure {
  const name = context === undefined ? "The current context of kubectl" : `The context "${context}"`;
  switch (why) {
    case "program":
      return {
        what: "There is no `kubectl` on PATH, and gpubox asks clusters through it.",
        fix: "Install it: https://kubernetes.io/docs/tasks/tools/.",
      };
    case "context":
      return {
        what: `${name} is not one that kubectl knows: ${said}.`,
        fix: "Use one of `kubectl config get-contexts --output name`, or name the file with it in KUBECONFIG.",
      };
    case "rights":
      return {
        what: `The API server does not know you: ${said}.`,
        fix: `Log in again, and see that \`kubectl${flag(context)} version\` answers.`,
      };
    case "certificate":
      return {
        what: `The API server's certificate is not one that this kubeconfig trusts: ${said}.`,
        fix: "Fetch the kubeconfig again from the cluster; its authority may have changed.",
      };
    default:
      return {
        what: `${name} does not answer: ${said}.`,
        fix: `Is the cluster up, and the VPN or tunnel to it? See that \`kubectl${flag(context)} version\` answers.`,
      };
  }
}

function flag(context: string | undefined): string {
  return context === undefined ? "" : ` --context ${context}`;
}

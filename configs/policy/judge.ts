import type { PolicyFinding, Violation } from "../kit/problems";
import type { PolicyConfig, PolicyName } from "../schema/policy";

/**
 * What happens without a word in the config. Only what a new machine without a registry and a hub cannot have is a warning;
 * the rest holds of every plan, or is a mistake of the person who wrote it. docs/decisions/0024 has the reasons.
 */
export const DEFAULT_SEVERITY: Record<PolicyName, "refused" | "warned"> = {
  "published-ports": "refused",
  "digests-locked": "warned",
  "weights-locked": "warned",
  "memory-limits": "refused",
  "stop-grace": "refused",
  "no-root": "refused",
  "no-plaintext-secrets": "refused",
};

/** Decides what becomes of each violation. A waiver wins over `refuse`. */
export function judgeViolations(violations: Violation[], { waive, refuse }: PolicyConfig): PolicyFinding[] {
  return violations.map(({ mild, ...violation }) => {
    const reason = waive[violation.policy];
    if (reason !== undefined) return { ...violation, severity: "waived", reason };
    if (refuse.includes(violation.policy)) return { ...violation, severity: "refused" };
    return { ...violation, severity: mild ? "warned" : DEFAULT_SEVERITY[violation.policy] };
  });
}

/** Waivers that waive nothing: somebody corrected the cause and forgot the waiver. */
export function idleWaivers(findings: PolicyFinding[], { waive }: PolicyConfig): string[] {
  return Object.keys(waive).filter((name) => !findings.some(({ policy }) => policy === name));
}

/** What the plan's notes say already, in words of their own. */
const TOLD_BY_NOTES: PolicyName[] = ["digests-locked", "weights-locked"];

/** What `up` says of findings: what it is warned of and what is waived, a line for each policy. `gpubox preview` says each. */
export function policyWords(findings: PolicyFinding[]): string[] {
  return grouped(findings)
    .filter(({ severity, policy }) => severity !== "warned" || !TOLD_BY_NOTES.includes(policy))
    .map(({ policy, severity, reason, findings }) => {
      const paths = findings.map(({ path }) => path).join(", ");
      return severity === "waived"
        ? `The policy ${policy} is waived (${reason}): ${paths}.`
        : `The policy ${policy} warns of ${paths}. \`gpubox preview\` says more.`;
    });
}

/** Findings of one policy together: they have one severity and one reason, but for what is mild. */
export function grouped(findings: PolicyFinding[]) {
  const keys = [...new Set(findings.map(({ severity, policy }) => `${severity} ${policy}`))];
  return keys.map((key) => {
    const own = findings.filter(({ severity, policy }) => `${severity} ${policy}` === key);
    const [{ policy, severity, reason, fix }] = own as [PolicyFinding];
    return { policy, severity, reason, fix, findings: own };
  });
}

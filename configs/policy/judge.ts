import type { PolicyFinding, Violation } from "../kit/problems";
import type { PolicyConfig, PolicyName } from "../schema/policy";

/**
 * Severities when the config sets none. Only what a new machine without a registry and a hub cannot satisfy is a warning;
 * every other violation is a mistake that the author can correct. docs/decisions/0024 has the reasons.
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

/** Gives each violation its severity. A waiver wins over `refuse`. */
export function judgeViolations(violations: Violation[], { waive, refuse }: PolicyConfig): PolicyFinding[] {
  return violations.map(({ mild, ...violation }) => {
    const reason = waive[violation.policy];
    if (reason !== undefined) return { ...violation, severity: "waived", reason };
    if (refuse.includes(violation.policy)) return { ...violation, severity: "refused" };
    return { ...violation, severity: mild ? "warned" : DEFAULT_SEVERITY[violation.policy] };
  });
}

/** Waivers that match nothing: the cause was corrected and the waiver left behind. */
export function idleWaivers(findings: PolicyFinding[], { waive }: PolicyConfig): string[] {
  return Object.keys(waive).filter((name) => !findings.some(({ policy }) => policy === name));
}

/** Policies whose warnings the plan's notes already report. */
const TOLD_BY_NOTES: PolicyName[] = ["digests-locked", "weights-locked"];

/** Warnings and waivers as `up` prints them, one line per policy. `gpubox preview` lists every finding. */
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

/** Findings grouped by policy and severity. */
export function grouped(findings: PolicyFinding[]) {
  const keys = [...new Set(findings.map(({ severity, policy }) => `${severity} ${policy}`))];
  return keys.map((key) => {
    const own = findings.filter(({ severity, policy }) => `${severity} ${policy}` === key);
    const [{ policy, severity, reason, fix }] = own as [PolicyFinding];
    return { policy, severity, reason, fix, findings: own };
  });
}

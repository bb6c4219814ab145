import type { DriftReport } from "./difference";

/**
 * A report for people: one line says what differs, the next whom it affects and what to do.
 *
 * @param place of the box
 */
export function driftText(
  { stack, differences, configChanged, notChecked }: DriftReport,
  place: "host" | "cluster" = "host",
): string {
  const lines = differences.flatMap(({ what, fix, affected }) => [
    `  ${what}`,
    `    affects ${affected.who}. ${fix}`,
  ]);
  const unseen = notChecked.map((what) => `  not checked: ${what}`);
  const end =
    differences.length === 0
      ? `The stack ${stack} is on its ${place} as planned.`
      : `${differences.length} ${differences.length === 1 ? "difference" : "differences"} between the stack ${stack} and its ${place}.`;
  const changed = configChanged
    ? [`  note: Pulumi.${stack}.yaml changed since the last \`up\`; its changes count as differences.`]
    : [];
  return [...lines, ...changed, ...unseen, end].join("\n");
}

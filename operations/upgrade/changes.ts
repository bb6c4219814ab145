/** One version's section of a changelog. */
export interface Change {
  /** `0.2.0`, or `Unreleased`. */
  version: string;
  text: string;
}

/** The sections of a changelog in order. Each begins with `## VERSION`. */
export function changesIn(changelog: string): Change[] {
  return changelog
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [head = "", ...lines] = section.split("\n");
      return {
        version: head
          .trim()
          .replace(/^\[(.*?)\].*$/, "$1")
          .replace(/ .*$/, ""),
        text: lines.join("\n").trim(),
      };
    });
}

/**
 * The sections newer than `since`.
 *
 * @param since undefined: all of them
 * @param atLeast whether its first version is its second one or newer
 */
export function newerThan(
  changes: Change[],
  since: string | undefined,
  atLeast: (version: string, minimum: string) => boolean,
): Change[] {
  if (since === undefined) return changes;
  return changes.filter(({ version }) => version === "Unreleased" || !atLeast(since, version));
}

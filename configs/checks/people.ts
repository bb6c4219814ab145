import { type Problem, suggestion } from "../kit/problems";
import type { StackConfig } from "../stack/config";

const PATH = "gpubox:access.users";

/** Mistakes of the declared people, beyond those of their limits. */
export function checkPeople({ access: { users, teams } }: StackConfig): Problem[] {
  const known = Object.keys(teams);
  const emails = new Map<string, string>();
  return Object.entries(users).flatMap(([name, user]) => {
    const problems: Problem[] = [];
    const other = emails.get(user.email);
    if (other)
      problems.push({
        path: `${PATH}.${name}.email`,
        what: `${user.email} is ${other}'s address too.`,
        fix: "Declare each person once.",
      });
    emails.set(user.email, name);
    for (const [index, team] of user.teams.entries())
      if (!known.includes(team))
        problems.push({
          path: `${PATH}.${name}.teams[${index}]`,
          what: `There is no team "${team}".`,
          fix: known.length > 0 ? suggestion(team, known) : "Declare it under gpubox:access.teams.",
        });
    return problems;
  });
}

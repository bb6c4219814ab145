import type { z } from "zod";
import { nearest, type Problem, suggestion } from "../kit/problems";
import { sectionElsewhere } from "../litellm/sections";
import { withoutSecrets } from "../policy/plaintext";
import { misplaced } from "./misplaced";

type Issue = z.core.$ZodIssue;

/** Turns zod's issues about one value into problems with full paths. `keys` are the valid keys at a path, for hints. */
export function zodProblems(
  issues: Issue[],
  root: string,
  value: unknown,
  keysAt: (path: PropertyKey[]) => string[],
): Problem[] {
  const told = issues.filter((issue) => !isOfDoubles(issue) || !issues.some((other) => beside(issue, other)));
  const mistyped = mistypedKeys(told, value);
  const missing = [...mistyped.values()];
  return told
    .filter((issue) => !missing.includes(issue))
    .flatMap((issue) => {
      const meant = mistyped.get(issue)?.path.at(-1);
      const problems = problemsOf(issue, root, value, keysAt);
      return meant === undefined
        ? problems
        : problems.map((problem) => ({ ...problem, fix: `Did you mean "${String(meant)}"?` }));
    });
}

/** A key that is none, in a map that lacks one: that is what is meant, and one mistake. An entry lacks its `model` for other reasons too. */
function mistypedKeys(issues: Issue[], value: unknown): Map<Issue, Issue> {
  const found = new Map<Issue, Issue>();
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys" || issue.keys.length !== 1) continue;
    const inIt = issues.filter(
      (other) =>
        other.path.length === issue.path.length + 1 &&
        issue.path.every((key, index) => other.path[index] === key) &&
        at(value, other.path) === undefined,
    );
    const [lacking, ...more] = inIt;
    if (!lacking || more.length > 0) continue;
    const key = String(lacking.path.at(-1));
    if (issue.path.length > 0 || nearest(issue.keys[0]!, [key]) !== undefined) found.set(issue, lacking);
  }
  return found;
}

/** Beyond the integers that a double holds: zod says so beside the bound of the key, which is the nearer one. */
function isOfDoubles(issue: Issue): boolean {
  return "note" in issue;
}

function beside(issue: Issue, other: Issue): boolean {
  return !isOfDoubles(other) && join("", issue.path) === join("", other.path);
}

function problemsOf(
  issue: Issue,
  root: string,
  value: unknown,
  keysAt: (path: PropertyKey[]) => string[],
): Problem[] {
  const path = join(root, issue.path);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({
      path: join(path, [key]),
      what: `"${key}" is no setting here.`,
      fix: misplaced(key, root, keysAt(issue.path)),
      ...(root === "gpubox:gateway" ? sectionElsewhere(key) : {}),
    }));
  if (issue.code === "invalid_key")
    return [
      {
        path,
        what: `"${String(issue.path.at(-1))}" cannot be a name here.`,
        fix: issue.issues[0]?.message ?? "",
      },
    ];
  const found = at(value, issue.path);
  if (found === undefined) return [{ path, what: "It is missing.", fix: `${expectation(issue)}` }];
  return [
    {
      path,
      what: `${show(found, String(issue.path.at(-1) ?? ""))} is not valid.`,
      fix: expectation(issue, found),
    },
  ];
}

function expectation(issue: Issue, found?: unknown): string {
  switch (issue.code) {
    case "invalid_type":
      return `Write ${article(issue.expected)}.`;
    case "invalid_value":
      if (!issue.message.startsWith(NO_CHOICE)) return issue.message;
      return typeof found === "string"
        ? suggestion(found, issue.values.map(String))
        : `Use one of: ${issue.values.map(String).join(", ")}.`;
    case "too_small":
      return `Write ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}${unit(issue, issue.minimum)}.`;
    case "too_big":
      return `Write ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${unit(issue, issue.maximum)}.`;
    case "not_multiple_of":
      return `Write a multiple of ${issue.divisor}.`;
    case "invalid_union":
      return unionExpectation(issue, found);
    case "invalid_format":
      return ["ipv4", "ipv6"].includes(issue.format)
        ? "Write an IP address, for example 127.0.0.1."
        : issue.message;
    default:
      return issue.message;
  }
}

/** What a bound counts, where it is no number's own. */
function unit({ origin }: { origin: string }, bound: number | bigint): string {
  const one = { string: "character", array: "entry", set: "entry", record: "entry" }[origin];
  if (one === undefined) return "";
  return ` ${bound === 1 ? one : one.replace(/y$/, "ie").concat("s")}`;
}

/** The start of zod's default message for a value outside an enumeration. */
const NO_CHOICE = "Invalid";

/** zod's default message when the schema gives none. */
const NO_MESSAGE = "Invalid input";

function unionExpectation(issue: Extract<Issue, { code: "invalid_union" }>, found: unknown): string {
  if (issue.message !== NO_MESSAGE) return issue.message;
  if ("options" in issue && Array.isArray(issue.options)) {
    const options = issue.options.filter((option) => option !== undefined).map(String);
    return typeof found === "string" ? suggestion(found, options) : `Use one of: ${options.join(", ")}.`;
  }
  const choices = issue.errors.map((errors) => errors[0]).filter((first) => first !== undefined);
  return [...new Set(choices.map((first) => expectation(first)))].join(" Or: ");
}

function article(expected: string): string {
  if (expected === "int") return "a whole number";
  if (expected === "number") return "a number";
  if (expected === "array") return "a list";
  if (expected === "record" || expected === "object") return "a map of settings";
  if (expected === "boolean") return "true or false";
  return `a ${expected}`;
}

function at(value: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      inner === null || inner === undefined ? undefined : (inner as Record<PropertyKey, unknown>)[key],
    value,
  );
}

/** A config value for an error message, shortened and without secrets: a key may have been pasted into the wrong place. */
function show(value: unknown, key: string): string {
  if (typeof value === "string" && value.startsWith("sk-")) return "A key in plain text";
  if (typeof value === "string" && /\/\/[^/\s]*@/.test(value)) return "An address with a login in it";
  const text = JSON.stringify(withoutSecrets(value, key)) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 24)}…` : text;
}

function join(root: string, path: PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : `${text}.${String(key)}`),
    root,
  );
}

import type { ContainerPlan, MountPlan, ServicePlan } from "../../configs/kit/containerPlan";
import type { FilePlan } from "../../configs/kit/text";
import { stableJson } from "../../configs/kit/text";
import { bracketed } from "../../configs/network/addresses";
import type { SecretFacts } from "../../configs/secrets/facts";
import { shown } from "./configDiff";
import type { Reason } from "./types";

/** Keys of a container that say who it is, not how it runs. */
const IDENTITY: (keyof ContainerPlan)[] = ["name", "labels"];

/** A service of one plan, with the known fingerprints of the secrets in its files. */
export interface Known {
  service: ServicePlan;
  secrets: SecretFacts;
}

/** The container inputs that differ. */
export function inputReasons(before: Known, after: Known): Reason[] {
  const [a, b] = [settled(before.service), settled(after.service)];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])] as (keyof ContainerPlan)[];
  return keys
    .filter((key) => !IDENTITY.includes(key) && stableJson({ v: a[key] }) !== stableJson({ v: b[key] }))
    .map((input) => ({ input, detail: detailOf(input, a, b) }));
}

/** The files of a container that differ, and the secrets in them. */
export function fileReasons(before: Known, after: Known): Reason[] {
  const [a, b] = [before.service.directory.files, after.service.directory.files];
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  const files = names
    // It contains hashes of the others and nothing of its own.
    .filter((name) => name !== "generation.json")
    .flatMap((name) => {
      const detail = fileDetail(a[name], b[name]);
      return detail ? [{ input: `file ${name}`, detail }] : [];
    });
  return [...files, ...secretReasons(before, after)];
}

function secretReasons(before: Known, after: Known): Reason[] {
  const now = secretsIn(after.service);
  return secretsIn(before.service)
    .filter(
      (name) => now.includes(name) && before.secrets[name]?.fingerprint !== after.secrets[name]?.fingerprint,
    )
    .map((name) => ({ input: `secret ${name}`, detail: "set anew" }));
}

/** Names of the secrets in a service's files. */
export function secretsIn({ directory }: ServicePlan): string[] {
  const parts = Object.values(directory.files).flatMap(({ text }) => text);
  return [...new Set(parts.flatMap((part) => (typeof part === "string" ? [] : [part.secret])))].sort();
}

/** The container without its directory's path, which changes with every generation of a gateway. */
function settled({ container, directory }: ServicePlan): ContainerPlan {
  const mounts = container.mounts.map((mount) =>
    mount.source === directory.path ? { ...mount, source: "its files" } : mount,
  );
  return { ...container, mounts };
}

function detailOf(input: keyof ContainerPlan, before: ContainerPlan, after: ContainerPlan): string {
  switch (input) {
    case "command":
    case "entrypoint":
      return listDetail(flagsOf(before[input]), flagsOf(after[input]));
    case "env":
    case "tmpfs":
    case "networks":
      return mapDetail(before[input], after[input]);
    case "mounts":
      return listDetail(before.mounts.map(mountText), after.mounts.map(mountText));
    case "ports":
      return listDetail(before.ports.map(portText), after.ports.map(portText));
    default:
      return change(before[input], after[input]);
  }
}

export function portText({ bind, port }: { bind: string; port: number }): string {
  return `${bracketed(bind)}:${port}`;
}

function mountText({ source, target, readOnly }: MountPlan): string {
  return `${source} at ${target}${readOnly ? "" : " (writable)"}`;
}

/** Words of a command line, each flag with its values. */
function flagsOf(words: string[]): string[] {
  const flags: string[][] = [];
  for (const word of words) {
    const last = flags.at(-1);
    if (last?.[0]?.startsWith("-") && !word.startsWith("-")) last.push(word);
    else flags.push([word]);
  }
  return flags.map((flag) => flag.join(" "));
}

/** The difference of two lists, with one line for entries that begin alike: `--ctx-size 4096 → 8192`. */
function listDetail(before: string[], after: string[]): string {
  const gone = before.filter((text) => !after.includes(text));
  const come = after.filter((text) => !before.includes(text));
  const head = (text: string) => text.split(" ")[0]!;
  const parts = gone.map((text) => {
    const index = come.findIndex((other) => head(other) === head(text));
    if (index < 0) return `−${shown(text)}`;
    const [other] = come.splice(index, 1);
    return `${shown(head(text))} ${change(rest(text), rest(other!), head(text))}`;
  });
  const all = [...parts, ...come.map((text) => `+${shown(text)}`)];
  return all.join(", ") || "another order";
}

function rest(text: string): string {
  return text.split(" ").slice(1).join(" ");
}

function mapDetail(before: object, after: object): string {
  const [a, b] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return keys
    .filter((key) => stableJson({ v: a[key] }) !== stableJson({ v: b[key] }))
    .map((key) => `${key} ${change(a[key], b[key], key)}`)
    .join(", ");
}

function change(before: unknown, after: unknown, key = ""): string {
  const text = (value: unknown) => (value === undefined || value === "" ? "none" : shown(value, key));
  return `${text(before)} → ${text(after)}`;
}

function fileDetail(before: FilePlan | undefined, after: FilePlan | undefined): string | undefined {
  if (!before) return "new";
  if (!after) return "gone";
  const [a, b] = [linesOf(before), linesOf(after)];
  const [gone, come] = [missingFrom(a, b), missingFrom(b, a)];
  if (gone === 0 && come === 0) {
    if (before.mode !== after.mode) return `mode ${before.mode} → ${after.mode}`;
    return stableJson(before.text) === stableJson(after.text) ? undefined : "another order of lines";
  }
  return `+${come} −${gone} lines`;
}

/** Lines of a file with its secrets by name. */
function linesOf({ text }: FilePlan): string[] {
  const parts = text.map((part) => (typeof part === "string" ? part : `{${part.secret} ${part.as}}`));
  return parts.join("").split("\n");
}

/** How many of `lines` the other list lacks. */
function missingFrom(lines: string[], other: string[]): number {
  const counts = new Map<string, number>();
  for (const line of other) counts.set(line, (counts.get(line) ?? 0) + 1);
  let missing = 0;
  for (const line of lines) {
    const left = counts.get(line) ?? 0;
    if (left === 0) missing++;
    else counts.set(line, left - 1);
  }
  return missing;
}

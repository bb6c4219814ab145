import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../platform/process";

/** Where a secret was found: the place's name, and which secret. */
export interface Leak {
  place: string;
  secret: string;
}

/** Looks for secret values in texts, in every form of {@link formsOf}. */
export function leaksIn(place: string, text: string, secrets: Record<string, string>): Leak[] {
  return Object.entries(secrets)
    .filter(([, value]) => formsOf(value).some((form) => text.includes(form)))
    .map(([secret]) => ({ place, secret }));
}

/** The forms that a value leaks in: as it is, in JSON, in URLs, in hex, backwards, and in base64 wherever it begins there. */
export function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const hex = bytes.toString("hex");
  const base64 = [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64url");
    // Neither the first nor the last letter is the value's alone, unless they happen to be.
    const own = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return [own, own.replaceAll("-", "+").replaceAll("_", "/")];
  });
  const reversed = [...value].reverse().join("");
  const quoted = JSON.stringify(value).slice(1, -1);
  return [
    ...new Set([value, quoted, encodeURIComponent(value), hex, hex.toUpperCase(), reversed, ...base64]),
  ];
}

/** Command lines of every process on this machine at this moment. */
export function commandLines(): string {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    })
    .join("\n");
}

/** Everything that the engine tells about the containers of a stack to anybody who may use it: inspect and logs. */
export async function engineTexts(stack: string): Promise<{ inspect: string; logs: string }> {
  const { stdout } = await run("docker", ["ps", "-aq", "--filter", `label=gpubox.stack=${stack}`]);
  const ids = stdout.split("\n").filter(Boolean);
  const inspect = await run("docker", ["inspect", ...ids]);
  const logs = await Promise.all(ids.map((id) => run("docker", ["logs", id])));
  return { inspect: inspect.stdout, logs: logs.map((log) => log.stdout + log.stderr).join("\n") };
}

/** Every file below a folder as one text. */
export function filesBelow(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
}

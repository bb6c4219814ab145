import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../runner/process";

/** Where a secret was found: the place's name, and which secret. */
export interface Leak {
  place: string;
  secret: string;
}

/** Looks for secret values in texts. Also finds them base64- and percent-encoded. */
export function leaksIn(place: string, text: string, secrets: Record<string, string>): Leak[] {
  return Object.entries(secrets)
    .filter(([, value]) =>
      [value, Buffer.from(value).toString("base64").replace(/=+$/, ""), encodeURIComponent(value)].some(
        (form) => text.includes(form),
      ),
    )
    .map(([secret]) => ({ place, secret }));
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

import { type ChildProcess, spawn } from "node:child_process";

/** How the step that waits for a start asks a container (`configs/kit/steps.ts`). Docker's own look may come ten seconds later. */
const ASKED = "exec_create: timeout 2 ";

/** Listens to the engine: when each container of a stack was told to stop, and when the next one was healthy. */
export class ContainerGaps {
  private lines: string[] = [];
  private readonly child: ChildProcess;

  constructor(stack: string) {
    const events = ["kill", "die", "health_status", "exec_create", "exec_die"];
    const filters = events.flatMap((event) => ["--filter", `event=${event}`]);
    const attribute = (name: string) => `{{index .Actor.Attributes "${name}"}}`;
    const format = [
      "{{.TimeNano}}",
      "{{.Action}}",
      ...["gpubox.role", "execID", "exitCode"].map(attribute),
    ].join("\t");
    this.child = spawn("docker", [
      ...["events", ...filters, "--filter", `label=gpubox.stack=${stack}`],
      ...["--format", format],
    ]);
    let rest = "";
    this.child.stdout?.on("data", (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split("\n");
      rest = parts.pop() ?? "";
      this.lines.push(...parts);
    });
  }

  forget(): void {
    this.lines = [];
  }

  /** Role to the seconds from its stop to its next healthy answer; infinite where none came. Signals for a reload are no stop. */
  gaps(): Record<string, number> {
    const events = this.lines.map((line) => {
      const [nanoseconds, action = "", role = "", exec, code] = line.split("\t");
      return { at: Number(nanoseconds) / 1e9, action, role, exec, code };
    });
    const asked = new Set(events.filter(({ action }) => action.startsWith(ASKED)).map(({ exec }) => exec));
    const stopped = events.filter(({ action, role }) => action === "die" && role !== "undefined");
    return Object.fromEntries(
      stopped.map(({ role, at }) => {
        const begun = events.find((event) => event.role === role && event.action === "kill")?.at ?? at;
        const healthy = events.find(
          (event) =>
            event.role === role &&
            event.at > at &&
            (event.action.includes("health_status: healthy") ||
              (asked.has(event.exec) && event.code === "0")),
        );
        return [role, healthy ? healthy.at - begun : Number.POSITIVE_INFINITY];
      }),
    );
  }

  close(): void {
    this.child.kill();
  }
}

import { type ChildProcess, spawn } from "node:child_process";

/** Listens to the engine: when each container of a stack was told to stop, and when the next one was healthy. */
export class ContainerGaps {
  private lines: string[] = [];
  private readonly child: ChildProcess;

  constructor(stack: string) {
    const filters = ["kill", "die", "health_status"].flatMap((event) => ["--filter", `event=${event}`]);
    const format = '{{.TimeNano}} {{.Action}} {{index .Actor.Attributes "gpubox.role"}}';
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
      const [nanoseconds, ...words] = line.split(" ");
      const action = words.slice(0, -1).join(" ");
      return { at: Number(nanoseconds) / 1e9, action, role: words.at(-1)! };
    });
    const stopped = events.filter(({ action, role }) => action.startsWith("die") && role !== "undefined");
    return Object.fromEntries(
      stopped.map(({ role, at }) => {
        const begun = events.find((event) => event.role === role && event.action === "kill")?.at ?? at;
        const healthy = events.find(
          (event) => event.role === role && event.at > at && event.action.includes("health_status: healthy"),
        );
        return [role, healthy ? healthy.at - begun : Number.POSITIVE_INFINITY];
      }),
    );
  }

  close(): void {
    this.child.kill();
  }
}

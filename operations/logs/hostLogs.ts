import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { BoxPlan } from "../../configs/kit/types";
import { dockerArguments, dockerAt, labelFilters } from "../../platform/docker/client";
import { type ReadLog, readLog, UnreadableLog } from "../../platform/docker/logs";
import { UserError } from "../../platform/process";
import type { LogLine } from "./logLines";
import type { LogPlace, Source } from "./readLogs";

/**
 * The logs of a box on Docker. Reading one throws a UserError for a time that Docker does not understand.
 *
 * @param since in Docker's notation: `15m`, or a date
 */
export function hostLogs(box: BoxPlan, since: string): LogPlace {
  const gaps = new Map<string, ReadLog["gap"]>();
  return {
    sources: () => containers(box),
    past: async (source) => {
      const { lines, gap } = await past(box, source, since);
      gaps.set(source.container, gap);
      return { lines, notes: gap ? [gapLine(source, gap)] : [] };
    },
    follow: ({ container }, line) => stream(box, container, since, gaps.get(container), line),
  };
}

async function containers({ docker, stack }: BoxPlan): Promise<Source[]> {
  const format = '{{.Names}} {{.Label "gpubox.role"}}';
  const args = ["ps", "-a", ...labelFilters([`gpubox.stack=${stack}`]), "--format", format];
  const lines = await dockerAt(docker).lines(args);
  return lines.map((line) => {
    const [container, role] = line.split(" ");
    return { container: container!, role: role ?? "" };
  });
}

async function past({ docker }: BoxPlan, { container }: Source, since: string): Promise<ReadLog> {
  try {
    return await readLog(dockerAt(docker), container, { since });
  } catch (error) {
    if (!(error instanceof UnreadableLog)) throw error;
    throw new UserError(
      `The log of ${container} cannot be read: ${error.message}`,
      /since|time|pars/i.test(error.message)
        ? "For --since, write 15m, 2h or a date."
        : "Run `gpubox doctor`.",
    );
  }
}

/** What stands in a log for the part of it that Docker cannot read. */
function gapLine({ container, role }: Source, { after }: NonNullable<ReadLog["gap"]>): LogLine {
  const until = after ? `before ${after}` : "at its end";
  return {
    ...{ at: after ?? new Date().toISOString(), container, role, level: "WARNING" },
    text: `gpubox: lines ${until} are lost: Docker cannot read a part of this log, as after a power cut.`,
  };
}

/** Follows one container's log, both streams. */
function stream(
  { docker }: BoxPlan,
  container: string,
  since: string,
  gap: ReadLog["gap"],
  line: (line: string) => void,
): Promise<void> {
  const from = ["--since", since, ...(gap ? ["--tail", String(gap.tail)] : [])];
  const args = ["logs", "--timestamps", ...from, "--follow", container];
  const child = spawn("docker", dockerArguments(docker, args), { stdio: ["ignore", "pipe", "pipe"] });
  for (const out of [child.stdout, child.stderr]) createInterface(out).on("line", line);
  return new Promise((resolve, reject) => {
    child.on("error", () => reject(new UserError("`docker` cannot be started.", "Run `gpubox doctor`.")));
    child.on("close", () => resolve());
  });
}

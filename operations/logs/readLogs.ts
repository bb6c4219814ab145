import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { suggestion } from "../../configs/kit/problems";
import { renderText, type SecretPart } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { modelServers, servicesOf } from "../../configs/plan/box";
import type { StackConfig } from "../../configs/stack/config";
import { namesOf } from "../../configs/stack/instances";
import { dockerArguments, dockerAt, labelFilters } from "../../platform/docker/client";
import { type ReadLog, readLog, UnreadableLog } from "../../platform/docker/logs";
import { UserError } from "../../platform/process";
import type { Secrets } from "../../platform/stack/secrets";
import { type LogLine, mentions, parseLogLine, redactor } from "./logLines";

/** A container whose log is read. */
interface Source {
  container: string;
  role: string;
  /** Only lines that mention one of these names. Default: all. */
  about?: string[];
}

export interface LogsOptions {
  box: BoxPlan;
  config: StackConfig;
  secrets: Secrets;
  /**
   * A model, one of its instances or aliases, or a part of the box: `gateway`, `edge`, `cache`. Default: the whole box.
   */
  of?: string;
  /** In Docker's notation: `15m`, or a date. */
  since: string;
  /** Continue until the process is stopped. */
  follow: boolean;
  /** Lines as the programs wrote them. */
  raw: boolean;
  /** Receives each line; without `follow` in order of time. Never contains a secret. */
  print: (line: LogLine) => void;
}

/**
 * Reads the logs that belong to a word. For a model: its valve, its server and what the gateways log about it. For the
 * gateway: all existing generations.
 *
 * @throws UserError for an unknown word, and for a time that Docker does not understand
 */
export async function readLogs(options: LogsOptions): Promise<void> {
  const { box, secrets, follow, print } = options;
  const sources = await sourcesOf(options);
  const redact = redactor([
    ...Object.values(secrets),
    // Values derived from secrets that also cross the wire: the backends' key and the drain token.
    ...derivedParts(box)
      .filter(({ secret }) => secrets[secret])
      .map((part) => renderText([{ ...part, as: "derived" }], secrets)),
  ]);
  const emit = (line: LogLine) => print({ ...line, text: redact(line.text) });
  const logs = await Promise.all(
    sources.map(async (source) => ({ source, ...(await past(box, source, options)) })),
  );
  const lines = logs.flatMap(({ source, lines, gap }) => [
    ...(gap ? [gapLine(source, gap)] : []),
    // Docker repeats them when it follows.
    ...(follow ? [] : lines.flatMap((line) => lineOf(source, line, options))),
  ]);
  lines.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  for (const line of lines) emit(line);
  if (follow) await Promise.all(logs.map(({ source, gap }) => stream(box, source, gap, options, emit)));
}

function derivedParts(box: BoxPlan): SecretPart[] {
  const texts = servicesOf(box).flatMap(({ directory }) =>
    Object.values(directory.files).flatMap(({ text }) => text),
  );
  return texts.filter((part) => typeof part === "object").filter(({ as }) => as.endsWith("derived"));
}

async function sourcesOf({ box, config, of }: LogsOptions): Promise<Source[]> {
  const all = await containers(box);
  if (of === undefined) return all;
  const gateways = all.filter(({ role }) => role === "gateway");
  const [name, entry] =
    Object.entries(config.models).find(([name, model]) => [name, ...namesOf(name, model)].includes(of)) ?? [];
  const backends = modelServers(box).filter(({ model, instance }) => model === name || instance === of);
  if (entry || backends.length > 0) {
    const roles = backends.flatMap(({ service, valve }) => [service.container.name, valve.container.name]);
    const names = entry && name ? namesOf(name, entry) : [of];
    const instances = backends.map(({ instance }) => instance);
    const about = [...new Set([...names, ...instances])];
    return [...all.filter(({ role }) => roles.includes(role)), ...gateways.map((one) => ({ ...one, about }))];
  }
  const own = all.filter(({ role }) => role === of);
  if (own.length > 0) return own;
  const words = [...new Set([...Object.keys(config.models), ...all.map(({ role }) => role)])];
  throw new UserError(`The stack ${box.stack} has no model and no part "${of}".`, suggestion(of, words));
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

async function past({ docker }: BoxPlan, { container }: Source, { since }: LogsOptions): Promise<ReadLog> {
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

function lineOf({ container, role, about }: Source, line: string, { raw }: LogsOptions): LogLine[] {
  const found = parseLogLine(line, { container, role, raw });
  return found && (!about || mentions(line, about)) ? [found] : [];
}

/** Follows one container's log, both streams. */
function stream(
  { docker }: BoxPlan,
  source: Source,
  gap: ReadLog["gap"],
  options: LogsOptions,
  emit: (line: LogLine) => void,
): Promise<void> {
  const from = ["--since", options.since, ...(gap ? ["--tail", String(gap.tail)] : [])];
  const args = ["logs", "--timestamps", ...from, "--follow", source.container];
  const child = spawn("docker", dockerArguments(docker, args), { stdio: ["ignore", "pipe", "pipe"] });
  for (const out of [child.stdout, child.stderr])
    createInterface(out).on("line", (line) => lineOf(source, line, options).forEach(emit));
  return new Promise((resolve, reject) => {
    child.on("error", () => reject(new UserError("`docker` cannot be started.", "Run `gpubox doctor`.")));
    child.on("close", () => resolve());
  });
}

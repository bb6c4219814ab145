import { suggestion } from "../../configs/kit/problems";
import { renderText, type SecretPart } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { modelServers, servicesOf } from "../../configs/plan/box";
import { PROOF_ROLE, workerRoleOf } from "../../configs/plan/kubernetes/roles";
import type { StackConfig } from "../../configs/stack/config";
import { namesOf } from "../../configs/stack/instances";
import { UserError } from "../../platform/process";
import type { Secrets } from "../../platform/stack/secrets";
import { type LogLine, mentions, parseLogLine, redactor } from "./logLines";

/** A container whose log is read. */
export interface Source {
  container: string;
  role: string;
}

/** A source as somebody asks for it. */
interface Wanted<Own extends Source = Source> {
  source: Own;
  /** Only lines that mention one of these names. Default: all. */
  about?: string[];
}

/** Where the logs of a box are. */
export interface LogPlace<Own extends Source = Source> {
  /** Every container that has one. */
  sources: () => Promise<Own[]>;
  /** The lines of one since the time that the command names, each with its time, and what stands for those that cannot be read. */
  past: (source: Own) => Promise<{ lines: string[]; notes: LogLine[] }>;
  /** Gives the same lines and then each new one, until the log ends. */
  follow: (source: Own, line: (line: string) => void) => Promise<void>;
}

export interface LogsOptions<Own extends Source = Source> {
  box: BoxPlan;
  place: LogPlace<Own>;
  config: StackConfig;
  secrets: Secrets;
  /**
   * A model, one of its instances or aliases, or a part of the box: `gateway`, `edge`, `cache`. Default: the whole box.
   */
  of?: string;
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
 * @throws UserError for an unknown word, and what the place of the logs throws
 */
export async function readLogs<Own extends Source>(options: LogsOptions<Own>): Promise<void> {
  const { box, place, secrets, follow, print } = options;
  const wanted = await sourcesOf(options);
  const redact = redactor([
    ...Object.values(secrets),
    // Values derived from secrets that also cross the wire: the backends' key and the drain token.
    ...derivedParts(box)
      .filter(({ secret }) => secrets[secret])
      .map((part) => renderText([{ ...part, as: "derived" }], secrets)),
  ]);
  const emit = (line: LogLine) => print({ ...line, text: redact(line.text) });
  const logs = await Promise.all(wanted.map(async (one) => ({ one, ...(await place.past(one.source)) })));
  const lines = logs.flatMap(({ one, lines, notes }) => [
    ...notes,
    // They are repeated to whoever follows.
    ...(follow ? [] : lines.flatMap((line) => lineOf(one, line, options))),
  ]);
  lines.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  for (const line of lines) emit(line);
  if (!follow) return;
  await Promise.all(
    wanted.map((one) => place.follow(one.source, (line) => lineOf(one, line, options).forEach(emit))),
  );
}

function derivedParts(box: BoxPlan): SecretPart[] {
  const texts = servicesOf(box).flatMap(({ directory }) =>
    Object.values(directory.files).flatMap(({ text }) => text),
  );
  return texts.filter((part) => typeof part === "object").filter(({ as }) => as.endsWith("derived"));
}

/** Parts that say something of every model, each in its own lines. */
const ABOUT_MODELS = ["gateway", PROOF_ROLE];

async function sourcesOf<Own extends Source>({
  box,
  place,
  config,
  of,
}: LogsOptions<Own>): Promise<Wanted<Own>[]> {
  const all = (await place.sources()).map((source) => ({ source }));
  if (of === undefined) return all;
  const common = all.filter(({ source }) => ABOUT_MODELS.includes(source.role));
  const [name, entry] =
    Object.entries(config.models).find(([name, model]) => [name, ...namesOf(name, model)].includes(of)) ?? [];
  const backends = modelServers(box).filter(({ model, instance }) => model === name || instance === of);
  if (entry || backends.length > 0) {
    const roles = backends.flatMap(({ service, valve }) => [
      service.container.name,
      valve.container.name,
      workerRoleOf(service.container.name),
    ]);
    const names = entry && name ? namesOf(name, entry) : [of];
    const instances = backends.map(({ instance }) => instance);
    const about = [...new Set([...names, ...instances])];
    return [
      ...all.filter(({ source }) => roles.includes(source.role)),
      ...common.map((one) => ({ ...one, about })),
    ];
  }
  const own = all.filter(({ source }) => source.role === of);
  if (own.length > 0) return own;
  const words = [...new Set([...Object.keys(config.models), ...all.map(({ source }) => source.role)])];
  throw new UserError(`The stack ${box.stack} has no model and no part "${of}".`, suggestion(of, words));
}

function lineOf({ source, about }: Wanted, line: string, { raw }: { raw: boolean }): LogLine[] {
  const found = parseLogLine(line, { container: source.container, role: source.role, raw });
  return found && (!about || mentions(line, about)) ? [found] : [];
}

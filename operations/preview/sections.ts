import { size } from "../../configs/kit/sizes";
import { grouped } from "../../configs/policy/judge";
import { portText } from "./inputs";
import { code } from "./markdown";
import type {
  Changes,
  ConfigChange,
  ContainerChange,
  Destination,
  DestinationChange,
  Download,
  GpuChange,
  GpuUse,
  ModelChange,
  Preview,
  SecretChange,
} from "./types";

/** A heading and what stands below it; lines of a second depth begin with two spaces. */
export interface PreviewSection {
  title: string;
  lines: string[];
}

/** A preview as headings and lines, the same for people and for Markdown. Sections without a line are left out. */
export function sectionsOf(preview: Preview): PreviewSection[] {
  const { opened, closed } = preview.ports;
  const lost = preview.data.filter(({ fate }) => fate === "lost");
  const kept = preview.data.filter(({ fate }) => fate === "kept");
  const all: PreviewSection[] = [
    // First, so that nothing can be so long that it is cut off.
    { title: "Where requests go", lines: preview.destinations.map(destinationLine) },
    { title: "Models", lines: preview.models.flatMap(modelLines) },
    { title: "Settings", lines: preview.settings.map(fieldLine) },
    {
      title: "Who waits, and how long",
      lines: [
        ...preview.crowded.map(({ notice }) => first(notice)),
        ...preview.steps.map(first),
        ...preview.gaps.flatMap(gapLines),
      ],
    },
    { title: "Containers", lines: preview.containers.flatMap(containerLines) },
    { title: "GPU memory", lines: preview.gpus.flatMap(gpuLines) },
    { title: "Downloads", lines: preview.downloads.map(downloadLine) },
    {
      title: "Ports",
      lines: [
        ...opened.map((port) => `opened: ${code(portText(port))} by ${port.container}`),
        ...closed.map((port) => `closed: ${code(portText(port))} of ${port.container}`),
      ],
    },
    { title: "Secrets", lines: preview.secrets.map(secretLine) },
    {
      title: "Data",
      lines: [...lost.map(({ what }) => `lost: ${what}`), ...kept.map(({ what }) => `kept: ${what}`)],
    },
    { title: "Policies", lines: grouped(preview.policy).flatMap(policyLines) },
    { title: "Notes", lines: preview.notes.map(first) },
  ];
  return all.filter(({ lines }) => lines.length > 0);
}

/** A sentence as a line of the first depth, whatever it begins with. */
function first(sentence: string): string {
  return sentence.trimStart();
}

/** The whole in one line: `models: 1 changed; containers: 1 replaced; tiny waits about 10 s; no data is lost` */
export function headline({ models, settings, containers, crowded, gaps, steps, data }: Changes): string {
  const counts = (label: string, all: string[]) => {
    const kinds = [...new Set(all)].map((kind) => `${all.filter((one) => one === kind).length} ${kind}`);
    return kinds.length > 0 ? [`${label}: ${kinds.join(", ")}`] : [];
  };
  const everybody = gaps.filter(({ models }) => models === "all");
  const waiting = gaps.filter(({ models }) => models !== "all" && models.length > 0);
  const lost = data.filter(({ fate }) => fate === "lost").length;
  return [
    ...counts(
      "models",
      models.map(({ change }) => change),
    ),
    ...counts(
      "settings",
      settings.map(() => "changed"),
    ),
    ...counts(
      "containers",
      containers.map(({ action }) => action),
    ),
    ...(containers.length === 0 ? ["no container changes"] : []),
    ...everybody.map((gap) => `everybody waits ${lasting(gap)}`),
    ...waiting.map((gap) => `${(gap.models as string[]).join(", ")} waits ${lasting(gap)}`),
    ...crowded.map(({ stop, device }) => `${stop.join(", ")} has to stop before \`up\` on device ${device}`),
    ...(gaps.length === 0 && crowded.length === 0 && containers.length > 0 ? ["nobody waits"] : []),
    ...(steps.length > 0 ? ["the database is migrated"] : []),
    ...(lost > 0 ? ["data in memory is lost"] : containers.length > 0 ? ["no data is lost"] : []),
  ].join("; ");
}

function lasting({ aboutSeconds, mostSeconds }: { aboutSeconds?: number; mostSeconds: number }): string {
  return aboutSeconds === undefined ? `at most ${mostSeconds} s` : `about ${aboutSeconds} s`;
}

function modelLines({ model, change, what, fields }: ModelChange): string[] {
  const head = `${change}: ${code(model)}${change === "changed" ? "" : ` (${code(what)})`}`;
  return [head, ...fields.map((field) => `  ${fieldLine(field)}`)];
}

function destinationLine({ who, before, after }: DestinationChange): string {
  const text = (one: Destination | undefined) =>
    one ? `${code(one.to)} with ${keysText(one.keys)}` : "nothing";
  if (!before) return `${who}: ${text(after)}`;
  return `${who}: ${text(before)} → ${text(after)}`;
}

function keysText(keys: string[]): string {
  if (keys.length === 0) return "no key";
  return `the ${keys.length === 1 ? "secret" : "secrets"} ${keys.map(code).join(", ")}`;
}

function fieldLine({ path, before, after }: ConfigChange): string {
  const text = (value: string | undefined) => (value === undefined ? "not set" : code(value));
  return `${code(path)}: ${text(before)} → ${text(after)}`;
}

function gapLines(gap: Preview["gaps"][number]): string[] {
  return [first(gap.notice), `  ${lasting(gap)}: ${gap.source}`];
}

function containerLines({ container, action, how, copies, reasons }: ContainerChange): string[] {
  const way = {
    created: "created",
    deleted: "deleted",
    replaced:
      how === "start-first"
        ? "replaced by one that starts and is proven beside it"
        : "replaced: the old one stops first",
    reloaded: "takes new files without losing a connection",
    written: "stays; its files are written anew",
    scaled: "more or fewer of the same",
  }[action];
  const count = copies ? `, ${copies.before} → ${copies.after} copies` : "";
  return [
    `${code(container)} ${way}${count}`,
    ...reasons.map(({ input, detail }) => `  because of ${input}: ${code(detail)}`),
  ];
}

function gpuLines({ device, before, after }: GpuChange): string[] {
  const used = (use: GpuUse | undefined) => (use ? `${use.usedMiB} of ${use.totalMiB} MiB` : "not declared");
  const shares = (use: GpuUse | undefined) => new Map(use?.tenants.map(({ backend, mib }) => [backend, mib]));
  const [a, b] = [shares(before), shares(after)];
  const moved = [...new Set([...a.keys(), ...b.keys()])].filter(
    (backend) => a.get(backend) !== b.get(backend),
  );
  const share = (mib: number | undefined) => (mib === undefined ? "none" : `${mib} MiB`);
  return [
    `device ${code(device)}: ${used(before)} → ${used(after)}`,
    ...moved.map((backend) => `  ${code(backend)}: ${share(a.get(backend))} → ${share(b.get(backend))}`),
  ];
}

function downloadLine({ kind, what, bytes, remark }: Download): string {
  const facts = [bytes === undefined ? undefined : size(bytes), remark].filter((fact) => fact !== undefined);
  return `${kind} ${code(what)}: ${facts.join(", ")}`;
}

function secretLine({ name, change, containers }: SecretChange): string {
  return `${code(name)} is ${change}${containers.length > 0 ? `; in the files of ${containers.join(", ")}` : ""}`;
}

function policyLines({
  policy,
  severity,
  reason,
  fix,
  findings,
}: ReturnType<typeof grouped>[number]): string[] {
  return [
    severity === "waived" ? `${policy} is waived: ${code(reason ?? "")}` : `${policy} warns: ${fix}`,
    ...findings.map(({ path, what }) => `  ${code(path)}: ${what}`),
  ];
}

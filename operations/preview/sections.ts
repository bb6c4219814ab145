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

/** One point of a section, and the details below it. */
export interface PreviewLine {
  text: string;
  details: string[];
}

export interface PreviewSection {
  title: string;
  lines: PreviewLine[];
}

/** A preview as headings and lines, for the terminal and for Markdown alike. Empty sections are left out. */
export function sectionsOf(preview: Preview): PreviewSection[] {
  const { opened, closed } = preview.ports;
  const lost = preview.data.filter(({ fate }) => fate === "lost");
  const kept = preview.data.filter(({ fate }) => fate === "kept");
  const all: PreviewSection[] = [
    // First, so that the limit on a comment's length never cuts it off.
    { title: "Where requests go", lines: preview.destinations.map(destinationLine).map(line) },
    { title: "Models", lines: preview.models.map(modelLine) },
    { title: "Settings", lines: preview.settings.map(fieldLine).map(line) },
    {
      title: "Who waits, and how long",
      lines: [
        ...preview.crowded.map(({ notice }) => line(notice)),
        ...preview.steps.map((step) => line(step)),
        ...preview.gaps.map(gapLine),
      ],
    },
    { title: "Containers", lines: preview.containers.map(containerLine) },
    { title: "GPU memory", lines: preview.gpus.map(gpuLine) },
    { title: "Downloads", lines: preview.downloads.map(downloadLine).map(line) },
    {
      title: "Ports",
      lines: [
        ...opened.map((port) => line(`opened: ${code(portText(port))} by ${port.container}`)),
        ...closed.map((port) => line(`closed: ${code(portText(port))} of ${port.container}`)),
      ],
    },
    { title: "Secrets", lines: preview.secrets.map(secretLine).map(line) },
    {
      title: "Data",
      lines: [
        ...lost.map(({ what }) => line(`lost: ${what}`)),
        ...kept.map(({ what }) => line(`kept: ${what}`)),
      ],
    },
    { title: "Policies", lines: grouped(preview.policy).map(policyLine) },
    { title: "Notes", lines: preview.notes.map((note) => line(note)) },
  ];
  return all.filter(({ lines }) => lines.length > 0);
}

function line(text: string): PreviewLine {
  return { text, details: [] };
}

/** The whole preview in one line: `models: 1 changed; containers: 1 replaced; tiny waits about 10 s; no data is lost` */
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
    ...(gaps.every(({ unnoticed }) => unnoticed) && crowded.length === 0 && containers.length > 0
      ? ["nobody waits"]
      : []),
    ...(steps.length > 0 ? ["the database is migrated"] : []),
    ...(lost > 0 ? ["data in memory is lost"] : containers.length > 0 ? ["no data is lost"] : []),
  ].join("; ");
}

function lasting({ aboutSeconds, mostSeconds }: { aboutSeconds?: number; mostSeconds: number }): string {
  return aboutSeconds === undefined ? `at most ${mostSeconds} s` : `about ${aboutSeconds} s`;
}

function modelLine({ model, change, what, fields }: ModelChange): PreviewLine {
  const text = `${change}: ${code(model)}${change === "changed" ? "" : ` (${code(what)})`}`;
  return { text, details: fields.map(fieldLine) };
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

function gapLine(gap: Preview["gaps"][number]): PreviewLine {
  return { text: gap.notice, details: [`${lasting(gap)}: ${gap.source}`] };
}

function containerLine({ container, action, how, copies, reasons }: ContainerChange): PreviewLine {
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
  return {
    text: `${code(container)} ${way}${count}`,
    details: reasons.map(({ input, detail }) => `because of ${input}: ${code(detail)}`),
  };
}

function gpuLine({ device, before, after }: GpuChange): PreviewLine {
  const used = (use: GpuUse | undefined) => (use ? `${use.usedMiB} of ${use.totalMiB} MiB` : "not declared");
  const shares = (use: GpuUse | undefined) => new Map(use?.tenants.map(({ backend, mib }) => [backend, mib]));
  const [a, b] = [shares(before), shares(after)];
  const moved = [...new Set([...a.keys(), ...b.keys()])].filter(
    (backend) => a.get(backend) !== b.get(backend),
  );
  const share = (mib: number | undefined) => (mib === undefined ? "none" : `${mib} MiB`);
  return {
    text: `device ${code(device)}: ${used(before)} → ${used(after)}`,
    details: moved.map((backend) => `${code(backend)}: ${share(a.get(backend))} → ${share(b.get(backend))}`),
  };
}

function downloadLine({ kind, what, bytes, remark }: Download): string {
  const facts = [bytes === undefined ? undefined : size(bytes), remark].filter((fact) => fact !== undefined);
  return `${kind} ${code(what)}: ${facts.join(", ")}`;
}

function secretLine({ name, change, containers }: SecretChange): string {
  return `${code(name)} is ${change}${containers.length > 0 ? `; in the files of ${containers.join(", ")}` : ""}`;
}

function policyLine({
  policy,
  severity,
  reason,
  fix,
  findings,
}: ReturnType<typeof grouped>[number]): PreviewLine {
  return {
    text: severity === "waived" ? `${policy} is waived: ${code(reason ?? "")}` : `${policy} warns: ${fix}`,
    details: findings.map(({ path, what }) => `${code(path)}: ${what}`),
  };
}

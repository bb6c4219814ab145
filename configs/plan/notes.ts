import { gpuNotes } from "../capacity/notes";
import { engineOf, type ModelConfig, wantedSources } from "../engines";
import { unknownFlagNotes } from "../engines/unknownFlags";
import { accessWords } from "../kit/gpus";
import { isOwnImage, ownImageParts } from "../kit/imageRoles";
import { isUnlocked, lacksBuild, resolvedImage } from "../kit/resolved";
import { whyUnresolved } from "../models/lock";
import { recipeNotes } from "../recipes/notes";
import { entriesOfHost } from "../stack/config";
import { instancesOf } from "../stack/instances";
import { imageRolesOf, namedImages } from "../stack/neededImages";
import { isForMany, openedBy } from "../stack/wildcards";
import type { PlanContext } from "./context";
import { isHad, nvidiaDevices } from "./observability/optional";

/** Sentences for the person who runs `up`: what the plan leaves out, and why. */
export function planNotes(context: PlanContext, leftOut: Record<string, string[]>): string[] {
  const { config, resolved } = context;
  const notes: string[] = [];
  for (const name of resolved.offlineModels)
    notes.push(`No model hub answered: ${name} is served by its offlineModel, which has one fixed answer.`);
  for (const [name, secrets] of Object.entries(leftOut))
    notes.push(
      `${name} is optional and left out: ${secrets.join(", ")} ${secrets.length > 1 ? "are" : "is"} not set.`,
    );
  for (const [name, model] of Object.entries(config.models)) {
    if (isForMany(name)) notes.push(openNote(name, model));
    notes.push(...responsesNotes(config, name, model));
    const seen = instancesOf(name, model).flatMap((one) => unknownFlagNotes(name, one.model, config.host));
    notes.push(...new Set(seen));
  }
  for (const source of new Set(wantedSources(entriesOfHost(config)).map(({ source }) => source))) {
    const reason = whyUnresolved(context.lock ?? {}, source);
    if (!reason) continue;
    const download = source.startsWith("hf://")
      ? " It is downloaded as the hub has it when first asked."
      : "";
    notes.push(`${source} is not locked: ${reason}${download}`);
  }
  notes.push(...recipeNotes(config), ...gpuNotes(context.gpus));
  const access = context.target === undefined && config.host.gpuAccess && accessWords(config.host);
  if (access) notes.push(access);
  notes.push(...ownImageNotes(context), ...observabilityNotes(context));
  const foreign = imageRolesOf(config).filter(({ role }) =>
    lacksBuild(resolvedImage(resolved, role)?.bytes, config.host.arch),
  );
  for (const { role, model } of foreign)
    notes.push(
      `The image of ${role} has no build for ${config.host.arch}${model ? `, and the model ${model} needs it` : ""}: \`gpubox up\` refuses it.`,
    );
  const named = namedImages(config);
  const unlocked = imageRolesOf(config).flatMap(({ role, optional }) => {
    const image = resolvedImage(resolved, role);
    const name = isOwnImage(role) ? named.find((one) => one.image === role)!.path : role;
    return isUnlocked(image) && !optional ? [`${name} (${image.reference})`] : [];
  });
  if (unlocked.length > 0)
    notes.push(
      `No digest is locked yet for ${unlocked.join(", ")}: the plan names a tag. \`gpubox up\` locks it where the registry answers.`,
    );
  return notes;
}

/** Of a server with OpenAI's prefix that is not OpenAI's: LiteLLM asks it for a route that few servers have. */
function responsesNotes({ gateway }: PlanContext["config"], name: string, model: ModelConfig): string[] {
  if (gateway.settings.litellm.use_chat_completions_url_for_anthropic_messages === true) return [];
  return instancesOf(name, model).flatMap(({ model: { ...one } }) => {
    if (one.engine !== "cloud" || one.mode !== "chat" || !one.model?.startsWith("openai/")) return [];
    if (one.apiBase === undefined || /\.(openai|azure)\.com$/.test(new URL(one.apiBase).hostname)) return [];
    return [
      `${name}: /v1/messages goes to /v1/responses of ${one.apiBase}. For chat completions write engine: openai with baseUrl, or model: hosted_vllm/….`,
    ];
  });
}

/** What nobody sees in a list of models. */
function openNote(name: string, model: ModelConfig): string {
  const targets = instancesOf(name, model).map(
    (instance) => engineOf(instance.model).route(instance.model, { name }, "").model,
  );
  const begins = openedBy(name) === "" ? "" : `begins with ${openedBy(name)} and `;
  return `${name} opens every name that ${begins}is declared nowhere else: ${targets.join(" and ")} answers, with this entry's key.`;
}

/** Images that entries name themselves, of another version than the one whose flags are known. */
function ownImageNotes({ config }: PlanContext): string[] {
  return namedImages(config).flatMap(({ image, path, model }) => {
    const { release } = engineOf(model);
    // An engine without flags of its own has none that could be unknown.
    if (model.engine === "container" || isVersion(ownImageParts(image).tag, release)) return [];
    const known = release
      ? `gpubox knows those of ${release}`
      : "gpubox knows none of that engine by version";
    return [`Nobody has checked that ${image} (${path}) knows every flag of its entry: ${known}.`];
  });
}

/** True for `v0.33.0` and `0.33.0-cu130` of 0.33.0. */
function isVersion(tag: string, release: string | undefined): boolean {
  const bare = tag.replace(/^v/, "");
  return release !== undefined && bare.startsWith(release) && !/^[\d.]/.test(bare.slice(release.length));
}

/** What the observability section leaves out. */
function observabilityNotes(context: PlanContext): string[] {
  const { host, observability } = context.config;
  if (observability.mode === "none") return [];
  const notes: string[] = [];
  if (!isHad(context, "grafana"))
    notes.push(
      "There are no dashboards: Grafana's image could not be had, and Debian has no package of it. Metrics and alerts are at " +
        `http://127.0.0.1:${observability.prometheusPort}.`,
    );
  if (nvidiaDevices(context).length > 0 && !isHad(context, "dcgm-exporter"))
    notes.push("There are no metrics of the GPUs: the image of NVIDIA's exporter could not be had.");
  for (const [vendor, name] of [
    ["amd", "AMD"],
    ["intel", "Intel"],
  ])
    if (host.gpus.some((gpu) => gpu.vendor === vendor))
      notes.push(`There are no metrics of ${name}'s GPUs: gpubox has no exporter for them.`);
  return notes;
}

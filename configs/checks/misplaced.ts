import type { z } from "zod";
import { engines } from "../engines";
import { nearest, suggestion } from "../kit/problems";
import litellm from "../litellm/keys.json";
import { OWNED_KEYS, REFUSED_KEYS } from "../litellm/modelKeys";
import { OWNED_SETTINGS, type SettingsSection } from "../litellm/owned";
import { sections } from "../stack/config";
import { inOtherWords, plain } from "./otherWords";
import { unwrap } from "./schemaKeys";

const MODEL = "gpubox:models.<model>";

/** Most places that a hint names. */
const MOST = 2;

let known: Map<string, Place[]> | undefined;

/** Each key of the schema, in lower case and without dashes, to its paths, the nearest to the root first. */
export function keyPlaces(): ReadonlyMap<string, Place[]> {
  known ??= index();
  return known;
}

/**
 * What to do about a key that is no setting where it stands: the key beside it that it most likely means, or the place where a
 * key of this name is one.
 *
 * @param root path of the section or of the model that it stands in
 * @param valid keys where it stands
 */
export function misplaced(key: string, root: string, valid: string[]): string {
  const beside = valid.find((one) => plain(one) === plain(key));
  if (beside) return suggestion(key, valid);
  const other = inOtherWords(key, root, valid);
  if (other) return other;
  const elsewhere = whereItIs(key, root);
  if (elsewhere === undefined) return valid.length > 0 ? suggestion(key, valid) : "Leave it out.";
  const near = nearest(key, valid);
  return near ? `Did you mean "${near}"? Or ${elsewhere}` : capital(elsewhere);
}

/** `write it as <path>.`, or what to use in place of a setting of LiteLLM's; undefined for a key that is none anywhere. */
export function whereItIs(key: string, root: string): string | undefined {
  const model = /^gpubox:models\.(.+)$/.exec(root)?.[1];
  const places = (keyPlaces().get(plain(key)) ?? []).map(({ path, of }) => ({
    path: model ? path.replace("<model>", model) : path,
    of,
  }));
  // An instance may say what its entry may: the entry is the place to begin.
  const found = places.filter(
    ({ path }) =>
      !places.some((other) => other.path === path.replace(".instances[]", "") && other.path !== path),
  );
  const here = found.find(({ path, of }) => path === `${root}.${key}` && of.length > 0);
  if (model && here) return `only these engines take it: ${here.of.join(", ")}. Leave it out.`;
  // Of keys that many have, those of the entry itself are meant.
  const own = found.filter(({ path }) => path.startsWith(root));
  const most = (own.length > 0 ? own : found).slice(0, MOST);
  if (most.length > 0) return `write it as ${most.map(named).join(", or as ")}.`;
  return ofLitellm(key, model);
}

/** Engines beyond which the list says less than what they have in common. */
const FEW_ENGINES = 4;

function named({ path, of }: Place): string {
  if (of.length > FEW_ENGINES) return `${path} (a server that the box runs)`;
  return of.length > 0 ? `${path} (engine: ${of.join(", ")})` : path;
}

function ofLitellm(key: string, model: string | undefined): string | undefined {
  const section = (["litellm", "router", "general"] satisfies SettingsSection[]).find(
    (one) => Object.hasOwn(OWNED_SETTINGS[one], key) || litellm[`${one}_settings`].includes(key),
  );
  const place = model && ofModelMaps(snake(key));
  if (place) return place.replace("<model>", model);
  if (!section) return undefined;
  const owner = OWNED_SETTINGS[section][key];
  return owner ? `use ${owner}.` : `write it as gpubox:gateway.settings.${section}.${key}.`;
}

/** Where a key of LiteLLM's for a model has its place: a key of gpubox's own, or one of the two maps. */
function ofModelMaps(key: string): string | undefined {
  for (const map of ["params", "info"] as const) {
    const owner = Object.hasOwn(OWNED_KEYS[map], key) ? OWNED_KEYS[map][key] : undefined;
    if (owner) return `use ${owner}.`;
    if (litellm[map === "params" ? "litellm_params" : "model_info"].includes(key)) {
      const refused = REFUSED_KEYS[map].find(({ keys, when }) => keys.test(key) && !when);
      if (!refused) return `write it as ${MODEL}.${map}.${key}.`;
    }
  }
  return undefined;
}

/** `extraBody` as LiteLLM writes it. */
function snake(key: string): string {
  return key.replaceAll("-", "_").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

interface Place {
  path: string;
  /** Engines whose entries have it; none: it is no key of a model, or one of all engines. */
  of: string[];
}

function index(): Map<string, Place[]> {
  const engineNames = new Map<string, string[]>();
  for (const [name, { schema }] of Object.entries(engines))
    for (const path of pathsIn(schema, MODEL))
      engineNames.set(path, [...(engineNames.get(path) ?? []), name]);
  const all = Object.keys(engines).length;
  const ofModels = [...engineNames].map(([path, of]) => ({ path, of: of.length === all ? [] : of }));
  const ofSections = Object.entries(sections).flatMap(([name, schema]) =>
    pathsIn(schema, `gpubox:${name}`).map((path) => ({ path, of: [] })),
  );
  const found = new Map<string, Place[]>();
  for (const place of [...ofSections, ...ofModels].sort((a, b) => depth(a.path) - depth(b.path))) {
    const key = plain(place.path.slice(place.path.lastIndexOf(".") + 1));
    found.set(key, [...(found.get(key) ?? []), place]);
  }
  return found;
}

/** The paths of every key below a schema; `<name>` stands for the keys of a map, `[]` for the places of a list. */
function pathsIn(schema: z.ZodType, path: string): string[] {
  const inner = unwrap(schema);
  if ("shape" in inner)
    return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([key, below]) => [
      `${path}.${key}`,
      ...pathsIn(below, `${path}.${key}`),
    ]);
  if ("element" in inner) return pathsIn(inner.element as z.ZodType, `${path}[]`);
  if ("valueType" in inner) return pathsIn(inner.valueType as z.ZodType, `${path}.<name>`);
  if (inner.def.type === "union" && "options" in inner)
    return [...new Set((inner.options as z.ZodType[]).flatMap((option) => pathsIn(option, path)))];
  return [];
}

function depth(path: string): number {
  return path.split(".").length;
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

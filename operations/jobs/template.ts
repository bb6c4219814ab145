import type { Problem } from "../../configs/kit/problems";
import { yamlValue } from "../../configs/kit/yamlText";
import { CALLBACK_LISTS, foreignCallbacks } from "../../configs/litellm/callbacks";
import { pointers } from "../../configs/litellm/pointers";
import { steering } from "../../configs/litellm/steering";

type Settings = Record<string, unknown>;

/** A template as LiteLLM's config, or what is wrong with it. `path`: of the key that names it. */
export function parseTemplate(text: string, path: string): { settings: Settings } | { problem: Problem } {
  const read = yamlValue(text);
  if ("flaw" in read)
    return { problem: { path, what: `The template ${read.flaw}.`, fix: "Correct it there." } };
  const { value } = read;
  if (value !== null && value !== undefined && !isSettings(value))
    return {
      problem: {
        path,
        what: "The template is no map of LiteLLM's sections.",
        fix: "Begin with litellm_settings:, router_settings: or general_settings:.",
      },
    };
  return { settings: value ?? {} };
}

/** What would break the isolation of a job, or hold a key in plain text: it never comes from a template. */
const LEFT_OUT: Record<string, string[]> = {
  litellm_settings: ["cache", "cache_params", "redis_url", "redis_host", "redis_port", "redis_password"],
  router_settings: [
    ...["redis_url", "redis_host", "redis_port", "redis_password", "cache_responses"],
    // They name models, and the job's are its own.
    ...["model_group_alias", "fallbacks"],
  ],
  general_settings: ["master_key", "database_url", "database_type", "store_model_in_db"],
};

/** Sections that are the job's alone. */
const OWN_SECTIONS = ["model_list", "environment_variables", "include"];

/** What a template may not say: it is LiteLLM's config as it stands, and the gateway has the job's keys. */
export function checkTemplate(template: Settings, path: string): Problem[] {
  const { kept } = keptOf(template);
  const { litellm_settings: settings } = kept;
  const lists = isSettings(settings) ? CALLBACK_LISTS.filter((list) => Object.hasOwn(settings, list)) : [];
  return [
    ...pointers(kept, path),
    ...steering(kept, path),
    ...lists.flatMap((list) =>
      foreignCallbacks((settings as Settings)[list], `${path}.litellm_settings.${list}`),
    ),
  ];
}

/**
 * A template with a job's own config over it: maps are merged, the job's values win, callbacks of both are called.
 *
 * @returns the config, and a sentence for each thing of the template that was left out
 */
export function mergeTemplate(template: Settings, own: Settings): { config: Settings; notes: string[] } {
  const { kept, notes } = keptOf(template);
  const config = merge(kept, own);
  const callbacks = [...listOf(kept, "callbacks"), ...listOf(own, "callbacks")];
  if (callbacks.length > 0 && isSettings(config.litellm_settings))
    config.litellm_settings.callbacks = [...new Set(callbacks)];
  return { config, notes };
}

/** What of a template counts, and a sentence for each thing that does not. */
function keptOf(template: Settings): { kept: Settings; notes: string[] } {
  const notes: string[] = [];
  const kept: Settings = {};
  for (const [section, value] of Object.entries(template)) {
    if (OWN_SECTIONS.includes(section)) {
      notes.push(`The template's ${section} is left out: ${ownReason(section)}.`);
      continue;
    }
    const left = LEFT_OUT[section] ?? [];
    if (!isSettings(value)) kept[section] = value;
    else {
      const there = Object.keys(value).filter((key) => left.includes(key));
      notes.push(...there.map((key) => `The template's ${section}.${key} is left out: a job has its own.`));
      kept[section] = Object.fromEntries(Object.entries(value).filter(([key]) => !left.includes(key)));
    }
  }
  return { kept, notes };
}

function ownReason(section: string): string {
  return section === "model_list"
    ? "a job has one model, its upstream"
    : section === "include"
      ? "the files would not be there"
      : "variables go into `extra`, where keys are secrets";
}

function merge(under: Settings, over: Settings): Settings {
  const merged = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isSettings(below) && isSettings(value) ? merge(below, value) : value;
  }
  return merged;
}

function listOf({ litellm_settings: settings }: Settings, key: string): unknown[] {
  const value = isSettings(settings) ? settings[key] : undefined;
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function isSettings(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

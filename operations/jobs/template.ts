import { isMap } from "../../configs/kit/maps";
import type { Problem } from "../../configs/kit/problems";
import { yamlValue } from "../../configs/kit/yamlText";
import { CALLBACK_LISTS, foreignCallbacks } from "../../configs/litellm/callbacks";
import { pointers } from "../../configs/litellm/pointers";
import { steering } from "../../configs/litellm/steering";

type Settings = Record<string, unknown>;

/** Parses a template as LiteLLM's config, or reports its mistake. `path`: of the key that names it. */
export function parseTemplate(text: string, path: string): { settings: Settings } | { problem: Problem } {
  const read = yamlValue(text);
  if ("flaw" in read)
    return { problem: { path, what: `The template ${read.flaw}.`, fix: "Correct it there." } };
  const { value } = read;
  if (value !== null && value !== undefined && !isMap(value))
    return {
      problem: {
        path,
        what: "The template is not a map of LiteLLM's sections.",
        fix: "Begin with litellm_settings:, router_settings: or general_settings:.",
      },
    };
  return { settings: value ?? {} };
}

/** Keys that would break a job's isolation or hold a key in plain text. A template never sets them. */
const LEFT_OUT: Record<string, string[]> = {
  litellm_settings: ["cache", "cache_params", "redis_url", "redis_host", "redis_port", "redis_password"],
  router_settings: [
    ...["redis_url", "redis_host", "redis_port", "redis_password", "cache_responses"],
    // They name models, but a job has its own model.
    ...["model_group_alias", "fallbacks"],
  ],
  general_settings: ["master_key", "database_url", "database_type", "store_model_in_db"],
};

/** Sections that only the job sets. */
const OWN_SECTIONS = ["model_list", "environment_variables", "include"];

/** Finds what a template must not set: it is LiteLLM's raw config, and the gateway has the job's keys. */
export function checkTemplate(template: Settings, path: string): Problem[] {
  const { kept } = keptOf(template);
  const { litellm_settings: settings } = kept;
  const lists = isMap(settings) ? CALLBACK_LISTS.filter((list) => Object.hasOwn(settings, list)) : [];
  return [
    ...pointers(kept, path),
    ...steering(kept, path),
    ...lists.flatMap((list) =>
      foreignCallbacks((settings as Settings)[list], `${path}.litellm_settings.${list}`),
    ),
  ];
}

/**
 * Merges a job's own config over a template: maps are merged, the job's values win, and callbacks of both are called.
 *
 * @returns the config, and a sentence for each part of the template that was left out
 */
export function mergeTemplate(template: Settings, own: Settings): { config: Settings; notes: string[] } {
  const { kept, notes } = keptOf(template);
  const config = merge(kept, own);
  const callbacks = [...listOf(kept, "callbacks"), ...listOf(own, "callbacks")];
  if (callbacks.length > 0 && isMap(config.litellm_settings))
    config.litellm_settings.callbacks = [...new Set(callbacks)];
  return { config, notes };
}

/** The usable part of a template, and a sentence for each other part. */
function keptOf(template: Settings): { kept: Settings; notes: string[] } {
  const notes: string[] = [];
  const kept: Settings = {};
  for (const [section, value] of Object.entries(template)) {
    if (OWN_SECTIONS.includes(section)) {
      notes.push(`The template's ${section} is left out: ${ownReason(section)}.`);
      continue;
    }
    const left = LEFT_OUT[section] ?? [];
    if (!isMap(value)) kept[section] = value;
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
      ? "the files would be missing"
      : "put variables into `extra`, where keys are secrets";
}

function merge(under: Settings, over: Settings): Settings {
  const merged = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isMap(below) && isMap(value) ? merge(below, value) : value;
  }
  return merged;
}

function listOf({ litellm_settings: settings }: Settings, key: string): unknown[] {
  const value = isMap(settings) ? settings[key] : undefined;
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

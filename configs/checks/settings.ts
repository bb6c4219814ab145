import { isMap } from "../kit/maps";
import { nearest, type Problem } from "../kit/problems";
import {
  CALLBACK_LISTS,
  CALLBACK_VARIABLES,
  callbacksIn,
  foreignCallbacks,
  isSecretVariable,
  MODULE_LISTS,
} from "../litellm/callbacks";
import { DANGERS } from "../litellm/dangers";
import { IGNORED_KEYS } from "../litellm/ignoredKeys";
import known from "../litellm/keys.json";
import { OWNED_SETTINGS, OWNED_VARIABLES, type SettingsSection } from "../litellm/owned";
import { sectionElsewhere } from "../litellm/sections";
import { loads, steering } from "../litellm/steering";
import { urlProblems } from "../network/url";
import type { StackConfig } from "../stack/config";
import { modulesOf } from "../stack/modules";

const SECTIONS: readonly SettingsSection[] = ["litellm", "router", "general"];

/** Mistakes in the settings passed through to LiteLLM, which accepts unknown keys silently. */
export function checkSettings(config: StackConfig): Problem[] {
  return [
    ...SECTIONS.flatMap((section) =>
      Object.entries(config.gateway.settings[section]).flatMap(([key, value]) =>
        checkSetting(config, section, key, value),
      ),
    ),
    ...checkCallbacks(config),
  ];
}

function checkSetting(config: StackConfig, section: SettingsSection, key: string, value: unknown): Problem[] {
  const path = `gpubox:gateway.settings.${section}.${key}`;
  if (Object.hasOwn(OWNED_SETTINGS[section], key)) return [owned(path, key, OWNED_SETTINGS[section][key]!)];
  const found = deadOrDangerous(config, section, key, value, path);
  if (found) return [found];
  const steered = steering(value, path, key);
  if (steered.length > 0) return steered;
  const place = sectionElsewhere(key);
  if (place) return [{ path, ...place }];
  return knownIn(section).includes(key) ? checkValues(value, path, key) : [unknown(section, key, path)];
}

/** Settings with addresses that browsers ask, or that are compared with theirs. */
const OF_BROWSERS = /origin|redirect|logo|favicon|logout|docs|proxy_base_url/i;

/** Addresses that no gateway reaches, and secrets, which LiteLLM would get as the word that names them. */
function checkValues(value: unknown, path: string, key: string): Problem[] {
  if (typeof value === "string") return OF_BROWSERS.test(key) ? [] : addressProblems(value, path);
  if (Array.isArray(value))
    return value.flatMap((inner, index) => checkValues(inner, `${path}[${index}]`, key));
  if (!isMap(value)) return [];
  if (typeof value.secret === "string" && Object.keys(value).length === 1)
    return [
      {
        path,
        what: "LiteLLM's settings take no secrets: it would get the name.",
        fix: "Leave it out, and where LiteLLM reads a variable for it too, write that into gpubox:gateway.env: { NAME: { secret: <its name> } }.",
      },
    ];
  return Object.entries(value).flatMap(([name, inner]) => checkValues(inner, `${path}.${name}`, name));
}

function owned(path: string, key: string, use: string): Problem {
  return { path, what: `${key} is set by gpubox.`, fix: `Use ${use}.` };
}

function deadOrDangerous(
  config: StackConfig,
  section: SettingsSection | "env",
  key: string,
  value: unknown,
  path: string,
): Problem | undefined {
  const dead = IGNORED_KEYS.find((row) => row.sections.includes(section) && row.key === key.toLowerCase());
  if (dead) return { path, what: `${key} does nothing: ${dead.why}.`, fix: `Use ${dead.use}.` };
  const danger = DANGERS.find((row) => row.section === section && row.key === key && row.when(value, config));
  return danger && { path, what: danger.why, fix: danger.fix };
}

/** The keys of one of LiteLLM's sections, as the pinned version reads them. */
export function knownIn(section: SettingsSection): string[] {
  return known[`${section}_settings`];
}

function unknown(section: SettingsSection, key: string, path: string): Problem {
  const what = `LiteLLM ${known.version} has no setting "${key}" in ${section}_settings.`;
  const elsewhere = SECTIONS.find((other) => other !== section && knownIn(other).includes(key));
  if (elsewhere) return { path, what, fix: `It belongs under gpubox:gateway.settings.${elsewhere}.` };
  const near = nearest(key, [...knownIn(section), ...Object.keys(OWNED_SETTINGS[section])]);
  const instead = near && OWNED_SETTINGS[section][near];
  if (instead) return { path, what, fix: `Did you mean "${near}"? Use ${instead}.` };
  return { path, what, fix: near ? `Did you mean "${near}"?` : "Remove it." };
}

/** Mistakes in the variables of the gateways' environment. */
export function checkEnvironment(config: StackConfig): Problem[] {
  return Object.entries(config.gateway.env).flatMap(([name, value]) => {
    const path = `gpubox:gateway.env.${name}`;
    if (Object.hasOwn(OWNED_VARIABLES, name)) return [owned(path, name, OWNED_VARIABLES[name]!)];
    const found = deadOrDangerous(config, "env", name, value, path) ?? steeringVariable(name, value, path);
    if (found) return [found];
    const address = addressProblems(value, path);
    if (address.length > 0) return address;
    if (typeof value === "string" && isSecretVariable(name))
      return [
        {
          path,
          what: "The value would stand in plaintext.",
          fix: "Put it into a secret and write { secret: <its name> }.",
        },
      ];
    return [];
  });
}

/** Mistakes in a variable of a gateway or job that is an address: of a callback's server, or of a proxy. */
export function addressProblems(value: unknown, path: string): Problem[] {
  if (typeof value !== "string" || !/^https?:\/\//i.test(value)) return [];
  return urlProblems(value, path, {
    kind: "whole",
    gateway: true,
    login: "Put the whole address into a secret and write { secret: <its name> }.",
  });
}

/** Why a variable is refused in the environment of a gateway or job: it would bypass the router. */
export function steeringVariable(name: string, value: unknown, path: string): Problem | undefined {
  const [found] = steering(value, path, name);
  if (found) return found;
  const loader = loads(name);
  if (loader) return { path, ...loader };
  if (!known.address_variables.includes(name)) return undefined;
  return {
    path,
    what: `${name} decides where requests of models go that have no address of their own, and a preview would not show it.`,
    fix: "Write apiBase or baseUrl of the model.",
  };
}

function variablesOf(callback: unknown): string[] {
  if (typeof callback !== "string" || !Object.hasOwn(CALLBACK_VARIABLES, callback)) return [];
  return CALLBACK_VARIABLES[callback]!;
}

/** Of these lists LiteLLM takes a text letter by letter. */
const ONLY_LISTS = ["success_callback", "failure_callback", "audit_log_callbacks"];

function spelled(list: string, callbacks: unknown, path: string): Problem[] {
  if (typeof callbacks !== "string" || !ONLY_LISTS.includes(list)) return [];
  return [
    {
      path,
      what: "LiteLLM takes a single text here as a list of its letters, and calls nothing.",
      fix: `Write a list: [${callbacks}].`,
    },
  ];
}

/** Unknown callbacks, and callbacks without their key, which would fail only at the first request. */
function checkCallbacks(config: StackConfig): Problem[] {
  const { gateway } = config;
  return CALLBACK_LISTS.flatMap((list) => {
    const callbacks = gateway.settings.litellm[list];
    const path = `gpubox:gateway.settings.litellm.${list}`;
    const unset = callbacksIn(callbacks).flatMap((name) => {
      const needed = variablesOf(name);
      return needed
        .filter((variable) => !Object.hasOwn(gateway.env, variable))
        .map((variable) => ({
          path,
          what: `The callback ${name} needs ${variable}.`,
          fix: isSecretVariable(variable)
            ? `Set a secret and write it into gpubox:gateway.env: ${variable}: { secret: <its name> }.`
            : `Write it into gpubox:gateway.env.`,
        }));
    });
    const modules = MODULE_LISTS.includes(list) ? modulesOf(config) : undefined;
    return [...foreignCallbacks(callbacks, path, modules), ...spelled(list, callbacks, path), ...unset];
  });
}

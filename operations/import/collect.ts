import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseEnv } from "node:util";
import { UserError } from "../../platform/process";
import { readText } from "../../platform/userFiles";
import type { Variables } from "./values";
import { type YamlSource, yamlSource } from "./yamlSource";

export const KINDS = ["litellm", "compose", "docker", "llama-swap", "ollama", "hub"] as const;
export type Kind = (typeof KINDS)[number];

/** A file that was read as YAML. */
export interface FileSource extends YamlSource {
  file: string;
  path: string;
}

/** What a path on this machine, or an address, is a source of. */
export function kindOf(source: string, forced: Kind | undefined): Kind {
  if (forced) return forced;
  if (source === "docker" && !existsSync(source)) return "docker";
  if (/^(unix|ssh|tcp):\/\//.test(source)) return "docker";
  if (/^https?:\/\//.test(source)) return "ollama";
  if (isFolder(source)) return kindOfFolder(source);
  const value = yamlFile(source).value;
  const has = (key: string) => typeof value === "object" && value !== null && key in value;
  if (has("services") || has("include")) return has("model_list") ? "litellm" : "compose";
  if (["model_list", "litellm_settings", "router_settings", "general_settings"].some(has)) return "litellm";
  if (has("models")) return "llama-swap";
  throw new UserError(
    `${source} is none of the files that gpubox can import.`,
    `Name a LiteLLM config, a compose file or llama-swap's config, or say what it is: --from ${KINDS.join("|")}.`,
  );
}

function kindOfFolder(folder: string): Kind {
  const names = entries(folder);
  if (names.includes("manifests")) return "ollama";
  if (names.some((name) => name.startsWith("models--"))) return "hub";
  throw new UserError(
    `${folder} is neither Ollama's models nor a hub's cache: it has no manifests and no models--owner--repo.`,
    "Name the folder itself: ~/.ollama/models, or ~/.cache/huggingface/hub.",
  );
}

/** The names in a folder. @throws UserError for one that cannot be read */
export function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    throw new UserError(
      `${folder} cannot be read (${code}).`,
      "Run the import as a user who may read it, or on the host itself.",
    );
  }
}

export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    throw new UserError(`${path} cannot be read (${code}).`, "Check whether it exists, and who may read it.");
  }
}

/** @param python whether the program that the file is for is one */
export function yamlFile(path: string, python = false): FileSource {
  const file = basename(path);
  return { ...yamlSource(file, readText(path), python), file, path };
}

/** The variables that a program in a file's folder would see: those of `.env`, then those of this process. */
export function variablesBeside(path: string): Variables {
  const file = join(dirname(path), ".env");
  const own = existsSync(file) ? Object.entries(parseEnv(readText(file))) : [];
  const mine = Object.entries(process.env);
  return new Map([...own, ...mine].flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

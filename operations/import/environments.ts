import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import { z } from "zod";
import { readText } from "../../platform/userFiles";
import type { Input } from "./input";

const list = z.array(z.union([z.string(), z.number()]).transform(String));
const files = z.array(
  z.union([z.string(), z.looseObject({ path: z.string() }).transform(({ path }) => path)]),
);

/**
 * A service whose `environment` is a map, with the variables of its env files, over which its own count.
 *
 * @param folder of the compose file
 */
export function withEnvironment(service: Input, folder: string): Input {
  const named = service.at("env_file");
  const paths = files.safeParse([named?.value ?? []].flat()).data ?? [];
  const present = paths.map((path) => resolve(folder, path)).filter((path) => existsSync(path));
  if (named && present.length === paths.length) named.carry("gpubox");
  else named?.lose("it is not there");
  const own = service.at("environment");
  if (!own && present.length === 0) return service;
  const read = Object.assign({}, ...present.map((path) => parseEnv(readText(path))));
  const environment = { ...read, ...mapOf(own) };
  return service.as({ ...(service.value as object), environment });
}

/** Both forms of `environment` as a map. A variable without a value is one of the shell. */
function mapOf(environment: Input | undefined): Record<string, unknown> {
  const words = environment?.read(list);
  if (!words) return (environment?.value ?? {}) as Record<string, unknown>;
  return Object.fromEntries(
    words.map((word) => {
      const end = word.indexOf("=");
      return end < 0 ? [word, null] : [word.slice(0, end), word.slice(end + 1)];
    }),
  );
}

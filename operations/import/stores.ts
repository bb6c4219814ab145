import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { z } from "zod";
import { UserError } from "../../platform/process";
import { within } from "../../platform/within";
import { entries, isFolder } from "./collect";

/** A repository in a hub's cache. */
export interface CachedRepository {
  /** `owner/name`. */
  repo: string;
  /** The commit that `main` is, or the only one there. */
  revision: string;
  /** Directory of that commit's files. */
  snapshot: string;
  /** Paths below it. */
  files: string[];
}

/** The model repositories in a hub's cache directory. @throws UserError for what cannot be read */
export function cachedRepositories(folder: string): CachedRepository[] {
  return entries(folder)
    .filter((name) => name.startsWith("models--"))
    .flatMap((name) => {
      const root = join(folder, name);
      const snapshots = join(root, "snapshots");
      if (!existsSync(snapshots)) return [];
      const main = join(root, "refs", "main");
      const revision = existsSync(main) ? readFileSync(main, "utf8").trim() : entries(snapshots).at(-1);
      const snapshot = revision && join(snapshots, revision);
      if (!snapshot || !existsSync(snapshot)) return [];
      return [
        {
          repo: name.slice("models--".length).replace("--", "/"),
          revision,
          snapshot,
          files: below(snapshot),
        },
      ];
    });
}

function below(folder: string, root = folder): string[] {
  return entries(folder).flatMap((name) => {
    const path = join(folder, name);
    // A link into the store whose file is gone, after a download that was cut.
    if (!existsSync(path)) return [];
    return isFolder(path) ? below(path, root) : [relative(root, path)];
  });
}

/** Names and tags of the models in Ollama's directory. @throws UserError for what cannot be read */
export function ollamaModels(folder: string): string[] {
  const root = join(folder, "manifests");
  return below(root).flatMap((path) => {
    const parts = path.split("/");
    const tag = parts.pop();
    const [registry, ...name] = parts;
    if (!registry || !tag || name.length === 0) return [];
    const own = registry === "registry.ollama.ai";
    const words = own ? (name[0] === "library" ? name.slice(1) : name) : [registry, ...name];
    return [`${words.join("/")}:${tag}`];
  });
}

const Tags = z.object({ models: z.array(z.object({ name: z.string() })) });

/** Names and tags of the models of a running Ollama. @throws UserError when it does not list them */
export async function ollamaTags(url: string): Promise<string[]> {
  const address = `${url.replace(/\/+$/, "").replace(/\/v1$/, "")}/api/tags`;
  const asked = within(10_000, (signal) => fetch(address, { signal, redirect: "manual" }));
  const response = await asked.catch(() => undefined);
  const found = response?.ok ? Tags.safeParse(await response.json().catch(() => undefined)).data : undefined;
  if (found) return found.models.map(({ name }) => name).sort();
  throw new UserError(`${address} does not list models.`, "Name the address of an Ollama server that runs.");
}

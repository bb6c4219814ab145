import { modelSlug } from "../../configs/stack/instances";
import type { Draft, Entry } from "./draft";
import { giveGpus, type HostGpus } from "./gpus";
import { Input } from "./input";
import type { Ledger } from "./ledger";
import type { CachedRepository } from "./stores";

const ONE_RUNS = "A store says what is there, not what runs: only the first of its models starts by itself.";

/** Makes an entry of each model of an Ollama. @param directory where they lie on the host; absent: only its server is known */
export function readOllama(
  names: string[],
  directory: string | undefined,
  draft: Draft,
  host: HostGpus,
): Ledger {
  const { input, ledger } = Input.open({ models: Object.fromEntries(names.map((name) => [name, name])) });
  for (const name of names) {
    const short = name.replace(/:latest$/, "");
    add(draft, short, { engine: "ollama", model: name, ...embeds(name) }, host);
    draft.routes.push({ name: short, old: `ollama ${name}` });
    input.at("models", name)!.carry(`gpubox:models.${short}.model`);
  }
  if (directory) draft.weights.push({ from: directory, to: "ollama", links: false });
  if (draft.containers.length === 0) draft.oldPort ??= 11434;
  return ledger;
}

/** Makes an entry of each repository in a hub's cache: a GGUF for llama.cpp, safetensors for vLLM. */
export function readHub(repositories: CachedRepository[], draft: Draft, host: HostGpus): Ledger {
  const { input, ledger } = Input.open(
    Object.fromEntries(
      repositories.map(({ repo, files }) => [repo, Object.fromEntries(files.map((file) => [file, true]))]),
    ),
  );
  for (const { repo, revision, snapshot, files } of repositories) {
    const place = input.at(repo)!;
    const source = `hf://${repo}@${revision}`;
    const base = repo.slice(repo.indexOf("/") + 1);
    const ggufs = files.filter((file) => /\.gguf$/i.test(file) && !/mmproj/i.test(file)).filter(isFirstShard);
    const projector = files.find((file) => /mmproj.*\.gguf$/i.test(file));
    for (const file of ggufs) {
      const name =
        ggufs.length === 1 ? modelSlug(base.replace(/-gguf$/i, "")) : modelSlug(file.replace(/\.gguf$/i, ""));
      add(
        draft,
        name,
        {
          engine: "llamacpp",
          model: `${source}/${file}`,
          ...(projector ? { mmproj: `${source}/${projector}` } : {}),
        },
        host,
      );
      place.carry(`gpubox:models.${name}.model`);
    }
    if (
      ggufs.length === 0 &&
      files.some((file) => file.endsWith(".safetensors")) &&
      files.includes("config.json")
    ) {
      const name = modelSlug(base);
      add(draft, name, { engine: "vllm", model: source, ...embeds(base) }, host);
      draft.remark(
        `gpubox:models.${name}.engine`,
        "A cache does not say what served it; sglang reads the same files.",
      );
      place.carry(`gpubox:models.${name}.model`);
    }
    if (Object.values(draft.models).some(({ model }) => String(model).startsWith(source)))
      draft.weights.push({ from: snapshot, to: `hf/${repo}/${revision}`, links: true });
    else place.lose("no entry was made: it has neither a GGUF nor safetensors with a config.json");
  }
  return ledger;
}

/** Pins entries to the commits of their repositories that a cache of the host has, so that nothing is downloaded again. */
export function pinToCache(repositories: CachedRepository[], draft: Draft): void {
  for (const [name, entry] of Object.entries(draft.models))
    for (const [key, value] of Object.entries(entry)) {
      if (typeof value !== "string") continue;
      const [, repo, commit, rest = ""] = /^hf:\/\/([^/@]+\/[^/@]+)(?:@([^/]+))?(\/.*)?$/.exec(value) ?? [];
      const held = repositories.find((one) => one.repo === repo);
      if (!held || (commit !== undefined && commit !== held.revision)) continue;
      if (commit === undefined)
        draft.remark(`gpubox:models.${name}.${key}`, "The commit that the host has already.");
      entry[key] = `hf://${repo}@${held.revision}${rest}`;
      const to = `hf/${repo}/${held.revision}`;
      if (!draft.weights.some((one) => one.to === to))
        draft.weights.push({ from: held.snapshot, to, links: true });
    }
}

function add(draft: Draft, name: string, entry: Entry, host: HostGpus): void {
  const first = Object.keys(draft.models).length === 0;
  draft.models[name] = { ...entry, ...(first ? {} : { start: "manual" }) };
  if (!first) draft.remark("gpubox:models", ONE_RUNS);
  if (host) giveGpus(draft.models[name], { count: 1 }, draft, host, `gpubox:models.${name}`);
}

function embeds(name: string): Entry {
  return /embed|bge-|(^|\/|-)e5-|gte-/i.test(name) ? { mode: "embedding" } : {};
}

function isFirstShard(file: string): boolean {
  return !/-\d{5}-of-\d{5}\.gguf$/i.test(file) || /-00001-of-\d{5}\.gguf$/i.test(file);
}

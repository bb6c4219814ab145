import type { StackConfig } from "../../configs/stack/config";
import { type Kind, kindOf, variablesBeside, yamlFile } from "./collect";
import { Draft } from "./draft";
import { Input } from "./input";
import { type Ledger, type Loss, pathText } from "./ledger";
import { readLitellm } from "./litellm";
import { type Route, routesOf } from "./routes";
import { settle } from "./settle";
import { type Kept, stackFile, type Untold } from "./stackFile";
import { giveOtherPorts, switchPlan } from "./switchPlan";

/** One thing that was read, with its account. */
export interface Account {
  /** As people call it: a file's name, `docker`. */
  name: string;
  ledger: Ledger;
  /** The place of a value, for what has lines. Default: the source's name. */
  place?: Place;
}

type Place = (path: Loss["path"]) => string;

export interface Imported {
  /** Text of the stack file, without any secret. */
  text: string;
  config: StackConfig;
  routes: Route[];
  untold: Untold[];
  /** Steps from the old setup to the new one. */
  steps: string[];
  /** Values of secrets that the sources have, by the secret's name. Never printed. */
  secrets: Record<string, string>;
  /** Secrets that the stack names and nothing here has, with where the old setup had them. */
  missing: Record<string, string>;
}

/**
 * Reads sources into the text of a stack file. Writes nothing, and starts and stops nothing.
 *
 * @throws UserError for a source that cannot be read or understood, with file, line and column
 */
export async function importStack(
  sources: string[],
  { stack, from, kept }: { stack: string; from?: Kind; kept?: Kept },
): Promise<Imported> {
  const draft = new Draft();
  const accounts: Account[] = [];
  for (const source of sources) accounts.push(...(await READERS[kindOf(source, from)](source, draft)));
  return finish(draft, accounts, stack, kept);
}

/** Makes the stack file of a draft: what gpubox refuses is taken out and told. */
export function finish(draft: Draft, accounts: Account[], stack: string, kept?: Kept): Imported {
  giveOtherPorts(draft);
  const ledgers = accounts.map(({ ledger }) => ledger);
  const config = settle(draft, ledgers, stack);
  const untold = accounts.flatMap(({ name, ledger, place = () => name }) =>
    ledger.losses().map(({ path, why, home }) => ({ what: `${place(path)} ${pathText(path)}`, why, home })),
  );
  const secrets = [...draft.secrets];
  return {
    text: stackFile(
      draft,
      untold,
      accounts.map(({ name }) => name),
      kept,
    ),
    config,
    routes: routesOf(draft, config),
    untold,
    steps: switchPlan(draft, config, stack),
    secrets: Object.fromEntries(
      secrets.flatMap(([name, { value }]) => (value === undefined ? [] : [[name, value]])),
    ),
    missing: Object.fromEntries(
      secrets.flatMap(([name, { value, from }]) => (value === undefined ? [[name, from]] : [])),
    ),
  };
}

type Reader = (source: string, draft: Draft) => Promise<Account[]> | Account[];

const READERS: Record<Kind, Reader> = {
  litellm(source, draft) {
    const { file, value, place } = yamlFile(source, true);
    const { input, ledger } = Input.open(value);
    readLitellm(input, draft, variablesBeside(source));
    return [{ name: file, ledger, place }];
  },
  compose: () => [],
  docker: () => [],
  "llama-swap": () => [],
  ollama: () => [],
  hub: () => [],
};

import { below } from "./ledger";

/** A model's entry as it will stand in the stack file. */
export type Entry = Record<string, unknown>;

/** A secret that the stack needs, by its name in the stack. */
export interface DraftSecret {
  /** Where the source has it, without its value: `os.environ/OPENAI_API_KEY`, or a path. */
  from: string;
  /** Absent where the source only names it. Never printed. */
  value?: string;
}

/** How clients reached a model before, and how they will. */
export interface RouteRow {
  name: string;
  old: string;
  /** Why it did not come over. */
  lost?: string;
}

/** Weights that the host has already, and where gpubox looks for them. */
export interface HeldWeights {
  /** Directory on the host. */
  from: string;
  /** Below gpubox's model directory. */
  to: string;
  /** True where the files are links into a store of their own. */
  links: boolean;
}

/** A container of the old setup. */
export interface OldContainer {
  /** Its own name, or that of its service. */
  name: string;
  /** The compose file that has the service, where the container's own name is Compose's choice. */
  file?: string;
  /** The model that it serves; undefined for the gateway. */
  model?: string;
}

/** A stack file in the making. */
export class Draft {
  readonly models: Record<string, Entry> = {};
  /** Sections of the stack config, without their prefix. */
  readonly sections: Record<string, Record<string, unknown>> = {};
  readonly secrets = new Map<string, DraftSecret>();
  /** Key of the stack config to what a reader should know of it. */
  readonly remarks = new Map<string, string[]>();
  readonly routes: RouteRow[] = [];
  readonly weights: HeldWeights[] = [];
  /** Containers of the old setup that hold a GPU or the port of clients. */
  readonly containers: OldContainer[] = [];
  /** Port that clients of the old gateway use; undefined where the source does not say. */
  oldPort: number | undefined;
  /** Address of the Docker engine that they run on; undefined for this machine's usual one. */
  engine: string | undefined;

  /** Writes a key of a section. @returns its path in the stack config */
  set(section: string, keys: string[], value: unknown): string {
    this.sections[section] ??= {};
    let map = this.sections[section];
    for (const key of keys.slice(0, -1)) {
      map[key] ??= {};
      map = map[key] as Record<string, unknown>;
    }
    // The source keeps its own copy: its account is of what it said.
    map[keys.at(-1)!] = structuredClone(value);
    return below(`gpubox:${section}`, keys);
  }

  /** The entry that answers to a name, by its own or by an alias. */
  holderOf(name: string): { name: string; entry: Entry } | undefined {
    const aliased = Object.entries(this.models).find(([, { aliases = [] }]) =>
      (aliases as string[]).includes(name),
    );
    const [own, entry] = this.models[name] ? [name, this.models[name]] : (aliased ?? []);
    return own === undefined || entry === undefined ? undefined : { name: own, entry };
  }

  remark(to: string, text: string): void {
    const said = this.remarks.get(to) ?? [];
    if (!said.includes(text)) this.remarks.set(to, [...said, text]);
  }

  /** Names a secret that has a value or a source of its own; the same source or value has the same name. */
  secret(wanted: string, found: DraftSecret): { secret: string } {
    const known = [...this.secrets].find(
      ([name, { from, value }]) =>
        !OWN_SECRETS.includes(name) &&
        (from === found.from || (value !== undefined && value === found.value)),
    );
    if (known) return { secret: this.own(known[0], { ...found, from: known[1].from }) };
    const base = secretName(wanted);
    let name = base;
    for (let count = 2; this.secrets.has(name); count++) name = `${base}${count}`;
    return { secret: this.own(name, found) };
  }

  /** A secret of this very name. A value stays. @returns the name */
  own(name: string, { from, value }: DraftSecret): string {
    const held = this.secrets.get(name)?.value ?? (value || undefined);
    this.secrets.set(name, { from, ...(held === undefined ? {} : { value: held }) });
    return name;
  }

  /** A text without the value of any secret. */
  masked(text: string): string {
    let safe = text;
    for (const { value } of this.secrets.values())
      if (value && value.length > 3) safe = safe.replaceAll(value, "[secret]");
    return safe;
  }
}

/** Secrets that have one meaning in every stack, and are no model's key. */
export const OWN_SECRETS = ["masterKey", "hfToken"];

const OWN_VARIABLE = /^GPUBOX_SECRET_([A-Za-z][A-Za-z0-9]*)$/;

/** The name of a secret in the stack, from a variable's name or any text: `OPENAI_API_KEY` is `openaiApiKey`. */
export function secretName(text: string): string {
  const own = OWN_VARIABLE.exec(text)?.[1];
  if (own) return own;
  const words = text.split(/[^A-Za-z0-9]+/).filter(Boolean);
  const name = words
    .map((word) => (/[a-z]/.test(word) ? word : word.toLowerCase()))
    .map((word, index) => (index === 0 ? lowered(word) : word[0]!.toUpperCase() + word.slice(1)))
    .join("");
  return /^[A-Za-z]/.test(name) ? name : `key${name}`;
}

function lowered(word: string): string {
  return word[0]!.toLowerCase() + word.slice(1);
}

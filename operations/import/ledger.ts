/** One step down a document: a key of a map, or a place in a list. */
export type Step = string | number;
export type Path = readonly Step[];

/** What became of one value of a source. */
export type Fate = { to: string } | { why: string };

/** Values of a source that no key of the stack file holds, by the highest place that has nothing but such values. */
export interface Loss {
  path: Path;
  why: string;
  /** Key of the stack config beside which a reader looks for it; absent: none. */
  home?: string;
}

const NO_KEY = "gpubox has no key for it";

const EMPTY = "it is empty";

/**
 * Keeps account of a source: every value in it is either in the stack config, or is listed with the reason. A value that
 * nobody looked at counts as lost, so that nothing can be forgotten.
 */
export class Ledger {
  private readonly fates = new Map<string, Fate>();
  private readonly homes = new Map<string, string>();

  constructor(private root: unknown) {}

  /** Puts another form of the same data in a value's place: the words of a command by flag, a list of variables by name. */
  replace(path: Path, value: unknown): void {
    if (path.length === 0) this.root = value;
    else this.root = withValue(this.root, path, value);
  }

  /** Records every value at and below `path` as held by a key of the stack config. `spread`: each by a key of its own below it. */
  carry(path: Path, to: string, spread = false): void {
    for (const leaf of this.leaves(path))
      this.fates.set(keyOf(leaf), { to: spread ? below(to, leaf.slice(path.length)) : to });
  }

  /** True while no value at or below `path` has a fate. */
  untouched(path: Path): boolean {
    return [...this.leaves(path)].every((leaf) => !this.fates.has(keyOf(leaf)));
  }

  /** Records every value at and below `path` that has no fate yet as lost. */
  lose(path: Path, why: string): void {
    for (const leaf of this.leaves(path))
      if (!this.fates.has(keyOf(leaf))) this.fates.set(keyOf(leaf), { why });
  }

  /** Records every value at and below `path` as lost, whatever its fate was. */
  drop(path: Path, why: string): void {
    for (const leaf of this.leaves(path)) this.fates.set(keyOf(leaf), { why });
  }

  /** Says that what of `path` went to the key `before`, or below it, is under the key `after`. */
  move(path: Path, before: string, after: string): void {
    for (const leaf of this.leaves(path)) {
      const fate = this.fates.get(keyOf(leaf));
      if (fate && "to" in fate && isBelow(fate.to, before))
        this.fates.set(keyOf(leaf), { to: after + fate.to.slice(before.length) });
    }
  }

  /** Says beside which key of the stack config the losses at and below `path` are told. */
  house(path: Path, home: string): void {
    this.homes.set(keyOf(path), home);
  }

  /**
   * Takes a key of the stack config away again, which gpubox refuses: what went there is lost. Where none of the sources has a value
   * that went there, those that went to a key around it made it.
   */
  static refuse(ledgers: Ledger[], to: string, why: string): void {
    const held = ledgers.flatMap(({ fates }) =>
      [...fates].flatMap(([key, fate]) => ("to" in fate ? [{ fates, key, to: fate.to }] : [])),
    );
    const inside = held.filter((one) => isBelow(one.to, to));
    const around = held.filter((one) => isBelow(to, one.to));
    for (const { fates, key } of inside.length > 0 ? inside : around) fates.set(key, { why });
  }

  /** Says that a list of the stack config has one place less: what was behind it moves up. */
  moveUp(list: string, gone: number): void {
    for (const [key, fate] of this.fates) {
      const [, place, rest = ""] =
        "to" in fate && fate.to.startsWith(`${list}[`)
          ? (/^\[(\d+)\](.*)$/.exec(fate.to.slice(list.length)) ?? [])
          : [];
      if (Number(place) > gone) this.fates.set(key, { to: `${list}[${Number(place) - 1}]${rest}` });
    }
  }

  /** What is lost, as few places as possible. */
  losses(): Loss[] {
    const found: Loss[] = [];
    const visit = (value: unknown, path: Path): void => {
      const whys = new Set(
        [...leavesOf(value, path)].map((leaf) => {
          const fate = this.fates.get(keyOf(leaf)) ?? {
            why: isEmpty(valueAt(this.root, leaf)) ? EMPTY : NO_KEY,
          };
          return "why" in fate ? fate.why : undefined;
        }),
      );
      const [why] = whys;
      if (whys.size === 1 && why !== undefined && path.length > 0)
        found.push({ path, why, home: this.homeOf(path) });
      else if (!(whys.size === 1 && why === undefined))
        for (const [step, inner] of childrenOf(value)) visit(inner, [...path, step]);
    };
    visit(this.root, []);
    return found;
  }

  private homeOf(path: Path): string | undefined {
    for (let length = path.length; length > 0; length--) {
      const home = this.homes.get(keyOf(path.slice(0, length)));
      if (home !== undefined) return home;
    }
    return undefined;
  }

  private leaves(path: Path): Iterable<Path> {
    return leavesOf(valueAt(this.root, path), path);
  }
}

/** A path as people read it: `model_list[0].litellm_params.model`. */
export function pathText(path: Path): string {
  return below("", path).replace(/^\./, "");
}

/** A key of the stack config below another. */
export function below(to: string, path: Path): string {
  return path.reduce<string>(
    (text, step) => text + (typeof step === "number" ? `[${step}]` : `.${step}`),
    to,
  );
}

/** True when `inner` is the key `outer`, or one below it. */
export function isBelow(inner: string, outer: string): boolean {
  return inner === outer || (inner.startsWith(outer) && [".", "["].includes(inner[outer.length] ?? ""));
}

export function childrenOf(value: unknown): [Step, unknown][] {
  if (Array.isArray(value)) return value.map((inner, index) => [index, inner]);
  if (typeof value === "object" && value !== null) return Object.entries(value);
  return [];
}

/** Values that hold no others: also a map or list without entries. */
function* leavesOf(value: unknown, path: Path): Iterable<Path> {
  const children = childrenOf(value);
  if (children.length === 0) {
    if (value !== undefined) yield path;
  } else for (const [step, inner] of children) yield* leavesOf(inner, [...path, step]);
}

function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === "object" && childrenOf(value).length === 0);
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<Step, unknown> | undefined)?.[step], root);
}

function withValue(root: unknown, [step, ...rest]: Path, value: unknown): unknown {
  const inner = rest.length === 0 ? value : withValue((root as Record<Step, unknown>)[step!], rest, value);
  if (Array.isArray(root)) return root.map((old, index) => (index === step ? inner : old));
  return { ...(root as Record<Step, unknown>), [step!]: inner };
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

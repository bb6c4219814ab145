import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { packageDir } from "../../platform/project";

/** Rooms that a stack config passes through on its way to resources. */
const ROOMS = ["configs", "components", "operations", "platform", "program"];

/** A value of the entry that shows in everything which is made of the entry. */
export type Mark = string | number;

/**
 * Records through which files an entry goes, from the stack config to the arguments of its container. It stands between the
 * files: every function that one file exports to another is watched. A file is on the walk when one of its functions
 *
 * - makes an object or a list that holds a value of the entry, unless it was given one that says the same: this is the entry
 *   in its next form;
 * - is given the entry in any form, and returns the code that it goes to next;
 * - declares keys of the entry;
 * - runs while the container is made.
 *
 * A file that hands on what another one exports stands between two files as any other, and counts. Files that only read,
 * check, count, copy or filter the entry do not count, and neither do helpers that make a text or a number of it. Types have
 * no functions: an editor shows them where they are used.
 */
export class Walk {
  private readonly files = new Set<string>();
  private readonly running: string[] = [];

  /**
   * @param marks values of the entry, each of which occurs nowhere else
   * @param keys of the entry that hold them
   */
  constructor(
    private readonly marks: Mark[],
    private readonly keys: string[],
  ) {}

  /** Puts a watch between the files. What is required from now on is watched. */
  watch(): void {
    for (const room of ROOMS)
      for (const name of readdirSync(join(packageDir, room), { recursive: true, encoding: "utf8" }))
        if (name.endsWith(".ts")) this.watchFile(join(packageDir, room, name));
    jest.doMock("@pulumi/docker", () => {
      const actual = jest.requireActual<object>("@pulumi/docker");
      const Container = new Proxy(Reflect.get(actual, "Container") as new () => object, {
        construct: (target, args, newTarget) => {
          if (this.holders(args).length > 0) for (const file of this.running) this.files.add(file);
          return Reflect.construct(target, args, newTarget);
        },
      });
      return Object.create(actual, { Container: { value: Container, enumerable: true } });
    });
  }

  /** Loads a file, and counts it as running meanwhile. */
  load(file: string): void {
    this.inside(file, () => require(join(packageDir, file)));
  }

  /** The files that were found, in the order of the alphabet. */
  found(): string[] {
    return [...this.files].sort();
  }

  private watchFile(path: string): void {
    const file = relative(packageDir, path);
    jest.doMock(path, () => {
      const actual = jest.requireActual<Record<string, unknown>>(path);
      const watched: Record<string, unknown> = {};
      for (const name of Object.keys(actual)) {
        if (this.declares(actual[name])) this.files.add(file);
        const value = this.watched(file, actual[name]);
        Object.defineProperty(watched, name, { enumerable: true, value });
      }
      return Object.defineProperty(watched, "__esModule", { value: true });
    });
  }

  private watched(file: string, value: unknown): unknown {
    if (typeof value === "function")
      return new Proxy(value, {
        apply: (target, self, args) => this.called(file, args, () => Reflect.apply(target, self, args)),
        construct: (target, args, newTarget) =>
          this.inside(file, () => Reflect.construct(target, args, newTarget)),
      });
    if (!isCode(value)) return value;
    return new Proxy(value, { get: (target, key) => this.watched(file, Reflect.get(target, key)) });
  }

  private called(file: string, args: unknown[], call: () => unknown): unknown {
    const result = this.inside(file, call);
    if (this.declares(result) || this.hasNewForm(args, result) || this.dispatches(args, result))
      this.files.add(file);
    return result;
  }

  private inside<Result>(file: string, run: () => Result): Result {
    this.running.push(file);
    try {
      return run();
    } finally {
      this.running.pop();
    }
  }

  private hasNewForm(args: unknown[], result: unknown): boolean {
    const made = this.holders(result);
    if (made.length === 0) return false;
    const given = new Set(this.holders(args));
    return made.some((one) => !given.has(one));
  }

  private dispatches(args: unknown[], result: unknown): boolean {
    return isCode(result) && this.holders(args).length > 0;
  }

  private declares(value: unknown): boolean {
    if (!isPlain(value)) return false;
    return this.keys.filter((key) => isSchema(Reflect.get(value, key))).length > 1;
  }

  /** The objects and lists in a value that hold a mark themselves, as text: a copy is no new form. */
  private holders(value: unknown): string[] {
    const inner = value instanceof Map || value instanceof Set ? [...value] : value;
    if (!Array.isArray(inner) && !isPlain(inner)) return [];
    const values: unknown[] = Object.values(inner);
    const marked = values.some((one) => this.marks.some((mark) => shows(one, mark)));
    return [...(marked ? [JSON.stringify(inner)] : []), ...values.flatMap((one) => this.holders(one))];
  }
}

function shows(value: unknown, mark: Mark): boolean {
  if (typeof mark === "number") return value === mark || value === String(mark);
  return typeof value === "string" && value.includes(mark);
}

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** An object of functions, or of such objects: an engine, the table of engines. */
function isCode(value: unknown): value is object {
  return isPlain(value) && Object.values(value).some((one) => typeof one === "function" || isCode(one));
}

function isSchema(value: unknown): boolean {
  return typeof value === "object" && value !== null && "_zod" in value;
}

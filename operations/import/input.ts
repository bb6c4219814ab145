import type { z } from "zod";
import { childrenOf, Ledger, type Path, type Step } from "./ledger";

/** A value of a source, and what becomes of it. */
export class Input {
  private constructor(
    readonly value: unknown,
    readonly path: Path,
    private readonly ledger: Ledger,
  ) {}

  /** Opens a document. `value`: plain data. */
  static open(value: unknown): { input: Input; ledger: Ledger } {
    const ledger = new Ledger(value);
    return { input: new Input(value, [], ledger), ledger };
  }

  /** The key or place that it stands under; an empty text for the document itself. */
  get name(): string {
    return String(this.path.at(-1) ?? "");
  }

  /** The value below one key; undefined where there is none. */
  at(...steps: Step[]): Input | undefined {
    const [step, ...rest] = steps;
    if (step === undefined) return this;
    const found = childrenOf(this.value).find(([key]) => key === step);
    return found && new Input(found[1], [...this.path, step], this.ledger).at(...rest);
  }

  /** The values of a map or list; none for anything else. */
  children(): Input[] {
    return childrenOf(this.value).map(([step, inner]) => new Input(inner, [...this.path, step], this.ledger));
  }

  /** True while nothing is said of any value of it. */
  get untouched(): boolean {
    return this.ledger.untouched(this.path);
  }

  /** The value where a schema takes it; undefined, and without a fate, where it does not. */
  read<Value>(schema: z.ZodType<Value>): Value | undefined {
    const parsed = schema.safeParse(this.value);
    return parsed.success ? parsed.data : undefined;
  }

  /** Says which key of the stack config holds it. `spread`: each value below by a key of its own. */
  carry(to: string, spread = false): this {
    this.ledger.carry(this.path, to, spread);
    return this;
  }

  /** Says why what is left of it is lost. */
  lose(why: string): this {
    this.ledger.lose(this.path, why);
    return this;
  }

  /** Says why all of it is lost, also what was carried before. */
  drop(why: string): this {
    this.ledger.drop(this.path, why);
    return this;
  }

  /** Says that what of it went to the key `before` is under the key `after`. */
  move(before: string, after: string): void {
    this.ledger.move(this.path, before, after);
  }

  /** Says beside which key of the stack config its losses are told. */
  house(home: string): this {
    this.ledger.house(this.path, home);
    return this;
  }

  /** The same in another form, whose parts have fates of their own. */
  as(value: unknown): Input {
    this.ledger.replace(this.path, value);
    return new Input(value, this.path, this.ledger);
  }
}

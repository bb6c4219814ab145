type Name = "a" | "b";

/**
 * Eight clients that ask the models a and b in turn, for so long.
 * @param ask gives what one request is told
 * @param right what it has to be told; default: the model's name
 */
export class Turns {
  /** How often each thing was told: the model's name where it was right, else what it was told in its place. */
  readonly answers: Record<string, number> = {};
  readonly ended: Promise<unknown>;
  private readonly end: number;

  constructor(
    milliseconds: number,
    private readonly ask: (name: Name, turn: number) => Promise<string>,
    private readonly right: (name: Name) => string = String,
  ) {
    this.end = Date.now() + milliseconds;
    this.ended = Promise.all(Array.from({ length: 8 }, (_, first) => this.client(first)));
  }

  /** Requests until now that were told the right thing. */
  get answered(): number {
    return (this.answers.a ?? 0) + (this.answers.b ?? 0);
  }

  private async client(first: number): Promise<void> {
    for (let turn = first; Date.now() < this.end; turn += 1) {
      const name = turn % 2 === 0 ? "a" : "b";
      const said = await this.ask(name, turn).catch(String);
      const word = said === this.right(name) ? name : `${name}: ${said}`;
      this.answers[word] = (this.answers[word] ?? 0) + 1;
    }
  }
}

import type { ModelConfig } from "../engines";

/** Whether an entry opens every model whose name begins like its own: `openai/*`, `claude-*`, `*`. */
export function isForMany(name: string): boolean {
  return name.endsWith("*");
}

/** What every name begins with that such an entry opens. */
export function openedBy(name: string): string {
  return name.slice(0, -1);
}

/** What the models of a config open beside their own names: `openai/` for `openai/*`. */
export function openedIn(models: Record<string, ModelConfig>): string[] {
  return Object.keys(models).filter(isForMany).map(openedBy);
}

/** Whether clients may write a name, which is declared or begins like one that opens many. */
export function isServed(name: string, declared: string[]): boolean {
  return declared.some((one) => (isForMany(one) ? name.startsWith(openedBy(one)) : one === name));
}

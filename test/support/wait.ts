import { setTimeout as sleep } from "node:timers/promises";

/** How long {@link until} waits, and how often it looks. */
export interface Patience {
  /** Default: 120, four times what two busy cores have needed. */
  seconds?: number;
  /** Milliseconds between two looks. Default: 100. */
  everyMs?: number;
}

/**
 * Waits for a state: until `look` gives something that is not false, null or undefined, and gives that.
 * @param what the state, for the error when it does not come
 */
export async function until<State>(
  what: string,
  look: () => Promise<State> | State,
  { seconds = 120, everyMs = 100 }: Patience = {},
): Promise<NonNullable<Exclude<State, false>>> {
  for (const deadline = Date.now() + seconds * 1000; ; await sleep(everyMs)) {
    const state = await look();
    if (state !== undefined && state !== null && state !== false)
      return state as NonNullable<Exclude<State, false>>;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
  }
}

/**
 * Lets time pass. Only where the time itself is the subject, and no state tells that it is over.
 * @param because what the time is for, for those who read the test
 */
export function pause(milliseconds: number, because: string): Promise<void> {
  if (because === "") throw new Error("a pause wants a reason");
  return sleep(milliseconds);
}

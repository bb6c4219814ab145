import { addEventHandler } from "jest-circus";
import { TEST_TIMEOUT } from "./timeout.cjs";

/** A test or a hook, as jest-circus keeps it. */
interface Step {
  fn?: () => unknown;
  /** Milliseconds; none: as long as any test. */
  timeout?: number;
}

// A test may put a clock of its own in their place.
const { setTimeout, clearTimeout } = globalThis;

/** What a test or a hook does, as long as its time lasts: then it fails. */
export function limited({ fn, timeout = TEST_TIMEOUT }: Step): () => Promise<unknown> {
  return async function limitedStep() {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`It took longer than ${timeout / 1000} s.`)), timeout);
    });
    try {
      return await Promise.race([fn?.(), late]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Gives every test and hook of this process its limit: jest-light-runner itself waits for ever. */
export function limitAll(): void {
  addEventHandler((event, { currentDescribeBlock: { children, hooks } }) => {
    const step = { add_test: children, add_hook: hooks }[event.name as string]?.at(-1) as Step | undefined;
    // One that takes `done` has a parameter.
    if (step?.fn?.length === 0) step.fn = limited(step);
  });
}

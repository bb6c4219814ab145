/**
 * How often a property is tried: the usual count, and thirty times as often before a release (`npm run test:soak`). Seeds differ
 * from run to run, so many short runs look at as much as a long one.
 */
export function runs(usual: number): { numRuns: number } {
  return { numRuns: process.env.GPUBOX_SOAK ? usual * 30 : usual };
}

/** Whether tables of cases are crossed in full, as before a release; else each case of each table comes up at least once. */
export const everyPair = process.env.GPUBOX_SOAK !== undefined;

/** Where one step of long work stands. */
export interface Progress {
  /** The step, the same text in each report about it: `edge: pulling`. */
  what: string;
  /** How much of it is done, in `unit`. Absent where nobody can tell. */
  done?: number;
  /** How much there is to do, in `unit`. Absent as long as nobody can tell. */
  total?: number;
  unit?: "bytes" | "steps" | "requests";
  /** Units a second, from a source that measures it itself. Default: what the last reports say. */
  rate?: number;
  /** What happens right now, for example the last line of a log. */
  detail?: string;
  /** True: the step is over, well or not. */
  ended?: true;
}

/** Takes reports about long work. Any number a second is fine, and steps may run side by side. */
export type Report = (progress: Progress) => void;

/** For callers that show nobody how far the work is. */
export const unreported: Report = () => {};

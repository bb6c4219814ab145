/** One load: so many requests, so many at a time, each of so many tokens. */
export interface BenchCase {
  /** Requests at a time. */
  concurrency: number;
  /** Tokens of a prompt, about: what the server counts of each is among the figures. */
  promptTokens: number;
  /** Tokens that an answer has at most, and exactly where the server can be told to go on. */
  outputTokens: number;
  /** Requests in all, after the warm-up. */
  requests: number;
  /** True: nine tenths of each prompt are the same, so that a prefix cache shows. */
  shared: boolean;
}

/** What a person asks for. */
export interface BenchWish {
  concurrency: number[];
  promptTokens: number[];
  outputTokens: number;
  /** At least so many requests in a case, and never fewer than two rounds. */
  requests: number;
  shared: boolean;
}

/** What the box admits to the model; undefined where nothing bounds it. */
export interface Admitted {
  /** Requests at a time, by maxParallel of the model and of the gateway. */
  atOnce?: number;
  /** Of these, requests of others that run now. */
  busy: number;
  /** Requests and tokens a minute. */
  rpm?: number;
  tpm?: number;
}

/** Requests at a time and tokens of a prompt, where nobody says otherwise. */
export const WISH: BenchWish = {
  concurrency: [1, 2, 4, 8],
  promptTokens: [128, 1024],
  outputTokens: 64,
  requests: 16,
  shared: false,
};

/** Requests that the script sends before the first case, to learn what a word is in tokens. */
const CALIBRATION = 2;

/** Part of what a model may be asked in a minute that the load takes at most: the rest is others'. */
const PART_OF_MINUTE = 0.5;

/**
 * The cases of a wish that the model's own limits admit, the cheapest first, and a sentence for each thing that is left out.
 * Empty where the limits admit nothing.
 */
export function casesOf(wish: BenchWish, admitted: Admitted): { cases: BenchCase[]; notes: string[] } {
  const most = admitted.atOnce === undefined ? Number.POSITIVE_INFINITY : admitted.atOnce - admitted.busy;
  const wanted = ascending(wish.concurrency);
  const fits = wanted.filter((level) => level <= most);
  const levels = fits.length > 0 ? fits : most >= 1 ? [most] : [];
  const above = wanted.filter((level) => !levels.includes(level));
  const notes = above.length > 0 ? [`${above.join(", ")} at a time: left out, ${boundWords(admitted)}`] : [];
  const all = levels.flatMap((concurrency) =>
    ascending(wish.promptTokens).map((promptTokens) => ({
      ...{ concurrency, promptTokens, outputTokens: wish.outputTokens, shared: wish.shared },
      requests: Math.max(wish.requests, 2 * concurrency),
    })),
  );
  const cases = withinMinute(all, admitted);
  if (cases.length < all.length)
    notes.push(
      `${all.length - cases.length} of ${all.length} cases: left out, the load takes at most half of what the model's rpm and tpm admit in a minute`,
    );
  return { cases, notes };
}

/** The same case in another result. */
export function caseKey({ concurrency, promptTokens, outputTokens, shared }: BenchCase): string {
  return `${concurrency}x ${promptTokens}+${outputTokens}${shared ? " shared" : ""}`;
}

/** As if all of them came in one minute, which on a fast server they do. */
function withinMinute(cases: BenchCase[], { rpm, tpm }: Admitted): BenchCase[] {
  const left = { requests: part(rpm) - CALIBRATION, tokens: part(tpm) };
  const kept: BenchCase[] = [];
  for (const one of cases) {
    left.requests -= one.requests + one.concurrency;
    left.tokens -= (one.requests + one.concurrency) * (one.promptTokens + one.outputTokens);
    if (left.requests < 0 || left.tokens < 0) break;
    kept.push(one);
  }
  return kept;
}

function part(limit: number | undefined): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : Math.floor(limit * PART_OF_MINUTE);
}

function boundWords({ atOnce, busy }: Admitted): string {
  const others = busy === 0 ? "" : ` and ${busy === 1 ? "one of others runs" : `${busy} of others run`} now`;
  return `maxParallel admits ${atOnce} at a time${others}`;
}

function ascending(values: number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

/** A load of `gpubox bench model`; lists are written with commas. */
interface Load {
  concurrency: string;
  promptTokens: string;
  outputTokens: number;
  requests: number;
}

/** The words of `gpubox bench model NAME` that ask for a load. */
export function benchWords({ concurrency, promptTokens, outputTokens, requests }: Load): string[] {
  return [
    ...["--concurrency", concurrency, "--prompt-tokens", promptTokens],
    ...["--output-tokens", String(outputTokens), "--requests", String(requests)],
  ];
}

/** The least that shows a model's speed. */
export const LEAST_LOAD = benchWords({ concurrency: "1", promptTokens: "64", outputTokens: 8, requests: 2 });

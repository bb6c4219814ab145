import { bytes, elapsed, type Meter, metered, stepText } from "../../../cli/progressText";
import type { Progress } from "../../../platform/progress";

/** A step after reports at these milliseconds. */
function after(...reports: [at: number, progress: Progress][]): Meter {
  let meter: Meter | undefined;
  for (const [at, progress] of reports) meter = metered(meter, progress, at);
  return meter!;
}

const pull = (done: number, total?: number): Progress => ({
  what: "edge: pulling",
  done,
  total,
  unit: "bytes",
});

test("a pull shows bar, bytes, rate and time left", () => {
  const meter = after([0, pull(0, 100e6)], [5_000, pull(25e6, 100e6)]);
  expect(stepText(meter, 5_000, true)).toBe(
    "edge: pulling  █████░░░░░░░░░░░░░░░  25 %  25.0 MB of 100.0 MB  5.0 MB/s  ETA 15 s",
  );
  expect(stepText(meter, 5_000)).toBe("edge: pulling  25 %  25.0 MB of 100.0 MB  5.0 MB/s  ETA 15 s");
});

test("the rate is that of the last ten seconds", () => {
  const meter = after([0, pull(0, 100e6)], [60_000, pull(60e6, 100e6)], [65_000, pull(80e6, 100e6)]);
  expect(stepText(meter, 65_000)).toBe("edge: pulling  80 %  80.0 MB of 100.0 MB  4.0 MB/s  ETA 5 s");
});

test.each<[string, Meter, string]>([
  ["one report", after([0, pull(5, 10)]), "edge: pulling  50 %  5 B of 10 B"],
  ["no total", after([0, pull(0)], [1_000, pull(2_000)]), "edge: pulling  2.0 kB  2.0 kB/s  1 s"],
  ["a total of 0", after([0, pull(0, 0)], [1_000, pull(0, 0)]), "edge: pulling  0 B  1 s"],
  ["no progress", after([0, pull(5, 10)], [9_000, pull(5, 10)]), "edge: pulling  50 %  5 B of 10 B"],
  ["more than the total", after([0, pull(12, 10)]), "edge: pulling  100 %  12 B of 10 B"],
  ["all", after([0, pull(0, 10)], [1_000, pull(10, 10)]), "edge: pulling  100 %  10 B of 10 B  10 B/s"],
  ["a measured rate of 0", after([0, { ...pull(5, 10), rate: 0 }]), "edge: pulling  50 %  5 B of 10 B"],
  [
    "a measured rate",
    after([0, { ...pull(5, 10), rate: 1 }]),
    "edge: pulling  50 %  5 B of 10 B  1 B/s  ETA 5 s",
  ],
])("with %s nothing is made up", (_, meter, text) => {
  expect(stepText(meter, meter.samples.at(-1)!.at)).toBe(text);
});

test("requests count down, steps count up, and what has no number shows its time", () => {
  const drain: Progress = { what: "draining", done: 2, total: 3, unit: "requests" };
  expect(stepText(after([0, drain]), 0)).toBe("draining  66 %  1 request left");
  const build: Progress = { what: "edge: building", done: 2, total: 8, unit: "steps", detail: "RUN make" };
  expect(stepText(after([0, build]), 0)).toBe("edge: building  25 %  2 of 8 steps  RUN make");
  const wait: Progress = { what: "waiting for the model tiny", detail: "loading tensors" };
  expect(stepText(after([0, wait]), 65_000)).toBe("waiting for the model tiny  1 min 5 s  loading tensors");
});

test("sizes and times", () => {
  expect([0, 999, 1_500, 2e6, 3.25e9, 4e12].map(bytes)).toEqual([
    "0 B",
    "999 B",
    "1.5 kB",
    "2.0 MB",
    "3.3 GB",
    "4.0 TB",
  ]);
  expect([0, 59_999, 60_000, 7_500_000].map(elapsed)).toEqual(["0 s", "59 s", "1 min 0 s", "2 h 5 min"]);
});

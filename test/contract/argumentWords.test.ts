import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import sglangFlags from "../../configs/engines/flags/sglang.json";
import vllmFlags from "../../configs/engines/flags/vllm.json";
import type { KnownFlag } from "../../configs/engines/spelling";
import { gpuHost, refusals } from "../support/engines";

/** Values of every kind; a flag's own choices come beside them. */
const VALUES = ["7", "-1", "word"];

/** What the box says of a flag that takes a secret, however its words are written. */
const SECRET = /could read the token|looks like a key or a password/;

/** Flags of which the box says nothing by itself, whatever their value. */
function freeFlags(engine: string, flags: KnownFlag[]): KnownFlag[] {
  return flags.filter(({ names, removed, arity, choices = [] }) => {
    const lines =
      arity === "0" ? [[names[0]!]] : [...VALUES, ...choices.slice(0, 2)].map((value) => [names[0]!, value]);
    return (
      removed === undefined &&
      lines.every((words) =>
        said(engine, words).every((line) => line.startsWith("extraArgs[") && !SECRET.test(line)),
      )
    );
  });
}

function said(engine: string, extraArgs: string[]): string[] {
  const entry = { engine, model: "file:///srv/models/m", gpu: { devices: [0] }, extraArgs };
  return refusals(entry, { host: gpuHost });
}

test.each([
  ["vllm", vllmFlags.flags as KnownFlag[]],
  ["sglang", sglangFlags.flags as KnownFlag[]],
])("%s: words are refused that Python's own argparse ends on, and no others", (engine, flags) => {
  const some = freeFlags(engine, [...new Set(fc.sample(fc.constantFrom(...flags), 60))]);
  const value = (flag: KnownFlag) => fc.constantFrom(...VALUES, ...(flag.choices ?? []).slice(0, 2));
  const part = fc
    .constantFrom(...some)
    .chain((flag) =>
      fc
        .tuple(
          fc.constantFrom(...flag.names),
          fc.array(value(flag), { maxLength: 3 }),
          fc.constantFrom("apart", "apart", "="),
        )
        .map(([name, values, how]) =>
          how === "=" && values.length > 0 && name.startsWith("--")
            ? [`${name}=${values[0]}`, ...values.slice(1)]
            : [name, ...values],
        ),
    );
  const lines = fc.sample(
    fc.array(part, { maxLength: 3 }).map((parts) => parts.flat()),
    80,
  );
  const { stdout, stderr } = spawnSync("python3", [join(__dirname, "engines/arguments.py")], {
    input: JSON.stringify({ flags: some, lines }),
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const taken: boolean[] = JSON.parse(stdout);
  const ours = lines.map((words) => said(engine, words));
  const differ = lines.flatMap((words, index) =>
    taken[index] === (ours[index]!.length === 0) ? [] : [[words, taken[index], ours[index]]],
  );
  expect(new Set(taken)).toEqual(new Set([true, false]));
  expect(differ).toEqual([]);
});

import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { parse } from "yaml";
import { composeFile } from "../../../../operations/compose/composeFile";
import { yamlForAll } from "../../../../operations/compose/yaml";
import { has } from "../../../support/needs";
import { testPlan } from "../../../support/stacks";

/** What one YAML or another takes for something else than a text. */
const ODD = [
  ..."on|On|OFF|off|yes|No|y|N|true|False|~|null|Null|NULL|=|<<|-|?|!x|&a|*a|%x|@x|`x".split("|"),
  ..."0o17|017|0x1F|0b11|1_000|1e3|1.|+12|-.inf|.NaN|1:30|190:20:30|2000:0|2026-01-01|2026-01-01 10:00:00".split(
    "|",
  ),
  ...[
    "",
    " ",
    "a: b",
    "a #b",
    "a\nb\n",
    "\tb",
    "x\u0085y",
    "x\u2028y",
    "x\u007fy",
    "\ufeffx",
    "\uffffx",
    "{",
    "[",
    "\u{1f600}",
  ],
];
const text = fc.oneof(fc.constantFrom(...ODD), fc.string(), fc.string({ unit: "binary" }));
const key = text.filter((one) => one !== "__proto__");
const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text), fc.dictionary(key, text));
/** Files as Compose has them: maps of maps. */
const content = fc.dictionary(key, value, { minKeys: 1 });

/** What PyYAML, with which docker-compose 1.29 reads, makes of documents. */
function readByPython(documents: string[]): unknown {
  const program =
    "import json,sys,yaml\njson.dump([yaml.safe_load(one) for one in json.load(sys.stdin)], sys.stdout)";
  const { stdout, stderr } = spawnSync("python3", ["-c", program], {
    input: JSON.stringify(documents),
    encoding: "utf8",
  });
  if (stderr) throw new Error(stderr);
  return JSON.parse(stdout);
}

const python = has("python3") && spawnSync("python3", ["-c", "import yaml"]).status === 0;

test("a document means the same to YAML 1.1 and 1.2", () => {
  fc.assert(
    fc.property(content, (given) => {
      const file = yamlForAll(given);
      for (const version of ["1.1", "1.2"] as const) expect(parse(file, { version })).toEqual(given);
    }),
  );
});

(python ? test : test.skip)("and to the parser of docker-compose 1.29, which is Python's", () => {
  const given = [
    ...fc.sample(content, 200),
    { odd: ODD, ...Object.fromEntries(ODD.map((one) => [one, one])) },
  ];
  expect(readByPython(given.map(yamlForAll))).toEqual(given);
});

test("a box's file holds what a person wrote, for both", () => {
  const env = Object.fromEntries(ODD.filter((one) => /^[\w]+$/.test(one)).map((one) => [`V_${one}`, one]));
  const extraArgs = ["--reasoning-format", "off", "--override-kv", "0o17"];
  const model = "file:///srv/models/m.gguf";
  const file = composeFile(testPlan({ models: { m: { engine: "llamacpp", model, env, extraArgs } } }));
  for (const version of ["1.1", "1.2"] as const) {
    const service = parse(file, { version }).services["backend-m"];
    expect(service.environment).toMatchObject(env);
    expect(service.command.slice(-extraArgs.length)).toEqual(extraArgs);
  }
});

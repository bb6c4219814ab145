import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { packageDir } from "../../../platform/project";
import { guardedBuiltins, textsOf } from "../../support/shellGuards";

const files = ["assets", "images", "configs", "components", "operations", "platform", "program"].flatMap(
  (room) =>
    readdirSync(join(packageDir, room), { recursive: true, encoding: "utf8" }).map((file) =>
      join(room, file),
    ),
);

/** Lines that may hold such a command: reading the rest of the sources would take two seconds. */
const LIKELY =
  /(?:^|[\s`"';{(&|])(?:(?::|exec|eval|set|trap|unset|shift|readonly|times)[ <>][^\n]*[<>]|export \w+=[^\n]*[<>]|\. [^\n]*(?:\|\||&&))/m;

/** Texts of a file that a POSIX shell may run. Only bash knows /dev/tcp, and bash goes on. */
function shellTexts(file: string): string[] {
  const text = readFileSync(join(packageDir, file), "utf8");
  if (!LIKELY.test(text)) return [];
  const texts = file.endsWith(".ts") ? textsOf(text) : [text.replaceAll("\\\n", " ")];
  return texts.filter((one) => !one.includes("/dev/tcp"));
}

test("no shell text that the product ships guards a special builtin, which would end a POSIX shell", () => {
  const shipped = files.filter((file) => /\.(sh|ts)$|\/Dockerfile$/.test(file));
  expect(shipped.filter((file) => file.endsWith(".sh")).length).toBeGreaterThan(20);
  const found = shipped.flatMap((file) =>
    shellTexts(file).flatMap((text) => guardedBuiltins(text).map((command) => `${file}: ${command}`)),
  );
  expect(found).toEqual([]);
});

const REGULAR = ["true", "cat", "printf x", "command -v sh"];
const SPECIAL = [":", "exec 9", "export A=b", "set -- a", "eval true", "unset A", "trap - TERM"];
const SHAPES: ((command: string) => string)[] = [
  (command) => `${command} || echo guarded`,
  (command) => `{ ${command}; } 2>/dev/null || echo guarded`,
  (command) => `f() {\n  { ${command}; } 2>/dev/null || return 1\n}\nf || echo guarded`,
  (command) => `if ${command}; then echo well; else echo guarded; fi`,
  (command) => `! ${command} && echo guarded`,
  (command) => `A=1 B="a b"; ${command} && echo well || echo guarded`,
];

test("the scan and dash agree on which guard holds", () => {
  const redirected = (command: string) => `${command}</none/such`;
  for (const shape of SHAPES)
    for (const command of [...REGULAR, ...SPECIAL]) {
      const text = shape(redirected(command));
      const { stdout } = spawnSync("dash", ["-c", text], { encoding: "utf8" });
      expect([text, stdout.includes("guarded")]).toEqual([text, guardedBuiltins(text).length === 0]);
    }
});

test("what no guard stands behind is not found, nor what a text only says", () => {
  fc.assert(
    fc.property(fc.constantFrom(...SPECIAL), fc.constantFrom("\n", ";", " ; : "), (command, end) => {
      expect(guardedBuiltins(`${command}</none/such${end}true || false`)).toEqual([]);
      expect(guardedBuiltins(`echo '${command}</none || x' # ${command}</none || x`)).toEqual([]);
    }),
  );
  expect(guardedBuiltins("( : </none ) || echo guarded")).toEqual([]);
  expect(guardedBuiltins("exec 2>&1 || true")).toEqual([]);
  expect(guardedBuiltins(". /none/such || true")).toEqual([". /none/such"]);
});

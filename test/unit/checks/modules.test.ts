import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { CALLBACK_LISTS, MODULE_LISTS } from "../../../configs/litellm/callbacks";
import type { OwnFiles } from "../../../configs/stack/ownFiles";
import { readOwnFiles } from "../../../platform/stack/ownFiles";
import { mistakesOf } from "../../support/mistakes";

const AUDIT = { "./audit.py": { text: "class Audit: ...\n\nhandler = Audit()\nother: int = 1\n" } };

/** Mistakes of a gateway whose setting `list` names `value`. */
function naming(list: string, value: unknown, files: OwnFiles = AUDIT): string[] {
  const modules = Object.keys(files).length > 0 ? { audit: "./audit.py" } : {};
  return mistakesOf({ gateway: { modules, settings: { litellm: { [list]: value } } } }, files);
}

describe("a callback of the user's", () => {
  test.each(MODULE_LISTS)("is taken in %s where a file brings it", (list) => {
    expect(naming(list, ["audit.handler", "prometheus"])).toEqual([]);
  });

  test.each(CALLBACK_LISTS.filter((list) => !MODULE_LISTS.includes(list)))(
    "is refused in %s, which LiteLLM imports nothing for",
    (list) => {
      expect(naming(list, ["audit.handler"])).toEqual([
        expect.stringContaining("LiteLLM 1.106.0 has no callback of this name"),
      ]);
    },
  );

  test("that no file brings is refused with the key that would", () => {
    expect(naming("callbacks", ["audit.handler"], {})).toEqual([
      'gpubox:gateway.settings.litellm.callbacks[0]: "audit.handler" is none of LiteLLM\'s own, and no file brings the module audit. If the code is yours, name its file: gpubox:gateway.modules: { audit: ./audit.py }. Else remove it.',
    ]);
  });

  test("that its file does not have is refused with the nearest name in it", () => {
    expect(naming("callbacks", "audit.handlr")).toEqual([
      'gpubox:gateway.settings.litellm.callbacks: The file of the module audit has no "handlr". Did you mean "audit.handler"?',
    ]);
    expect(naming("callbacks", "audit.quite_another")).toEqual([
      expect.stringContaining("Name something that it defines."),
    ]);
  });

  test("misspelt from one of LiteLLM's own is refused with that one", () => {
    expect(naming("callbacks", ["promethues"])).toEqual([
      expect.stringContaining('Did you mean "prometheus"?'),
    ]);
  });

  test("in a text where LiteLLM wants a list is refused: it would call the letters", () => {
    expect(naming("success_callback", "audit.handler")).toEqual([
      "gpubox:gateway.settings.litellm.success_callback: LiteLLM takes a single text here as a list of its letters, and calls nothing. Write a list: [audit.handler].",
    ]);
  });

  test("whose file is named by a path that none may be is told once, as a callback and as a guardrail", () => {
    const modules = { audit: "../audit.py" };
    const once = [expect.stringMatching(/^gpubox:gateway\.modules\.audit: "\.\.\/audit\.py" is not valid\./)];
    const guardrails = { g: { guardrail: "audit.Audit", mode: "pre_call" } };
    expect(
      mistakesOf({ gateway: { modules, settings: { litellm: { callbacks: ["audit.handler"] } } } }),
    ).toEqual(once);
    expect(mistakesOf({ gateway: { modules, guardrails } })).toEqual(once);
  });

  test("whose file cannot be read is told once", () => {
    const unread = { "./audit.py": { what: "./audit.py cannot be read (ENOENT).", fix: "Look." } };
    expect(naming("callbacks", ["audit.handler"], unread)).toEqual([
      "gpubox:gateway.modules.audit: ./audit.py cannot be read (ENOENT). Look.",
    ]);
    expect(mistakesOf({ gateway: { modules: { audit: "./audit.py" } } })).toEqual([
      "gpubox:gateway.modules.audit: ./audit.py has not been read. Put it beside the stack file.",
    ]);
  });

  test("is never taken from a module that no file brings, whatever it is called", () => {
    const word = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/);
    fc.assert(
      fc.property(word, word, fc.constantFrom(...CALLBACK_LISTS), (module, member, list) => {
        fc.pre(module !== "audit");
        expect(naming(list, [`${module}.${member}`])).toHaveLength(1);
      }),
    );
  });
});

describe("gateway.modules", () => {
  test.each([
    "/etc/audit.py",
    "../audit.py",
    "./a/../../b.py",
    "audit.py",
    "./audit.txt",
    "./a b.py",
    "./a/./b.py",
  ])("does not take the path %s", (path) => {
    expect(mistakesOf({ gateway: { modules: { audit: path } } })).toEqual([
      expect.stringContaining("Write the path of a .py file, from the stack file's folder and below it"),
    ]);
  });

  test.each(["gpubox_guard", "guard_body", "trajectory_store", "sitecustomize", "prove", "a.b", "1a"])(
    "does not take the name %s",
    (name) => {
      expect(mistakesOf({ gateway: { modules: { [name]: "./a.py" } } })).toEqual([
        expect.stringContaining("A module's name is letters, digits and _."),
      ]);
    },
  );

  test("names files that are read from beside the stack file", () => {
    const folder = mkdtempSync(join(tmpdir(), "gpubox-modules-"));
    writeFileSync(join(folder, "good.py"), "handler = 'ä'\n");
    mkdirSync(join(folder, "folder.py"));
    const modules = { good: "./good.py", folder: "./folder.py", absent: "./absent.py", outside: "../x.py" };
    expect(readOwnFiles(folder, { gateway: { modules, passThrough: { "/a": "./not-one" } } })).toEqual({
      "./good.py": { text: "handler = 'ä'\n" },
      "./folder.py": { what: "./folder.py is not a file.", fix: "Put a file there." },
      "./absent.py": {
        what: "./absent.py cannot be read (ENOENT).",
        fix: "Check whether it exists, and who may read it.",
      },
    });
    rmSync(folder, { recursive: true });
  });
});

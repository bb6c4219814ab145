import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { parse } from "yaml";
import { ConfigError } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { composeFile } from "../../../operations/compose/composeFile";
import { findLogs } from "../../../operations/trajectory/logs";
import { UserError } from "../../../platform/process";
import { readStackFile } from "../../../platform/stack/stackConfig";
import { rawStack, testPlan, testSecrets, tinyModel } from "../../support/stacks";

const CANNED = { engine: "llamacpp", model: "file:///srv/models/tiny.gguf" };
const far = (more: object) => ({ far: { engine: "openai", baseUrl: "http://far:8000/v1", ...more } });
const job = (more: object) => ({
  upstream: { baseUrl: "http://far:8000/v1", model: "m" },
  ...{ port: 4990, key: "dummy-key" },
  ...more,
});

/** Places of a stack's config that become a word of a command, of HAProxy's file, of ssh's arguments or of a path. */
const WORDS: [place: string, values: (word: string) => Record<string, unknown>][] = [
  ["gateway.bind", (bind) => ({ gateway: { bind } })],
  ["gateway.hosts", (host) => ({ gateway: { hosts: [host] } })],
  ["gateway.admin.bind", (bind) => ({ gateway: { admin: { bind, unencrypted: true } } })],
  ["gateway.joinNetworks.upstreams", (name) => ({ gateway: { joinNetworks: { upstreams: [name] } } })],
  ["gateway.joinNetworks.clients", (name) => ({ gateway: { joinNetworks: { clients: [name] } } })],
  ["gateway.env's name", (name) => ({ gateway: { env: { [name]: "x" } } })],
  ["gateway.env's secret", (secret) => ({ gateway: { env: { KEY: { secret } } } })],
  ["host.docker", (address) => ({ host: { docker: `ssh://${address}` } })],
  ["host.jump", (jump) => ({ host: { docker: "ssh://me@box", jump } })],
  ["host.dataDir", (dataDir) => ({ host: { dataDir } })],
  ["cache.namespace", (namespace) => ({ cache: { namespace } })],
  ["a model's name", (name) => ({ models: { [name]: CANNED } })],
  ["a model's alias", (alias) => ({ models: { tiny: { ...CANNED, aliases: [alias] } } })],
  ["an instance's name", (name) => ({ models: far({ instances: [{ name }] }) })],
  ["a model's secret", (secret) => ({ models: far({ apiKey: { secret } }) })],
  ["a tag", (tag) => ({ models: far({ tags: [`${tag},`] }) })],
  ["a box's name", (name) => ({ boxes: { [name]: { key: { secret: "farKey" }, url: "http://far:4000" } } })],
  ["a box's stack", (stack) => ({ boxes: { far: { stack, key: { secret: "farKey" } } } })],
  ["a job's name", (name) => ({ jobs: { [name]: job({}) } })],
  ["a job's alias", (alias) => ({ jobs: { eval: job({ stickyRoutingAliases: [alias] }) } })],
  ["a job's variable", (name) => ({ jobs: { eval: job({ extra: { [name]: "x" } }) } })],
  ["a team's name", (name) => ({ access: { teams: { [name]: {} } } })],
  ["a key's name", (name) => ({ access: { keys: { [name]: { key: { secret: "farKey" } } } } })],
];

/** Names that only ever are values of their own, and so may look like a path or a flag. */
const HARMLESS: Record<string, string[]> = {
  "host.docker": ["../x", "x/../../etc"],
  "cache.namespace": ["--help", "-x"],
  "a model's name": ["x/../../etc"],
  "a model's alias": ["x/../../etc"],
  "a job's alias": ["x/../../etc"],
};

/** What no such word may hold: each ends the word, or begins something else, for some reader. */
const HOSTILE = [
  ...[
    "x;id",
    "x$(id)",
    "x`id`",
    "x|id",
    "x&id",
    "x\nid",
    "x\r\nid",
    "x\0id",
    "x id",
    "x\tid",
    "x'id",
    'x"id',
    "x\\id",
  ],
  ...[
    "-oProxyCommand=id",
    "--help",
    "-x",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell would expand it
    "x${IFS}id",
    "x%0aid",
    "x>id",
    "x<id",
    "x{{.ID}}",
    "x\u2028id",
    "x\u202eid",
    "x#id",
  ],
  ...[
    "",
    " x",
    "x ",
    "../x",
    "x/../../etc",
    "@x",
    "x=y",
    "x*",
    "x?",
    "~x",
    "!!js/function x",
    "x\x1b[2Jid",
    "é",
  ],
];

test.each(WORDS)("%s: whatever would end a word is refused with an explanation", (place, values) => {
  const secrets = { ...testSecrets, farKey: "sk-far-0123456789" };
  const passed = HOSTILE.filter((hostile) => {
    try {
      parseStack(rawStack({ models: tinyModel, ...values(hostile) }, secrets));
      return true;
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return false;
    }
  });
  expect(passed).toEqual(HARMLESS[place] ?? []);
});

test("a flag and a variable of an engine stay one word each, whatever they hold", () => {
  const text = fc
    .string({ minLength: 1, maxLength: 40, unit: "binary-ascii" })
    .filter((one) => !one.includes("\0"));
  fc.assert(
    fc.property(text, text, (flag, value) => {
      const models = { tiny: { ...CANNED, extraArgs: [`--x=${flag}`], env: { WORD: value } } };
      let plan: ReturnType<typeof testPlan>;
      try {
        plan = testPlan({ models });
      } catch (error) {
        // A refusal is fine too, in words.
        expect(error).toBeInstanceOf(ConfigError);
        return;
      }
      const [backend] = plan.backends;
      expect(backend!.service.container.command).toContain(`--x=${flag}`);
      expect(backend!.service.container.env.WORD).toBe(value);
      const compose = parse(composeFile(plan)) as {
        services: Record<string, { command: string[]; environment: Record<string, string> }>;
      };
      const service = compose.services["backend-tiny"]!;
      // Compose itself reads $$ as $.
      expect(service.command.map((word) => word.replaceAll("$$", "$"))).toContain(`--x=${flag}`);
      expect(service.environment.WORD!.replaceAll("$$", "$")).toBe(value);
    }),
  );
});

describe("a stack's file", () => {
  const dir = mkdtempSync(join(tmpdir(), "gpubox-injection-"));
  afterAll(() => rmSync(dir, { recursive: true }));

  const read = (text: string): unknown => {
    writeFileSync(join(dir, "Pulumi.bad.yaml"), text);
    try {
      return parseStack(readStackFile(dir, "bad", testSecrets));
    } catch (error) {
      return error;
    }
  };
  const models = "  gpubox:models:\n    tiny: { engine: llamacpp, model: file:///srv/models/tiny.gguf }\n";

  test.each([
    [
      "a tag of another language",
      "config:\n  gpubox:gateway: !!js/function 'function () { return process.exit(1) }'\n",
    ],
    ["the same key twice", `config:\n${models}${models}`],
    [
      "the same section twice",
      "config:\n  gpubox:gateway: { port: 4000 }\n  gpubox:gateway: { port: 4002 }\n",
    ],
    ["an alias of nothing", "config:\n  gpubox:gateway: *nothing\n"],
    ["two documents", `config:\n${models}---\nconfig: {}\n`],
    ["a list for a map", "config: [1, 2]\n"],
    ["a text for a map", "config: yes\n"],
    ["a list for a section", "config:\n  gpubox:gateway: [1]\n"],
    ["a tab as indentation", "config:\n\tgpubox:gateway: {}\n"],
    ["a key that is a prototype", "config:\n  gpubox:__proto__: { polluted: true }\n"],
    ["a prototype in a section", "config:\n  gpubox:gateway: { __proto__: { polluted: true } }\n"],
    [
      "a constructor in a section",
      "config:\n  gpubox:models: { constructor: { prototype: { polluted: true } } }\n",
    ],
    ["a NUL", 'config:\n  gpubox:gateway: { hosts: ["a\\0b"] }\n'],
  ])("with %s is refused with an explanation", (_, text) => {
    const error = read(text);
    expect(error instanceof UserError || error instanceof ConfigError ? true : error).toBe(true);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test("whose aliases multiply is refused at once", () => {
    const levels = Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`)}]`);
    const begun = Date.now();
    const error = read(["a0: &a0 [x]", ...levels, "config: { gpubox:gateway: { hosts: *a12 } }"].join("\n"));
    expect(error instanceof UserError || error instanceof ConfigError ? true : error).toBe(true);
    expect(Date.now() - begun).toBeLessThan(2_000);
  });

  test("a Python tag is a plain text", () => {
    const config = read("config:\n  gpubox:gateway:\n    hosts: !!python/object/apply:os.system [id]\n");
    expect(config).toMatchObject({ gateway: { hosts: ["id"] } });
  });

  test("a merge key adds no section that the file does not write out", () => {
    const merged = `x: &x { port: 1 }\nconfig:\n${models}  gpubox:gateway: { <<: *x }\n`;
    const result = read(merged);
    const refused = result instanceof ConfigError;
    expect(refused || (result as { gateway: { port: number } }).gateway.port === 4000).toBe(true);
  });
});

test("a symbolic link in a trajectory folder is not read", () => {
  const dir = mkdtempSync(join(tmpdir(), "gpubox-links-"));
  try {
    const [log, elsewhere] = [join(dir, "log"), join(dir, "elsewhere")];
    for (const one of [log, elsewhere]) mkdirSync(one);
    for (const name of ["litellm-trajectory.jsonl", "litellm-trajectory.count.jsonl"])
      writeFileSync(join(elsewhere, name), "{}\n");
    symlinkSync(elsewhere, join(log, "linked"));
    for (const name of ["litellm-trajectory.jsonl", "litellm-trajectory.count.jsonl"])
      symlinkSync(join(elsewhere, name), join(log, name));
    expect(() => findLogs([log])).toThrow(UserError);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

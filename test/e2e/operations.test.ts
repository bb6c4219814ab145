import { totalmem } from "node:os";
import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { editStack } from "../support/box";
import { missing, needs, testNeeds } from "../support/needs";
import { gpubox, makeProject, programOf, removeProject, type TestProject } from "../support/project";
import { atTerminal } from "../support/terminal";
import { doctorRows, type Sections } from "./operations/doctorRows";
import { beginRequest, Clients, linesUntil, until, Ward } from "./operations/lab";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("ops");
/** What it takes to try the clients themselves. */
const CLIENTS = ["an npm registry", "python3 with venv"];
// Their own instructions are longer than the canned model's context, in which every byte is a token.
const CLAUDE = '\nclaude -p "say hello" --system-prompt "Be brief." --tools ""';
const BRIEF = '{"agent":{"build":{"prompt":"Be brief.","tools":{"*":false}}}}';
const OPENCODE = `\nexport OPENCODE_CONFIG_CONTENT='${BRIEF}'\nopencode run "say hello"`;
const ANSWER = "pong from the gpubox test model";

needs("docker", "pulumi")("operations", () => {
  let project: TestProject;
  let ward: Ward;
  let clients: Clients | undefined;
  let brought: Record<string, unknown>;
  let slowClient: { close: () => void };
  const began = new Date().toISOString();
  const edit = (change: (config: Sections) => void) =>
    editStack(project, (config) => change(config as unknown as Sections));
  const verb = async (name: string, ...args: string[]) => {
    const result = await gpubox(project, name, ...args, "--json");
    return { code: result.code, result: JSON.parse(result.stdout), said: result.stderr };
  };

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 10 },
      cache: { ttlSeconds: 3600 },
      models: {
        tiny: {
          ...{
            engine: "llamacpp",
            model: "canned",
            memoryMiB: 2048,
            threads: 1,
            parallel: 1,
            ctxSize: 32_768,
          },
          aliases: ["small"],
        },
        // Less memory than its server needs.
        greedy: { engine: "llamacpp", model: "canned", memoryMiB: 16, start: "manual" },
        far: { engine: "openai", baseUrl: "http://host.docker.internal:9/v1", start: "manual" },
      },
    });
    clients = missing(...CLIENTS).length === 0 ? new Clients() : undefined;
    const [up] = await Promise.all([verb("up", "--yes"), clients?.install()]);
    expect(up.code).toBe(0);
    brought = up.result;
    ward = await Ward.open(project);
    slowClient = beginRequest(project.endpoint);
  }, 20 * MINUTE);
  afterAll(() => {
    slowClient?.close();
    clients?.close();
    removeProject(project);
  }, MINUTE);

  test("up --json says what serves, and which checks it passed", () => {
    const { checks, ...rest } = brought;
    expect(rest).toMatchObject({
      ...{ stack: STACK, endpoint: project.endpoint, engine: "pulumi" },
      models: ["far", "greedy", "tiny", "small"],
    });
    const passed = (checks as { check: string; ok: boolean }[]).map(({ check, ok }) => `${ok} ${check}`);
    expect(passed).toEqual(expect.arrayContaining(["true a wrong key", "true an admin route"]));
    expect(passed.filter((line) => line.startsWith("false"))).toEqual([]);
  });

  test("the doctor finds nothing wrong with a new box, and notes a host without rules", async () => {
    const { code, stdout, stderr } = await gpubox(project, "doctor");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.split("\n")).toEqual([
      `doctor of the stack ${STACK} at http://127.0.0.1:${PORT}`,
      expect.stringMatching(/^ {2}note {3}firewall /),
      expect.stringContaining(`Run \`gpubox host prepare --stack ${STACK}\``),
      expect.stringMatching(/^ {2}ok: ssh, clock, arch, prepared, unfit, boot, docker, box, /),
      "  not looked at: gpu (no GPU of NVIDIA is declared)",
      "",
    ]);
  });

  test(
    "cached answers are cleared, and limits stay in Redis",
    async () => {
      const keys = async () => {
        const scan = 'REDISCLI_AUTH="$(cat /etc/gpubox/password)" redis-cli --scan';
        return (await ward.docker("exec", ward.name("cache"), "sh", "-c", scan)).split("\n");
      };
      const asked = async () =>
        Number((await run("docker", ["logs", ward.name("valve-tiny")])).stdout.split("POST").length - 1);
      await ward.chat("tiny", "the same");
      const once = await asked();
      await until("the answer is cached", async () =>
        (await keys()).some((key) => /^gpubox:[0-9a-f]{64}$/.test(key)),
      );
      await ward.chat("tiny", "the same");
      expect(await asked()).toBe(once);
      const cleared = await verb("cache", "clear");
      expect(cleared.result.removed).toBeGreaterThan(0);
      const left = await keys();
      expect(left.filter((key) => /[0-9a-f]{64}/.test(key))).toEqual([]);
      expect(left.filter((key) => key.endsWith(":tokens"))).not.toEqual([]);
      // LiteLLM's processes remember answers themselves.
      await ward.chat("tiny", "the same");
      expect(await asked()).toBe(once);
      const restarted = await verb("cache", "clear", "--restart");
      expect([restarted.code, restarted.result.restarted]).toEqual([0, 1]);
      await ward.chat("tiny", "the same");
      expect(await asked()).toBe(once + 1);
    },
    3 * MINUTE,
  );

  test("models status shows what is declared, up, loaded and requested", async () => {
    await ward.chat("tiny", "counted");
    const { code, result } = await verb("models", "status");
    expect(code).toBe(0);
    const rows = Object.fromEntries((result as { instance: string }[]).map((row) => [row.instance, row]));
    expect(rows).toMatchObject({
      tiny: { state: "loaded", up: true, loaded: true, listed: true, aliases: ["small"], requestsNow: 0 },
      greedy: { state: "not started", up: false, loaded: false, listed: true },
      far: { state: "elsewhere", up: null, requestsPerMinute: null },
    });
    expect((rows.tiny as unknown as { requestsPerMinute: number }).requestsPerMinute).toBeGreaterThan(0);
  });

  test("host status shows the host and its models at a glance, live until Ctrl-C", async () => {
    const { code, result } = await verb("host", "status");
    expect([code, result.host, result.queue.waiting]).toEqual([0, "this machine", 0]);
    expect(result.lastChange.serves).toBe(true);
    expect(result.machine.memory.totalBytes).toBe(totalmem());
    const states = (result.models as { instance: string; state: string; memory: object | null }[]).map(
      ({ instance, state, memory }) => [instance, state, memory !== null],
    );
    expect(states).toEqual([
      ["far", "elsewhere", false],
      ["greedy", "not started", false],
      ["tiny", "loaded", true],
    ]);
    expect(result.parts).toEqual(
      expect.arrayContaining([
        { role: "edge", name: ward.name("edge"), state: "healthy" },
        { role: "gateway", name: expect.stringContaining("gateway"), state: "serving" },
      ]),
    );
    const command = [
      process.execPath,
      ...programOf(project, ["host", "status", "--watch", "--stack", STACK]),
    ];
    const ctrlC: [string, string][] = [["queue: ", "\u0003"]];
    const live = await atTerminal(command, ctrlC, {
      cwd: project.dir,
      env: { ...project.env, TERM: "xterm" },
    });
    expect([live.code, live.stderr]).toEqual([0, ""]);
    // The terminal's own screen again, and the last look on it, with bars.
    const [, left = ""] = live.stdout.split("\u001b[?25h\u001b[?1049l");
    expect(left).toMatch(/^memory {2}[█▏▎▍▌▋▊▉░]{20} +\d+ % /m);
    expect(left).toMatch(/^tiny +llamacpp +loaded /m);
  });

  test("logs show what belongs to a model, and can be followed", async () => {
    const lines = (await gpubox(project, "logs", "small", "--json")).stdout.trim().split("\n");
    const roles = new Set(lines.map((line) => JSON.parse(line).role));
    expect([...roles].sort()).toEqual(["backend-tiny", "valve-tiny"]);
    const isRequest = (line: string) => JSON.parse(line).role === "valve-tiny" && line.includes("POST");
    const args = ["logs", "tiny", "--follow", "--json", "--since", "0s"];
    let turn = 0;
    const followed = await linesUntil(project, args, isRequest, () =>
      ward.chat("tiny", `followed ${turn++}`),
    );
    expect(Object.keys(JSON.parse(followed))).toEqual(["at", "container", "role", "text"]);
    const wrong = await gpubox(project, "logs", "tinny");
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('Did you mean "tiny"?')]);
  });

  testNeeds(...CLIENTS)(
    "each client does with its script what a person wants",
    async () => {
      const pasted = async (client: string, ...args: string[]) => {
        const { result } = await verb("connect", client, "--model", "tiny", ...args);
        const script = result.script as string;
        expect(script).not.toContain(ward.secrets.masterKey);
        return script.replace(/\nclaude$/, CLAUDE).replace(/\nopencode$/, OPENCODE);
      };
      const answers = async (client: string) => {
        const { code, stdout, stderr } = await clients!.paste(await pasted(client));
        expect([client, code, stdout, code === 0 || stderr]).toEqual([
          client,
          0,
          expect.stringContaining(ANSWER),
          true,
        ]);
      };
      const hands = async () => {
        // OpenHands itself is not on PyPI for this Python; LiteLLM's library is what it calls through.
        const { result } = await verb("connect", "openhands", "--model", "tiny", "--show-key");
        const ask =
          'import os, litellm; print(litellm.completion(model=os.environ["LLM_MODEL"], api_base=os.environ["LLM_BASE_URL"], api_key=os.environ["LLM_API_KEY"], messages=[{"role": "user", "content": "hands"}]).choices[0].message.content)';
        const image = ward.plan().gateway.container.image;
        const env = ["LLM_MODEL", "LLM_BASE_URL", "LLM_API_KEY"].flatMap((name) => ["-e", name]);
        const there = `docker run --rm --network host ${env.join(" ")} --entrypoint python3 ${image} -c '${ask}'`;
        const said = await run("bash", [
          "-c",
          (result.script as string).replace(/\nopenhands .*$/, `\n${there}`),
        ]);
        expect([said.code, said.stdout]).toEqual([0, expect.stringContaining(ANSWER)]);
      };
      const inPython = async () => {
        await answers("openai");
        await answers("anthropic");
        await hands();
      };
      await Promise.all([inPython(), answers("claude-code"), answers("opencode")]);
      const shown = await gpubox(project, "connect", "openai", "--show-key");
      expect(shown.stdout).toContain(`export OPENAI_API_KEY='${ward.secrets.masterKey}'`);
    },
    5 * MINUTE,
  );

  doctorRows(() => ({ project, ward, began, verb, edit }));
});

import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkLogs } from "../../operations/trajectory/check";
import type { TrajectoryLine } from "../../operations/trajectory/line";
import { linesOf } from "../../operations/trajectory/readLines";
import type { LogReport } from "../../operations/trajectory/reconcile";
import { output, run } from "../../platform/process";
import { cannedModel } from "../../tools/cannedModel";
import { type Allocation, scratch } from "./allocate";
import { runBeside } from "./beside";
import { complete, containersOf, exportsIn, masterKeyOf } from "./box";
import { filesBelow, leaksIn } from "./leaks";
import { needs } from "./needs";
import { gpubox, makeProject, removeProject, type TestProject } from "./project";
import { inParallel, TrajectoryClients } from "./trajectoryClients";
import { until } from "./wait";

const MINUTE = 60_000;
const TOOL = "get_weather";
/** Numeric group that may read the log; it needs no name. */
const READERS = 4242;
const PATHS = ["/v1/chat/completions", "/v1/messages"] as const;
/** Clients at a time. */
const WORKERS = 8;
/** More than LiteLLM keeps of an image by itself, which is 64 characters; a few fill a file of the log. */
const IMAGE = Buffer.alloc(160_000, "gpubox").toString("base64");

/** How many of each kind the clients send. A talk is four calls. */
export interface Traffic {
  talks: number;
  responses: number;
  plain: number;
  images: number;
  gone: number;
  broken: number;
  wrong: number;
  /** While a gateway ends. */
  under: number;
}

type Path = (typeof PATHS)[number];

/** A request of the stub, see test/load/stub.py. */
function asksStub(path: Path, stream: boolean, ask: string, image = false): object {
  const text = { type: "text", text: `nonce=x ${ask}` };
  const picture =
    path === "/v1/messages"
      ? { type: "image", source: { type: "base64", media_type: "image/png", data: IMAGE } }
      : { type: "image_url", image_url: { url: `data:image/png;base64,${IMAGE}` } };
  const content = image ? [picture, text] : text.text;
  return { model: "echo", stream, max_tokens: 99, messages: [{ role: "user", content }] };
}

function asksTiny(path: Path, stream: boolean): object {
  const body = { model: "tiny", stream, max_tokens: 64, messages: [{ role: "user", content: "ping" }] };
  return path === "/v1/messages" ? { ...body, system: [{ type: "text", text: "be brief" }] } : body;
}

const kinds = PATHS.flatMap((path) => [false, true].map((stream) => ({ path, stream })));

/** Declares the tests of a box with two gateways and their log. */
export function trajectoryStory({ stack: STACK, port: PORT }: Allocation, traffic: Traffic): void {
  const STUB = `gpubox-${STACK}-stub`;
  const calls =
    4 * (traffic.talks + traffic.responses) +
    traffic.plain +
    traffic.images +
    traffic.gone +
    traffic.broken +
    traffic.wrong;

  needs("docker", "pulumi")("the trajectory log of a box with two gateways", () => {
    let project: TestProject;
    let folder: string;
    let key: string;
    let clients: TrajectoryClients;

    const logs = () => join(project.dataDir, "trajectories");
    /** Both gateways, once they serve: a test, or its first try, may have ended one. */
    async function gateways(): Promise<string[]> {
      const listed = await output("docker", [
        ...["ps", "--all", "--quiet", "--filter", `label=gpubox.stack=${STACK}`],
        ...["--filter", "label=gpubox.role=gateway"],
      ]);
      const both = listed.split("\n");
      await output("docker", ["start", ...both]);
      await until("both gateways serve", async () => {
        const states = await output("docker", ["inspect", "--format", "{{.State.Health.Status}}", ...both]);
        return states.split("\n").every((state) => state === "healthy");
      });
      return both;
    }

    /** `gpubox trajectory`, as a person types it. */
    const trajectory = (...args: string[]) => gpubox(project, "trajectory", ...args);

    async function check(): Promise<LogReport & { code: number }> {
      const { code, stdout, stderr } = await trajectory("check", "--json");
      // 2 where something is missing; anything else is no report.
      if (code !== 0 && code !== 2) throw new Error(stderr);
      return { ...(JSON.parse(stdout) as LogReport), code };
    }

    /** Waits until nothing is in the work: LiteLLM tells of some answers later than the client has them. */
    async function settled(): Promise<LogReport & { code: number }> {
      await until(
        "nothing is in the work",
        async () => {
          const report = await checkLogs([logs()]);
          const waiting = report.missing.filter(({ why }) => why.includes("about to write"));
          return report.open === 0 && waiting.length === 0;
        },
        { seconds: 600, everyMs: 500 },
      );
      return check();
    }

    const finals = () => linesOf([logs()], {}, Number.MAX_SAFE_INTEGER);

    async function linesByCall(): Promise<Map<string | undefined, TrajectoryLine[]>> {
      const all = new Map<string | undefined, TrajectoryLine[]>();
      for (const line of await finals()) {
        const id = line.request.headers["x-litellm-call-id"];
        all.set(id, [...(all.get(id) ?? []), line]);
      }
      return all;
    }

    beforeAll(async () => {
      folder = scratch(`${STACK}-models`);
      chmodSync(folder, 0o755);
      const model = join(folder, "tools.gguf");
      writeFileSync(
        model,
        cannedModel({ answer: "It is sunny — ü", tool: TOOL, arguments: { city: "Zürich" } }),
        {
          mode: 0o644,
        },
      );
      project = makeProject(STACK, PORT, {
        gateway: {
          ...{ port: PORT, drainTimeout: 30, replicas: 2 },
          // Files are closed after each MiB, so that there are several.
          trajectories: { onLogFailure: "refuse", rotateMiB: 1, compress: "zstd", group: READERS },
        },
        cache: { mode: "bundled" },
        database: { mode: "none" },
        models: {
          tiny: {
            engine: "llamacpp",
            model: `file://${model}`,
            memoryMiB: 2048,
            parallel: 4,
            ctxSize: 16_384,
          },
          echo: { engine: "openai", baseUrl: `http://${STUB}:8000/v1`, start: "manual" },
          refuses: { engine: "openai", baseUrl: `http://${STUB}:8000/v1`, start: "manual" },
          missing: { engine: "openai", baseUrl: `http://${STUB}:8000/v1`, start: "manual" },
        },
      });
      const up = await gpubox(project, "up", "--yes");
      expect(up.stderr).toBe("");
      key = await masterKeyOf(project, exportsIn(up.stdout));
      clients = new TrajectoryClients(project.endpoint, key);
      await runBeside(project, { role: "stub", script: "load/stub.py" });
      await until(
        "the stub answers",
        async () => (await complete(project.endpoint, key, "echo")) === "pong:0 ",
        {
          seconds: 300,
        },
      );
    }, 15 * MINUTE);
    afterAll(() => {
      removeProject(project);
      rmSync(folder, { recursive: true });
    });

    test(
      `has each of ${calls} calls once, unchanged: talks with tools, images, errors, clients that hang up`,
      async () => {
        const repeat = <T>(count: number, job: (index: number) => T) =>
          Array.from({ length: count }, (_, i) => job(i));
        const talks = repeat(
          traffic.talks,
          (i) => () => (i % 2 ? clients.openai("tiny", TOOL) : clients.anthropic("tiny", TOOL)),
        );
        const items = repeat(traffic.responses, () => () => clients.responses("tiny"));
        const plain = repeat(traffic.plain, (i) => () => {
          const { path, stream } = kinds[i % kinds.length]!;
          return clients.single(path, asksTiny(path, stream));
        });
        const images = repeat(traffic.images, (i) => () => {
          const { path, stream } = kinds[i % kinds.length]!;
          return clients.single(path, asksStub(path, stream, "chunks=9 interval=0 fault=none", true));
        });
        const gone = repeat(traffic.gone, (i) => () => {
          const path = PATHS[i % PATHS.length]!;
          return clients.hangsUp(path, asksStub(path, true, "chunks=500 interval=0.05 fault=none"));
        });
        const broken = repeat(traffic.broken, (i) => () => {
          const path = PATHS[i % PATHS.length]!;
          return clients.breaks(path, asksStub(path, true, "chunks=9 interval=0 fault=cut"));
        });
        const wrong = repeat(traffic.wrong, (i) => () => {
          const { path, stream } = kinds[i % kinds.length]!;
          const body = [
            { ...asksTiny(path, stream), model: "refuses" },
            { ...asksTiny(path, stream), model: "missing" },
            { ...asksTiny(path, stream), model: "nobody" },
            { model: "tiny", stream },
            '{"model": "tiny", "messages": [',
          ][i % 5];
          return clients.single(path, body, "error");
        });
        // One of each kind after the other, so that all of them meet.
        const jobs = [talks, items, plain, images, gone, broken, wrong].flatMap((list) =>
          list.map((job, index) => ({ job, order: index / list.length })),
        );
        const mixed = jobs.sort((a, b) => a.order - b.order).map(({ job }) => job);
        await inParallel(WORKERS, mixed);

        const report = await settled();
        expect(report).toMatchObject({
          missing: [],
          different: [],
          duplicate: [],
          uncounted: [],
          broken: [],
        });
        expect([report.complete, report.code, report.open]).toEqual([true, 0, 0]);
        expect(clients.sent.length).toBe(calls);

        const byCall = await linesByCall();
        const told = clients.sent.map(({ id }) => (byCall.get(id) ?? []).map(({ outcome }) => outcome));
        expect(told).toEqual(clients.sent.map(({ outcome }) => [outcome]));
        const statuses = clients.sent.map(({ id }) => byCall.get(id)?.[0]?.response?.status);
        const seen = clients.sent.map(({ id, status }) => status ?? byCall.get(id)?.[0]?.response?.status);
        expect(statuses).toEqual(seen);

        const answered = clients.sent
          .filter(({ outcome }) => outcome === "ok")
          .map(({ id }) => byCall.get(id)![0]!);
        // LiteLLM's side is there too.
        expect(answered.filter(({ told, upstream, usage }) => !told || !upstream || !usage)).toEqual([]);
        expect(answered.filter(({ stream, first_token_ms }) => stream && first_token_ms === null)).toEqual(
          [],
        );
        // Both gateways served, and each wrote files of its own.
        expect(new Set(answered.map(({ process }) => process)).size).toBe(2);
        const pictures = answered.filter(({ model }) => model === "echo");
        expect(pictures.length).toBe(traffic.images);
        expect(pictures.filter(({ request }) => !JSON.stringify(request).includes(IMAGE))).toEqual([]);
        // Closed files are compressed.
        const files = readdirSync(logs(), { recursive: true, encoding: "utf8" });
        expect(files.filter((name) => name.endsWith(".jsonl.zst")).length).toBeGreaterThan(1);
      },
      10 * MINUTE,
    );

    test("has the calls of a conversation in order", async () => {
      const shown = await finals();
      for (const { conversation } of clients.talks) {
        const own = shown.filter(({ session_id }) => session_id === conversation);
        const sent = clients.sent
          .filter((one) => one.conversation === conversation)
          .sort((a, b) => a.at - b.at);
        expect(own.map(({ call_id }) => call_id)).toEqual(sent.map(({ id }) => id));
      }
    });

    test(
      "converts to the clients' own lists",
      async () => {
        const out = join(folder, "lists");
        const { stdout } = await trajectory("convert", "--json", "--out", out);
        expect(JSON.parse(stdout).leftOut).toMatchObject({
          "chat/completions disconnected": traffic.gone / 2,
        });
        expect(clients.talks.length).toBe(traffic.talks + traffic.responses);
        for (const { conversation, protocol, messages } of clients.talks) {
          const file = JSON.parse(readFileSync(join(out, `${conversation}.json`), "utf8"));
          expect([file.conversation, file.branches.length, file.branches[0].protocol]).toEqual([
            conversation,
            1,
            protocol,
          ]);
          const [branch] = file.branches;
          if (protocol === "responses") {
            expect([branch.system, branch.messages]).toEqual(["be brief", messages]);
            continue;
          }
          // The last answer has also what the client's own list leaves out.
          const { role, content } = branch.messages.pop();
          expect([...branch.messages, { role, content }]).toEqual(JSON.parse(JSON.stringify(messages)));
        }
      },
      2 * MINUTE,
    );

    test("may be read by the group that the config names, and by nobody else", () => {
      const entries = readdirSync(logs(), { recursive: true, withFileTypes: true });
      const rights = entries.map((entry) => {
        const { gid, mode } = statSync(join(entry.parentPath, entry.name));
        return [gid, (mode & 0o777).toString(8), entry.isFile() ? "file" : "folder"].join(" ");
      });
      expect([...new Set(rights)].sort()).toEqual([`${READERS} 640 file`, `${READERS} 750 folder`]);
    });

    test("holds no key", async () => {
      const texts = filesBelow(logs());
      const unpacked = await run("sh", ["-c", `find ${logs()} -name '*.zst' -exec zstd -dc {} +`]);
      expect(unpacked.stdout.length).toBeGreaterThan(1_000_000);
      expect(leaksIn("log", texts + unpacked.stdout, { key })).toEqual([]);
    });

    test(
      "loses nothing when a gateway is stopped under load",
      async () => {
        const before = clients.sent.length;
        const [first] = await gateways();
        const jobs = Array.from({ length: traffic.under }, (_, i) => () => {
          const { path, stream } = kinds[i % kinds.length]!;
          return clients.single(path, asksStub(path, stream, "chunks=10 interval=0.05 fault=none"));
        });
        const load = inParallel(WORKERS, jobs);
        await until("a third is sent", () => clients.sent.length >= before + traffic.under / 3, {
          seconds: 300,
          everyMs: 20,
        });
        await output("docker", ["stop", "--time", "120", first!]);
        await load;
        const report = await settled();
        expect([report.missing, report.complete]).toEqual([[], true]);
        const byCall = await linesByCall();
        const outcomes = clients.sent
          .slice(before)
          .map(({ id }) => byCall.get(id)?.map(({ outcome }) => outcome));
        expect(outcomes).toEqual(Array(traffic.under).fill(["ok"]));
      },
      5 * MINUTE,
    );

    test(
      "says exactly what a killed gateway did not write",
      async () => {
        const before = clients.sent.length;
        const [, second] = await gateways();
        const jobs = Array.from({ length: traffic.under }, (_, i) => () => {
          const { path, stream } = kinds[i % kinds.length]!;
          return clients.daring(path, asksStub(path, stream, "chunks=10 interval=0.1 fault=none"));
        });
        const load = inParallel(WORKERS, jobs);
        await until("half is sent", () => clients.sent.length >= before + traffic.under / 2, {
          seconds: 300,
          everyMs: 20,
        });
        await output("docker", ["kill", "--signal", "KILL", second!]);
        await load;
        const report = await settled();
        // Streams of a second were in the work.
        expect(report.missing.length).toBeGreaterThan(0);
        // Each client waits for one call, and LiteLLM may still be at the end of the one before.
        expect(report.missing.length).toBeLessThanOrEqual(2 * WORKERS);
        expect(report.missing.filter(({ why }) => !why.startsWith("the gateway was killed "))).toEqual([]);
        expect(report).toMatchObject({
          complete: false,
          code: 2,
          different: [],
          duplicate: [],
          uncounted: [],
        });
        // Of a call without a line there is a record, whichever of the two gateways the edge gave it to.
        const byCall = await linesByCall();
        const unlogged = clients.sent.slice(before).filter(({ id }) => !byCall.has(id));
        expect(unlogged.length).toBeLessThanOrEqual(report.missing.length);
        const afterAnswer = report.missing.filter(({ why }) => why.includes("after it had answered"));
        expect(unlogged.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(
          afterAnswer.length,
        );
        const { code, stdout } = await trajectory("check");
        expect([code, stdout]).toEqual([2, expect.stringContaining(`missing: ${report.missing.length}\n`)]);
        expect(Object.keys(await containersOf(STACK))).toContain("gateway");
      },
      5 * MINUTE,
    );
  });
}

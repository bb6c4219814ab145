import http from "node:http";
import { output } from "../../platform/process";
import { allocate } from "../support/allocate";
import { allowance } from "../support/allowance";
import { needs } from "../support/needs";
import { LoadBox, setModel } from "./box";
import type { Load } from "./client";
import { exchange, type Protocol, type Question } from "./exchange";
import { goodChange } from "./scene";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("load");
const PROTOCOLS: Protocol[] = ["openai", "anthropic"];

/** A short version of `npm run load`, which plays every scene. */
needs("docker", "pulumi")("a box that changes under load", () => {
  let box: LoadBox;
  let load: Load | undefined;

  beforeAll(async () => {
    box = await LoadBox.open(STACK, PORT);
  }, 20 * MINUTE);
  afterEach(() => load?.stop());
  afterAll(() => box.close());

  const ask = (question: Partial<Question>) => {
    const { hostname, port } = new URL(box.project.endpoint);
    const target = { host: hostname, port: Number(port), key: box.key, agent: new http.Agent() };
    const defaults = { protocol: "openai" as const, model: "echo", streamed: true, nonce: "n1x", chunks: 8 };
    return exchange(target, { ...defaults, interval: 0.1, ...question });
  };
  describe("the load counts honestly", () => {
    test.each(PROTOCOLS)("%s: a complete answer is no loss, plain and streamed", async (protocol) => {
      expect((await ask({ protocol })).kind).toBe("ok");
      expect((await ask({ protocol, streamed: false })).kind).toBe("ok");
    });

    test.each(PROTOCOLS)("%s: each fault of a stream is recognised", async (protocol) => {
      const faults = ["lose", "double", "foreign", "cut", "fake"] as const;
      const kinds = await Promise.all(
        faults.map(async (fault) => [fault, (await ask({ protocol, fault })).kind]),
      );
      expect(Object.fromEntries(kinds)).toEqual({
        lose: "wrong",
        double: "wrong",
        foreign: "wrong",
        cut: "cut",
        fake: "cut",
      });
    });

    test("a wrong key, an unknown model and a port without a server are failures", async () => {
      const agent = new http.Agent();
      const target = { host: "127.0.0.1", port: Number(new URL(box.project.endpoint).port), agent };
      const question: Question = {
        protocol: "openai",
        model: "echo",
        streamed: true,
        nonce: "n1x",
        chunks: 2,
        interval: 0,
      };
      const wrongKey = await exchange({ ...target, key: "sk-wrong" }, question);
      expect([wrongKey.kind, wrongKey.reason.slice(0, 3)]).toEqual(["failed", "401"]);
      const noModel = await ask({ model: "no-such-model" });
      expect([noModel.kind, noModel.reason.slice(0, 3)]).toEqual(["failed", "400"]);
      const nobody = await exchange({ ...target, port: 9, key: box.key }, question);
      expect([nobody.kind, nobody.reason]).toEqual(["failed", "ECONNREFUSED"]);
    });
  });

  test(
    "adding a model, a change that is refused, and removing the model lose nothing",
    async () => {
      // A few clients: what many of them meet is a matter of `npm run load`, and LiteLLM takes a core for the usual ones.
      load = await box.load({ shorts: 3, pauseMs: 200, streams: 8, streamSeconds: 10 });
      const added = await goodChange(box, (config) => setModel(config, "extra", box.stubModel("extra")));
      expect(await box.models()).toBe("echo,extra");
      const before = box.serving();
      const bad = await box.change((config) => setModel(config, "bad", box.stubModel("refuses")));
      expect(bad.code).not.toBe(0);
      expect(bad.stdout + bad.stderr).toContain("Model bad refused a chat request: status 401");
      expect(box.serving()).toBe(before);
      const removed = await goodChange(box, (config) => {
        delete config["gpubox:models"]!.extra;
        delete config["gpubox:models"]!.bad;
      });
      expect(await box.models()).toBe("echo");
      const { requests, streams, failed, cut, wrong, reasons } = await load.stop();
      expect({ failed, cut, wrong, reasons }).toEqual({ failed: 0, cut: 0, wrong: 0, reasons: [] });
      expect(Math.min(requests / 100, streams / 8)).toBeGreaterThan(1);
      expect(added.served! + removed.served!).toBeLessThan(allowance(120));
    },
    10 * MINUTE,
  );

  test(
    "a serving gateway that is removed under the load is reported: each of its streams is cut",
    async () => {
      load = await box.load({ shorts: 0, streams: 16 });
      const removed = output("docker", ["rm", "--force", box.serving()]);
      // At once: a stream that began after the cut would wait for a gateway that never comes.
      const { cut, failed, wrong } = await load.stop();
      await removed;
      expect({ cut, failed, wrong }).toEqual({ cut: 16, failed: 0, wrong: 0 });
    },
    2 * MINUTE,
  );
});

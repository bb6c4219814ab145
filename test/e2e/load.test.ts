import http from "node:http";
import { output } from "../../runner/process";
import { LoadBox } from "../load/box";
import { exchange, type Protocol, type Question } from "../load/exchange";
import { play, type Row } from "../load/play";
import { hasDocker, hasPulumi } from "../support/project";

const MINUTE = 60_000;
const PROTOCOLS: Protocol[] = ["openai", "anthropic"];

if (!hasDocker || !hasPulumi) console.warn("SKIPPED: a box under load needs a Docker engine and Pulumi");

/** A short version of `npm run load`, which plays every scene. */
(hasDocker && hasPulumi ? describe : describe.skip)("a box that changes under load", () => {
  let box: LoadBox;

  beforeAll(async () => {
    box = await LoadBox.open("load9", 4490);
  }, 20 * MINUTE);
  afterAll(() => box.close());

  const ask = (question: Partial<Question>) => {
    const { hostname, port } = new URL(box.project.endpoint);
    const target = { host: hostname, port: Number(port), key: box.key, agent: new http.Agent() };
    const defaults = { protocol: "openai" as const, model: "echo", streamed: true, nonce: "n1x", chunks: 6 };
    return exchange(target, { ...defaults, interval: 0, ...question });
  };
  const lost = ({ tally, outcome, verdict }: Row) => ({
    failed: tally?.failed,
    cut: tally?.cut,
    wrong: tally?.wrong,
    verdict,
    reasons: [outcome.note, ...(tally?.reasons ?? [])].filter((words) => verdict === "FAILED" && words),
  });
  const NOTHING = { failed: 0, cut: 0, wrong: 0, verdict: "passed", reasons: [] };

  describe("the load counts itself honest", () => {
    test.each(PROTOCOLS)("%s: a whole answer is none of the losses, plain and streamed", async (protocol) => {
      expect((await ask({ protocol })).kind).toBe("ok");
      expect((await ask({ protocol, streamed: false })).kind).toBe("ok");
    });

    test.each(PROTOCOLS)("%s: each fault of a stream is seen as what it is", async (protocol) => {
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
      expect(lost(await play(box, "add", SHORT))).toEqual(NOTHING);
      expect(lost(await play(box, "bad-key", SHORT))).toEqual(NOTHING);
      expect(lost(await play(box, "remove", SHORT))).toEqual(NOTHING);
    },
    10 * MINUTE,
  );

  test(
    "a serving gateway that is removed under the load is reported: its streams are cut",
    async () => {
      const load = await box.load(SHORT);
      await output("docker", ["rm", "--force", box.serving()]);
      await box.shell(box.verb("up")!);
      const tally = await load.stop();
      expect(tally.cut).toBeGreaterThanOrEqual(SHORT.streams);
    },
    5 * MINUTE,
  );
});

/** Streams that still outlive the switch, so that a drain has something to wait for. */
const SHORT = { shorts: 8, streams: 16, streamSeconds: 20 };

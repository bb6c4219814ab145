import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { Resolved } from "../../configs/kit/resolved";
import { output } from "../../platform/process";
import { resolvedPath } from "../../platform/stack/resolved";
import { pause } from "../support/wait";
import { type LoadBox, mustSucceed, setModel } from "./box";
import { badChange, goodChange, oneGeneration, type Scene } from "./scene";

const ANSWER = "pong from the gpubox test model";

/** Planned changes, good and bad. */
export const changes: Record<string, Scene> = {
  add: {
    title: "add a model",
    bar: "zero",
    run: (box) => goodChange(box, (config) => setModel(config, "extra", box.stubModel("extra"))),
  },
  remove: {
    title: "remove a model",
    bar: "zero",
    prepare: async (box) => {
      if (!(await box.models()).split(",").includes("extra"))
        await goodChange(box, (config) => setModel(config, "extra", box.stubModel("extra")));
    },
    run: (box) => goodChange(box, (config) => delete config["gpubox:models"]!.extra),
  },
  "stop-first": {
    title: "edit a stop-first model",
    bar: "zero",
    prepare: async (box) => {
      const tiny = { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1 };
      await goodChange(box, (config) => setModel(config, "tiny", tiny));
    },
    run: async (box) => {
      // Those who use the model that is replaced are counted apart: its requests wait at the valve.
      const users = await box.load({ model: "tiny", shorts: 2, streams: 0, expected: ANSWER });
      const outcome = await goodChange(box, (config) => {
        (config["gpubox:models"]!.tiny as Record<string, unknown>).ctxSize = 2048;
      });
      const tally = await users.stop();
      const { requests, failed, cut, wrong, longestWait, reasons } = tally;
      const lost = `its own users: ${requests} requests, ${failed} failed, ${cut} cut, ${wrong} wrong, longest wait ${longestWait} s`;
      return { ...outcome, note: [lost, ...reasons].join("; ") };
    },
    restore: async (box) => {
      await goodChange(box, (config) => delete config["gpubox:models"]!.tiny);
    },
  },
  router: {
    title: "change a router setting",
    bar: "zero",
    run: (box) =>
      goodChange(box, (config) => {
        config["gpubox:gateway"]!.routing = { retries: 1 };
      }),
  },
  image: { title: "bump the gateway image", bar: "zero", run: bumpImage, restore: forgetImage },
  key: { title: "rotate the master key", bar: "zero", run: rotateKey },
  "key-end": {
    title: "take the previous master key back",
    bar: "zero",
    prepare: async (box) => {
      if (!box.remember().file.includes("gpubox:previousMasterKey")) await rotateKey(box);
    },
    run: async (box) => {
      const remove = `pulumi config rm gpubox:previousMasterKey --stack ${box.project.stack}`;
      const change = await box.change(() => {}, `${remove} && ${box.pulumiUp}`);
      mustSucceed(change);
      return { served: change.served };
    },
  },
  host: {
    title: "change an edge route",
    bar: "zero",
    run: async (box) => {
      const host = "load.example";
      const up = box.change((config) => {
        config["gpubox:gateway"]!.hosts = [host];
      });
      const served = await box.secondsUntil(async () => (await box.models({ host })) !== "421");
      mustSucceed(await up);
      return { served };
    },
  },
  "bad-config": {
    title: "add a model, with a setting that there is not",
    bar: "zero",
    run: (box) =>
      badChange(box, {
        wrong: (config) => {
          setModel(config, "bad", box.stubModel("bad"));
          config["gpubox:gateway"]!.routing = { strategy: "no-such-strategy" };
        },
        back: (config) => {
          delete config["gpubox:models"]!.bad;
          delete config["gpubox:gateway"]!.routing;
        },
        reason: /gpubox:gateway\.routing\.strategy/,
      }),
  },
  "bad-start": {
    title: "add a model, gateway never ready",
    bar: "zero",
    run: (box) =>
      badChange(box, {
        // Too little for LiteLLM: the engine kills it again and again.
        wrong: (config) => {
          setModel(config, "bad", box.stubModel("bad"));
          config["gpubox:gateway"]!.memoryMiB = 96;
        },
        back: (config) => {
          delete config["gpubox:models"]!.bad;
          delete config["gpubox:gateway"]!.memoryMiB;
        },
        reason: /The new gateway is not served/,
      }),
  },
  "bad-key": {
    title: "add a model that answers 401",
    bar: "zero",
    run: (box) => badModel(box, "refuses", /Model bad refused a chat request: status 401/),
  },
  "bad-name": {
    title: "add a model that answers 404",
    bar: "zero",
    run: (box) => badModel(box, "missing", /Model bad refused a chat request: status 404/),
  },
  "bad-answer": {
    title: "add a model that answers with nothing",
    bar: "zero",
    run: (box) => badModel(box, "empty", /Model bad answered a chat request with nothing/),
  },
  rollback: {
    title: "rollback",
    bar: "zero",
    prepare: async (box) => {
      await goodChange(box, (config) => setModel(config, "mistake", box.stubModel("mistake")));
    },
    run: async (box) => {
      const change = await box.change(() => {}, box.command("rollback"));
      mustSucceed(change);
      if ((await box.models()).includes("mistake")) throw new Error("the rollback left the model");
      await oneGeneration(box);
      return { served: change.served };
    },
  },
  long: {
    title: "streams of 11 minutes across a switch and a change of the edge",
    bar: "zero",
    byName: true,
    clients: { shorts: 2, streams: 4, streamSeconds: 660 },
    prepare: async (box) => {
      await goodChange(box, (config) => {
        config["gpubox:gateway"]!.drainTimeout = 900;
      });
    },
    run: async (box) => {
      const edit = (config: Record<string, Record<string, unknown>>) => {
        setModel(config, "long", box.stubModel("long"));
        config["gpubox:gateway"]!.hosts = ["long.example"];
      };
      const change = await box.change(edit, box.pulumiUp, 20 * 60_000);
      mustSucceed(change);
      await oneGeneration(box);
      return { served: change.served };
    },
  },
};

function badModel(box: LoadBox, model: string, reason: RegExp) {
  return badChange(box, {
    wrong: (config) => setModel(config, "bad", box.stubModel(model)),
    back: (config) => delete config["gpubox:models"]!.bad,
    reason,
  });
}

/** A repository of its own: tests that take the newest of `gpubox/gateway` must not find it. */
const BUMPED = (box: LoadBox) => `gpubox-load/gateway:${box.project.stack}`;

/** Another image, recorded where `gpubox up` records what a new digest resolved to. */
async function bumpImage(box: LoadBox) {
  const path = resolvedPath(box.project.dir, box.project.stack);
  const resolved = JSON.parse(readFileSync(path, "utf8")) as Resolved;
  const recipe = `FROM ${resolved.images.gateway!.reference}\nLABEL gpubox.load=${Date.now()}\n`;
  await output("docker", ["build", "--tag", BUMPED(box), "-"], { stdin: recipe });
  resolved.images.gateway!.reference = BUMPED(box);
  return goodChange(box, () => writeFileSync(path, JSON.stringify(resolved)));
}

async function forgetImage(box: LoadBox): Promise<void> {
  // It resolves the images anew.
  mustSucceed(await box.shell(box.command("up")));
  await output("docker", ["image", "rm", BUMPED(box)]);
}

/** The clients go on with the old key; at the end both work. */
async function rotateKey(box: LoadBox) {
  const old = box.key;
  const fresh = `sk-${randomBytes(24).toString("hex")}`;
  await box.setSecret("previousMasterKey", old);
  await box.setSecret("masterKey", fresh);
  const outcome = await goodChange(box, () => {});
  await pause(3000, "clients with the old key go on after the change");
  const withOld = await box.models();
  box.key = fresh;
  const withNew = await box.models();
  if (withOld !== withNew) throw new Error(`the old key gets ${withOld}, the new one ${withNew}`);
  return outcome;
}

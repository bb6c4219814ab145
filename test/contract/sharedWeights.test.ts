import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { StepPlan } from "../../configs/kit/containerPlan";
import { renderText } from "../../configs/kit/text";
import { scratch } from "../support/allocate";
import { served } from "../support/engines";
import { needs } from "../support/needs";
import { until } from "../support/wait";

/** What brings an entry's files on a cluster, where pods of one node or of one volume write to the same directory. */
function stepOf(entry: Record<string, unknown>): StepPlan & { inside: NonNullable<StepPlan["inside"]> } {
  const [step] = served(entry).weights;
  return { ...step!, inside: step!.inside! };
}

function start([program, ...args]: string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(program!, args, { env: { ...process.env, ...env }, stdio: ["pipe", "ignore", "ignore"] });
}

const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.on("close", resolve));

describe("two pods that bring a model's files at once", () => {
  test("never show a part of the model that comes with gpubox, whichever of them ends first", async () => {
    const dir = scratch("shared-weights");
    const { inside, stdin } = stepOf({ engine: "llamacpp", model: "canned" });
    const text = renderText(stdin ?? [], {});
    const whole = gunzipSync(Buffer.from(text.slice(0, text.indexOf("\n.\n")), "base64"));
    const path = join(dir, "canned.gguf");
    const writer = () => start([...inside.command.slice(0, -1), path]);
    const [first, second] = [writer(), writer()];
    const codes = [ended(first), ended(second)];
    try {
      await until("both write", () => readdirSync(dir).length === 2, { seconds: 20 });
      first.stdin!.end(text);
      expect(await codes[0]).toBe(0);
      expect(readFileSync(path).equals(whole)).toBe(true);
      second.stdin!.end(text);
      expect(await codes[1]).toBe(0);
      expect(readFileSync(path).equals(whole)).toBe(true);
      expect(readdirSync(dir)).toEqual(["canned.gguf"]);
    } finally {
      for (const child of [first, second]) child.kill("SIGKILL");
    }
  });
});

needs("flock")("two pods that pull into one store of Ollama's", () => {
  test("take turns, so that no server starts while another one's pull is at work", async () => {
    const dir = scratch("ollama-store");
    const programs = join(dir, "bin");
    const log = join(dir, "log");
    mkdirSync(programs);
    // As Ollama does: what is pulled is known afterwards.
    const ollama = `#!/bin/bash
case $1 in
  serve) echo "serve $POD" >>"${log}"; until [ -e "${dir}/go" ]; do sleep 0.1; done ;;
  list) exit 0 ;;
  show) [ -e "$OLLAMA_MODELS/pulled" ] ;;
  pull) echo "pull $POD" >>"${log}"; until [ -e "${dir}/go" ]; do sleep 0.1; done; touch "$OLLAMA_MODELS/pulled"; echo "pulled $POD" >>"${log}" ;;
esac
`;
    writeFileSync(join(programs, "ollama"), ollama);
    chmodSync(join(programs, "ollama"), 0o755);
    const { inside } = stepOf({ engine: "ollama", model: "tiny:1b" });
    const env = { OLLAMA_MODELS: dir, PATH: `${programs}${delimiter}${process.env.PATH}` };
    const lines = () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
    const first = start(inside.command, { ...env, POD: "one" });
    const codes = [ended(first)];
    await until("the first one pulls", () => lines().includes("pull one"));
    const second = start(inside.command, { ...env, POD: "two" });
    codes.push(ended(second));
    await until("the second one waits for its turn", () => waitsForLock(second.pid!), { seconds: 20 });
    expect(lines().sort()).toEqual(["pull one", "serve one"]);
    writeFileSync(join(dir, "go"), "");
    expect(await Promise.all(codes)).toEqual([0, 0]);
    expect(lines().slice(2)).toEqual(["pulled one", "serve two"]);
  });
});

/** Whether a child of the process is `flock`. */
function waitsForLock(pid: number): boolean {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  return children.some(
    (child) => child !== "" && readFileSync(`/proc/${child}/comm`, "utf8").trim() === "flock",
  );
}

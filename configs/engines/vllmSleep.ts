import type { Problem } from "../kit/problems";
import type { LockedModel } from "../models/facts";
import type { HostConfig } from "../schema/host";
import { acceleratorOf } from "./devices";
import type { SleepCommands } from "./engine";
import { isTrue } from "./said";
import { givenFlags } from "./spelling";
import { options, parser, type VllmModel } from "./vllmOptions";

/** Where its container has assets/vllm/gpubox_sleep.py. */
const DIRECTORY = "/etc/gpubox";
const PROGRAM = "gpubox_sleep.py";

export const SLEEP_ASSETS = { [PROGRAM]: `vllm/${PROGRAM}` };

/** The class in it that vLLM's API server takes as a middleware. */
export const SLEEP_MIDDLEWARE = "gpubox_sleep.Sleep";

/** vLLM's routes that need no key and that nobody may reach: a sleep needs none of them. */
const DEV_MODE = "VLLM_SERVER_DEV_MODE";

/** Lets vLLM find the middleware. */
export function sleepEnv({ env }: Pick<VllmModel, "env">): Record<string, string> {
  return { PYTHONPATH: env.PYTHONPATH ? `${DIRECTORY}:${env.PYTHONPATH}` : DIRECTORY };
}

/** What a seat runs. */
export function sleepCommands(level: number): SleepCommands {
  const order = (word: string) => ["python3", `${DIRECTORY}/${PROGRAM}`, word, String(level)];
  return { sleep: order("sleep"), wake: order("wake") };
}

const UNLOAD = "Remove sleep: after idleSeconds it is unloaded, and the next request loads it again.";

/** A sleep from which it would not wake, or would wake with other weights than it had. */
export function checkSleep(
  model: VllmModel,
  path: string,
  host: HostConfig,
  locked: LockedModel | undefined,
): Problem[] {
  if (model.sleep === undefined) return [];
  const { kind, devices } = acceleratorOf(model.gpu, host);
  const at = `${path}.sleep`;
  if (kind === "cpu") return [{ path: at, what: "vLLM has no sleep on the CPU.", fix: UNLOAD }];
  if (kind === "intel") return [{ path: at, what: "vLLM has no sleep on Intel's GPUs.", fix: UNLOAD }];
  const problems: Problem[] = [];
  // vllm#50011: on a GB10 it does not wake.
  if (devices.some(({ unified }) => unified))
    problems.push({
      path: at,
      what: "Its device's memory is the host's, where vLLM's sleep frees little and it may not wake.",
      fix: UNLOAD,
    });
  const unlike = model.sleep === 2 ? unlikeBefore(model, locked) : undefined;
  if (unlike)
    problems.push({
      path: at,
      what: `At level 2 vLLM reads the weights again, and ${unlike}.`,
      fix: "Write sleep: 1, which keeps them in the host's memory.",
    });
  // Such a server would go through it all and free nothing.
  if (
    givenFlags(model.extraArgs, parser).some(
      ({ flag, off }) => off && flag.names.includes(options.sleepMode.flag),
    )
  )
    problems.push({
      path: `${path}.extraArgs`,
      what: "It turns off what sleep turns on.",
      fix: "Remove one of them.",
    });
  if (isTrue(model.env[DEV_MODE]))
    problems.push({
      path: `${path}.env.${DEV_MODE}`,
      what: "It opens routes that need no key, put the server to sleep and run its code, to everybody who reaches the server.",
      fix: "Remove it: sleep needs none of them.",
    });
  return problems;
}

/**
 * Why vLLM may not be after level 2 what it was before. Seen right: a dense model of 16 bits, on an H200. Seen wrong: drafts
 * (vllm#52479), quantised weights (vllm#28606), images (NeMo-RL#2631), experts (vllm-ascend#13012). Adapters are not read again.
 */
function unlikeBefore(
  { loraModules, speculativeConfig, quantization: asked }: VllmModel,
  locked: LockedModel | undefined,
): string | undefined {
  if (Object.keys(loraModules).length > 0) return "not those of its adapters";
  if (speculativeConfig && speculativeConfig.method !== "ngram") return "not those of the model that drafts";
  if (!locked) return "nobody knows which kind they are: the model is not locked";
  const { shape, quantization } = locked;
  const kept = asked ?? quantization;
  if (!/^(bfloat16|float16|float32)$/.test(kept))
    return `quantised ones (${kept}) may come back in another order`;
  if (shape.experts > 0) return "experts may come back in another order";
  if (shape.vision || shape.audio) return "those for images and sound may not come back";
  if (shape.task !== "chat" || shape.attention.some(({ kind }) => kind === "recurrent"))
    return "it was tried with dense models of text only";
  return undefined;
}

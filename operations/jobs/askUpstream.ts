import { z } from "zod";
import { STEP_PROCESSES } from "../../configs/kit/processes";
import { renderText, type SecretValues } from "../../configs/kit/text";
import type { Assets } from "../../configs/plan/context";
import { dockerAt } from "../../platform/docker/client";
import { parseJson } from "../../platform/json";
import { UserError } from "../../platform/process";
import type { JobPlan, UpstreamQuestion } from "./plan";

/** Longest time for all of an upstream's answers, in seconds. A model that is loaded on demand may take minutes. */
const SECONDS = 180;

const answer = z.object({
  ok: z.boolean(),
  why: z.enum(["silent", "key", "model", "protocol", "fails"]).nullable(),
  what: z.string().nullable(),
});

const FIXES: Record<string, string> = {
  silent:
    "Start it, or correct `upstream`. It has to be reachable from a container, whose `localhost` is the container itself.",
  key: "Correct the key of `upstream`: for vLLM it is the value of --api-key.",
  model: "Write the name that it serves, for vLLM the value of --served-model-name.",
  protocol: "Name a model that chats, or remove the protocol from `protocols`.",
  fails: "Correct that, or write probe: false to start without a call.",
};

/**
 * Sends the requests that a job's gateway would send, from the same network, before anything starts.
 *
 * @throws UserError with what the upstream cannot do
 */
export async function askUpstream(
  docker: string,
  plan: JobPlan,
  { probe, values, assets }: { probe: boolean; values: SecretValues; assets: Assets },
): Promise<void> {
  for (const question of plan.questions) await ask(docker, plan, question, { probe, values, assets });
}

async function ask(
  docker: string,
  plan: JobPlan,
  { network, key, ...question }: UpstreamQuestion,
  { probe, values, assets }: { probe: boolean; values: SecretValues; assets: Assets },
): Promise<void> {
  const secret = renderText(key, values);
  const result = await dockerAt(docker).run(
    [
      ...["run", "--rm", "--interactive", "--network", network],
      // The container is on the box's network for a while, so `drift` must not report it.
      ...["--label", "gpubox.keep=probe"],
      ...["--add-host", "host.docker.internal:host-gateway", "--user", "65534:65534", "--read-only"],
      ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--memory", "128m"],
      ...["--pids-limit", String(STEP_PROCESSES)],
      ...["--entrypoint", "python3", plan.image, "-c", assets["jobs/upstream.py"]!],
    ],
    {
      stdin: `${JSON.stringify({ ...question, key: secret || null, call: probe, seconds: SECONDS })}\n`,
      timeoutMs: (SECONDS + 30) * 1000,
    },
  );
  const parsed = answer.safeParse(parseJson(result.stdout));
  if (!parsed.success)
    throw new UserError(
      `The upstream of ${plan.name} could not be asked: ${result.stderr.trim().split("\n").at(-1)}.`,
      "Check `docker info`, and whether the stack is up.",
    );
  const { ok, why, what } = parsed.data;
  if (!ok) throw new UserError(`The upstream ${plan.upstream} cannot serve the job: ${what}`, FIXES[why!]!);
}

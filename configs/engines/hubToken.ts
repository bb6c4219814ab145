import type { Problem } from "../kit/problems";
import type { CommandLine } from "./engine";
import { givenFlags, isFlag, knowing } from "./spelling";

/** Flags that hold a hub's token, by the engines that know them. A server fetches nothing, so that none needs it. */
const FLAGS = ["--hf-token", "-hft", "--hf-api-token"];

/** Variables that hold it. */
const VARIABLES = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_API_TOKEN"];

/** Refuses a hub's token in a command line or environment, however short: whoever may use Docker reads both. */
export function checkHubToken(model: object, commandLine: CommandLine | undefined, path: string): Problem[] {
  const { extraArgs = [], env = {} } = model as { extraArgs?: string[]; env?: Record<string, string> };
  const parser = knowing(commandLine?.parser ?? {}, FLAGS);
  const places = extraArgs.flatMap((word, index) => {
    const [given] = givenFlags([word], parser);
    if (!given?.flag.names.some((name) => FLAGS.includes(name))) return [];
    const next = extraArgs[index + 1];
    const apart = given.value === undefined && next !== undefined && !isFlag(next);
    return [{ key: `extraArgs[${apart ? index + 1 : index}]`, as: given.as }];
  });
  const variables = VARIABLES.filter((name) => Object.hasOwn(env, name));
  return [...places, ...variables.map((name) => ({ key: `env.${name}`, as: name }))].map(({ key, as }) => ({
    path: `${path}.${key}`,
    what: `Everybody who may use Docker could read the token of "${as}".`,
    fix: "Leave it out: `up` fetches what servers need. Its token is a secret: pulumi config set --secret gpubox:hfToken.",
  }));
}

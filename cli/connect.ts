import { Argument, Option } from "@commander-js/extra-typings";
import { shellQuote } from "../configs/kit/text";
import { endpointOf } from "../configs/network/endpoint";
import { dockerHostName } from "../configs/network/engine";
import {
  type ChoiceRefusal,
  chatModels,
  chooseModel,
  contextsOf,
  endpointAt,
  keySecret,
} from "../operations/connect/choice";
import { clientConnection, clients, script } from "../operations/connect/clients";
import { UserError } from "../platform/process";
import { exportsFor } from "../platform/pulumi/engine";
import { tunnel } from "../platform/ssh/tunnel";
import { openStack } from "../platform/stack/openStack";
import type { SecretStore } from "../platform/stack/secrets";
import { examples, printing, stackCommand } from "./command";
import { jsonWanted } from "./output";

export const definition = stackCommand("connect")
  .description(
    "Print a script that points a client at the box: base URL, model, and the command that reveals the key.",
  )
  .addArgument(new Argument("<client>").choices(clients))
  .option("--model <name>", "the model; default: the first chat model that starts by itself")
  .option("--host <name>", "the host name that the client uses, one of gateway.hosts")
  .option(
    "--key <name>",
    "a virtual key of gpubox:access, or a secret; default: the first key that may use the model, or masterKey",
  )
  .addOption(
    new Option("--language <language>", "of the openai and anthropic programs")
      .choices(["python", "typescript"] as const)
      .default("python" as const),
  )
  .option("--show-key", "print the key itself")
  .addHelpText("after", examples("connect claude-code", "connect openai --language typescript"))
  .action(
    printing(async (client, values) => {
      const { stack, language } = values;
      const { store, secrets, config, plan: box } = await openStack(stack);
      const keyed = config.gateway.auth === "key";
      const model = accepted(chooseModel(config, client, values.model));
      const secret = keySecret(config, model, values.key);
      if (keyed && !secrets[secret])
        throw new UserError(
          `The stack ${stack} has no secret ${secret}.`,
          "Run `gpubox up` first, or name another with --key.",
        );
      const endpoint = accepted(endpointAt(endpointOf(config), config, values.host));
      const key = keyed ? keyWord(store, secret, values.showKey ? secrets[secret] : undefined) : "none";
      const contexts = contextsOf(box);
      const found = clientConnection(client, {
        stack,
        endpoint,
        model,
        models: chatModels(config),
        contexts,
        key,
        language,
      });
      const master = keyed && secret === "masterKey" && config.database.mode !== "none";
      const way = tunnel(config, [config.gateway]);
      const far = way && ["127.0.0.1", "[::1]", "localhost"].includes(new URL(endpoint).hostname);
      const notes = [
        ...found.notes,
        ...(far
          ? [
              `That address is on ${dockerHostName(config.host.docker)}. For a client on this machine, run in the project's folder: ${way}`,
            ]
          : []),
        ...(master
          ? ["This is the master key, which opens everything. Give people virtual keys where they work."]
          : []),
      ];
      const text = script({ ...found, notes }, key);
      // The script is the result for people too, so nothing else may be on standard output.
      if (!jsonWanted()) console.log(text);
      return { ...found, notes, endpoint, model, key, script: text };
    }),
  );

function accepted(choice: string | ChoiceRefusal): string {
  if (typeof choice === "string") return choice;
  throw new UserError(choice.what, choice.fix);
}

/** A shell word that expands to the key. */
function keyWord(
  { engine, stack, projectDir }: SecretStore,
  secret: string,
  shown: string | undefined,
): string {
  if (shown !== undefined) return shellQuote(shown);
  // The client may start in any folder.
  const there = `cd ${shellQuote(projectDir)}`;
  if (!engine) return `"$(${there}; node -p 'require("./.gpubox/secrets.${stack}.json").${secret}')"`;
  const steps = [
    there,
    ...exportsFor(engine),
    `${engine.program} config get gpubox:${secret} --stack ${stack}`,
  ];
  return `"$(${steps.join("; ")})"`;
}

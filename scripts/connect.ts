import {
  chatModels,
  chooseModel,
  contextsOf,
  endpointAt,
  keySecret,
  type Refusal,
} from "../configs/connect/choice";
import { clients, connection, script } from "../configs/connect/clients";
import { endpointOf } from "../configs/endpoint";
import { hostName } from "../configs/host/address";
import { tunnel } from "../configs/host/tunnel";
import { suggestion } from "../configs/problems";
import { planStack, readStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { exportsFor } from "../runner/pulumiEngine";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets, type SecretStore } from "../runner/secrets";
import { stackOption, verb } from "./verb";

const about = {
  name: "connect",
  does: "Prints a script that points a client at the box: base URL, model, and the key by the command that reveals it.",
  words: clients.join("|"),
  options: {
    stack: stackOption,
    model: {
      type: "string",
      value: "NAME",
      help: "the model; default: the first chat model that starts by itself",
    },
    host: { type: "string", value: "NAME", help: "the host name that the client uses, one of gateway.hosts" },
    key: {
      type: "string",
      value: "NAME",
      help: "a virtual key of gpubox:access, or a secret; default: the first key that may ask the model, else masterKey",
    },
    language: {
      type: "string",
      default: "python",
      value: "python|typescript",
      help: "of the openai and anthropic programs",
    },
    "show-key": { type: "boolean", default: false, help: "print the key itself" },
  },
} as const;

verb(about, async ({ values, positionals: [name, ...rest] }) => {
  const { stack, language } = values;
  const client = clients.find((one) => one === name);
  if (!client || rest.length > 0)
    throw new UserError(
      name ? `There is no client "${name}".` : "Which client?",
      suggestion(name ?? "", [...clients]),
    );
  if (language !== "python" && language !== "typescript")
    throw new UserError(`There is no program in ${language}.`, "Use --language python or typescript.");
  const store = await findSecretStore(defaultProjectDir, stack);
  const secrets = await readSecrets(store);
  const config = readStack(defaultProjectDir, stack, secrets);
  const keyed = config.gateway.auth === "key";
  const model = accepted(chooseModel(config, client, values.model));
  const secret = keySecret(config, model, values.key);
  if (keyed && !secrets[secret])
    throw new UserError(
      `The stack ${stack} has no secret ${secret}.`,
      "Run `npm run up` first, or name another with --key.",
    );
  const endpoint = accepted(endpointAt(endpointOf(config), config, values.host));
  const key = keyed ? keyWord(store, secret, values["show-key"] ? secrets[secret] : undefined) : "none";
  const box = planStack(defaultProjectDir, stack, secrets, readResolved(defaultProjectDir, stack));
  const contexts = contextsOf(box);
  const found = connection(client, {
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
          `That address is on ${hostName(config.host.docker)}. For a client here, in the project's folder: ${way}`,
        ]
      : []),
    ...(master
      ? ["This is the master key, which opens everything. Give people virtual keys where they work."]
      : []),
  ];
  const text = script({ ...found, notes }, key);
  // The script is the result for people too: nothing else may stand in it.
  if (!values.json) console.log(text);
  return { ...found, notes, endpoint, model, key, script: text };
});

function accepted(choice: string | Refusal): string {
  if (typeof choice === "string") return choice;
  throw new UserError(choice.what, choice.fix);
}

/** A word of sh that becomes the key when it is used. */
function keyWord(
  { engine, stack, projectDir }: SecretStore,
  secret: string,
  shown: string | undefined,
): string {
  if (shown !== undefined) return `'${shown.replaceAll("'", "'\\''")}'`;
  // From whatever folder the client is started in.
  const there = `cd '${projectDir.replaceAll("'", "'\\''")}'`;
  if (!engine) return `"$(${there}; node -p 'require("./.gpubox/secrets.${stack}.json").${secret}')"`;
  const steps = [
    there,
    ...exportsFor(engine),
    `${engine.program} config get gpubox:${secret} --stack ${stack}`,
  ];
  return `"$(${steps.join("; ")})"`;
}

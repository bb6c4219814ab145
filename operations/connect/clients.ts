import { shellQuote } from "../../configs/kit/text";

/** Programs that `gpubox connect` can set up. */
export const clients = ["openai", "anthropic", "claude-code", "openhands", "opencode", "open-webui"] as const;

export type Client = (typeof clients)[number];

/** What a client needs to know about a box. */
export interface Way {
  stack: string;
  /** Base URL without `/v1`. */
  endpoint: string;
  /** The model to start with. */
  model: string;
  /** Every chat model, for clients that let their user choose. */
  models: string[];
  /** Tokens per request of each model, where the box knows the limit. */
  contexts: Record<string, number>;
  /**
   * A shell word that expands to the key: `"$(pulumi config get …)"`. It is the key itself only when a person asked for
   * that.
   */
  key: string;
  language: "python" | "typescript";
}

export interface Connection {
  client: Client;
  /** Environment variables, except the one with the key. */
  env: Record<string, string>;
  /** The variable for the key. */
  keyVariable: string;
  /** A file that the client reads. */
  file?: { path: string; text: string };
  /** Shell commands that start the client. */
  run: string;
  notes: string[];
}

/** Approximate tokens of Claude Code's own instructions and tools: 2.1.330 sends 78 KB, at four bytes a token. */
const AGENT_TOKENS = 20_000;

/** How to point a client at a box. */
export function clientConnection(client: Client, way: Way): Connection {
  const v1 = `${way.endpoint}/v1`;
  const { model, language } = way;
  const context = way.contexts[model];
  switch (client) {
    case "openai":
      return {
        client,
        env: { OPENAI_BASE_URL: v1 },
        keyVariable: "OPENAI_API_KEY",
        run: language === "python" ? python(OPENAI_PYTHON, model) : node(OPENAI_TYPESCRIPT, model),
        notes: [`The ${language} package \`openai\` reads both variables.`],
      };
    case "anthropic":
      return {
        client,
        env: { ANTHROPIC_BASE_URL: way.endpoint },
        keyVariable: "ANTHROPIC_API_KEY",
        run: language === "python" ? python(ANTHROPIC_PYTHON, model) : node(ANTHROPIC_TYPESCRIPT, model),
        notes: [
          `The ${language} package \`${language === "python" ? "anthropic" : "@anthropic-ai/sdk"}\` reads both variables, and adds /v1 itself.`,
        ],
      };
    case "claude-code":
      return {
        client,
        env: {
          ANTHROPIC_BASE_URL: way.endpoint,
          // Every tier that it may choose by itself. Otherwise it would ask for Anthropic's own names.
          ANTHROPIC_MODEL: model,
          ANTHROPIC_DEFAULT_OPUS_MODEL: model,
          ANTHROPIC_DEFAULT_SONNET_MODEL: model,
          ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
          CLAUDE_CODE_SUBAGENT_MODEL: model,
          // It assumes a million tokens for a model that it does not know, and then never compacts in time.
          ...(context ? { CLAUDE_CODE_MAX_CONTEXT_TOKENS: String(context) } : {}),
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
          // Without it, the system prompt begins with the client's version and a fingerprint of the conversation (until 2.1.181 of
          // the request), so that no two conversations share a prefix: code.claude.com/docs/en/llm-gateway-protocol.
          CLAUDE_CODE_ATTRIBUTION_HEADER: "0",
        },
        keyVariable: "ANTHROPIC_AUTH_TOKEN",
        run: "unset ANTHROPIC_API_KEY   # the client would send it instead\nclaude",
        notes:
          context !== undefined && context < AGENT_TOKENS
            ? [
                `NOTE: one request of ${model} may have ${context} tokens, and Claude Code's instructions alone take about ${AGENT_TOKENS}.`,
              ]
            : [],
      };
    case "openhands":
      return {
        client,
        // OpenHands uses LiteLLM's library, where the prefix selects the protocol.
        env: { LLM_BASE_URL: v1, LLM_MODEL: `openai/${model}` },
        keyVariable: "LLM_API_KEY",
        run: "openhands --override-with-envs",
        notes: ["In its web interface: Custom Model, Base URL and API Key under LLM, Advanced."],
      };
    case "opencode":
      return {
        client,
        env: {},
        keyVariable: "GPUBOX_API_KEY",
        file: { path: "opencode.gpubox.json", text: opencodeConfig(way, v1) },
        run: 'export OPENCODE_CONFIG="$PWD/opencode.gpubox.json"\nopencode',
        notes: ["Or put the file's `provider` into your own opencode.json."],
      };
    case "open-webui":
      return {
        client,
        env: { OPENAI_API_BASE_URL: v1, ENABLE_OLLAMA_API: "false" },
        keyVariable: "OPENAI_API_KEY",
        run: "open-webui serve",
        notes: [
          "It stores these in its database at the first start. Change them later under Admin, Connections.",
        ],
      };
  }
}

/** The connection as a shell script with comments for people. */
export function script({ env, keyVariable, file, run, notes }: Connection, key: string): string {
  const quoted = (value: string) => (/^[A-Za-z0-9_./:-]+$/.test(value) ? value : shellQuote(value));
  return [
    ...notes.map((note) => `# ${note}`),
    ...Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`),
    `export ${keyVariable}=${key}`,
    ...(file ? [`cat > ${file.path} <<'END'`, file.text, "END"] : []),
    run,
  ].join("\n");
}

/** Without a limit opencode assumes an endless context. It reserves at most this part for an answer. */
function limitOf(context: number | undefined) {
  return context ? { limit: { context, output: Math.min(8192, Math.floor(context / 4)) } } : {};
}

function opencodeConfig({ stack, models, model, contexts }: Way, baseURL: string): string {
  const names = [...new Set([model, ...models])];
  return JSON.stringify(
    {
      $schema: "https://opencode.ai/config.json",
      provider: {
        gpubox: {
          npm: "@ai-sdk/openai-compatible",
          name: `gpubox ${stack}`,
          options: { baseURL, apiKey: "{env:GPUBOX_API_KEY}" },
          models: Object.fromEntries(names.map((name) => [name, { name, ...limitOf(contexts[name]) }])),
        },
      },
      model: `gpubox/${model}`,
      small_model: `gpubox/${model}`,
    },
    null,
    2,
  );
}

function python(program: string, model: string): string {
  return `python3 - <<'END'\n${program.replace("MODEL", JSON.stringify(model))}\nEND`;
}

function node(program: string, model: string): string {
  return `node --input-type=module - <<'END'\n${program.replace("MODEL", JSON.stringify(model))}\nEND`;
}

const OPENAI_PYTHON = `from openai import OpenAI

client = OpenAI()
messages = [{"role": "user", "content": "ping"}]
answer = client.chat.completions.create(model=MODEL, messages=messages)
print(answer.choices[0].message.content)`;

const OPENAI_TYPESCRIPT = `import OpenAI from "openai";

const client = new OpenAI();
const messages = [{ role: "user", content: "ping" }];
const answer = await client.chat.completions.create({ model: MODEL, messages });
console.log(answer.choices[0].message.content);`;

const ANTHROPIC_PYTHON = `from anthropic import Anthropic

client = Anthropic()
messages = [{"role": "user", "content": "ping"}]
answer = client.messages.create(model=MODEL, max_tokens=256, messages=messages)
print(answer.content[0].text)`;

const ANTHROPIC_TYPESCRIPT = `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const messages = [{ role: "user", content: "ping" }];
const answer = await client.messages.create({ model: MODEL, max_tokens: 256, messages });
console.log(answer.content[0].text);`;

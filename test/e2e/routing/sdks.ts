import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { run } from "../../../platform/process";
import { testNeeds } from "../../support/needs";
import { pythonWithSdks } from "../../support/pythonSdks";
import type { RoutedBox } from "./box";

const MINUTE = 60_000;

/** The official clients. */
export function sdkStories(box: RoutedBox): void {
  describe("the official SDKs", () => {
    test("openai in TypeScript: whole, streamed, with an own parameter, with a wrong key", async () => {
      const client = new OpenAI({ baseURL: `${box.project.endpoint}/v1`, apiKey: box.key, maxRetries: 0 });
      const messages = [{ role: "user" as const, content: box.fresh() }];
      const body = { model: "plain", messages, top_k: 7, prompt_cache_key: "session-1" };
      const whole = await client.chat.completions.create(body);
      expect(whole.choices[0]!.message.content).toBe("said by plain");
      expect((await box.stub.seen()).plain!.last).toMatchObject({ top_k: 7 });
      let text = "";
      for await (const chunk of await client.chat.completions.create({
        model: "plain",
        messages,
        stream: true,
      }))
        text += chunk.choices[0]?.delta.content ?? "";
      expect(text).toBe("said by plain");
      const stranger = new OpenAI({
        baseURL: `${box.project.endpoint}/v1`,
        apiKey: "sk-wrong",
        maxRetries: 0,
      });
      await expect(stranger.models.list()).rejects.toMatchObject({ status: 401 });
    });

    test("anthropic in TypeScript: whole, streamed, with prompt caching, counting, with a wrong key", async () => {
      const client = new Anthropic({ baseURL: box.project.endpoint, apiKey: box.key, maxRetries: 0 });
      const question = {
        model: "plain",
        max_tokens: 32,
        system: [{ type: "text" as const, text: "Be brief.", cache_control: { type: "ephemeral" as const } }],
        messages: [{ role: "user" as const, content: box.fresh() }],
      };
      const whole = await client.messages.create(question);
      expect(whole.content).toMatchObject([{ type: "text", text: "said by plain" }]);
      expect(whole.usage.output_tokens).toBe(1000);
      expect(await client.messages.stream(question).finalText()).toBe("said by plain");
      const { model, messages } = question;
      expect((await client.messages.countTokens({ model, messages })).input_tokens).toBeGreaterThan(0);
      const stranger = new Anthropic({ baseURL: box.project.endpoint, apiKey: "sk-wrong", maxRetries: 0 });
      await expect(stranger.messages.create(question)).rejects.toMatchObject({ status: 401 });
    });

    testNeeds("python3 with venv")(
      "openai and anthropic in Python: the same",
      async () => {
        const python = await pythonWithSdks();
        const { code, stdout, stderr } = await run(
          python,
          ["test/support/sdk.py", box.project.endpoint, "plain"],
          {
            cwd: box.project.dir,
            env: { GPUBOX_KEY: box.key },
            timeoutMs: 120_000,
          },
        );
        expect([code, stderr]).toEqual([0, ""]);
        expect(JSON.parse(stdout)).toEqual({
          openai: "said by plain",
          openai_stream: "said by plain",
          openai_models: expect.arrayContaining(["plain", "shaky-alias"]),
          openai_embedding: [0.25, 0.5],
          openai_wrong_key: 401,
          anthropic: "said by plain",
          anthropic_usage: 1000,
          anthropic_stream: "said by plain",
          anthropic_tokens: true,
          anthropic_wrong_key: 401,
        });
      },
      5 * MINUTE,
    );
  });
}

import { bodyFor, chat, complaints, each, notAnswered, notRefused } from "./answers";
import { type AttackBox, type Name, testOn } from "./lab";
import { EVIL, responseId } from "./parameters";
import { ROUTES } from "./steering";
import { nothingElse } from "./upstream";

/** What steers beside JSON: forms, ids of answers, and header fields. */
export function formAttacks(box: () => AttackBox, on: Name[]): void {
  testOn(on, ["clients", "job"], "a form, or a file, steers no more than JSON does", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const form = new URLSearchParams({
      model: to.model,
      api_base: EVIL,
      messages: "[]",
      prompt: "x",
      input: "x",
    }).toString();
    const parts = Object.entries({
      model: to.model,
      api_base: EVIL,
      custom_llm_provider: "openai",
      extra_headers: '{"x-attack":"1"}',
    });
    const multipart = `${parts.map(([field, value]) => `--B\r\nContent-Disposition: form-data; name="${field}"\r\n\r\n${value}\r\n`).join("")}--B\r\nContent-Disposition: form-data; name="file"; filename="../../a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--B--\r\n`;
    const paths = [...ROUTES, ...(name === "clients" ? ["/v1/audio/transcriptions"] : [])];
    const attempts = paths.flatMap((path) => [
      { path, type: "application/x-www-form-urlencoded", body: form },
      {
        path,
        type: "multipart/form-data; boundary=B",
        body: path.includes("audio") ? multipart.replace(`\r\n${to.model}\r\n`, "\r\nears\r\n") : multipart,
      },
      { path, type: "multipart/form-data", body: multipart },
      { path, type: "text/plain", body: JSON.stringify(bodyFor(to.model, path, "plain text")) },
      {
        path,
        type: "application/json; charset=utf-16",
        body: JSON.stringify(bodyFor(to.model, path, "utf-16")),
      },
      {
        path,
        type: "application/json",
        body: `${JSON.stringify(bodyFor(to.model, path, "x")).slice(0, -1)},"api_base":"${EVIL}","api_base":"${EVIL}"}`,
      },
      { path, type: "application/json", body: "[1,2]" },
      { path, type: "application/json", body: '"text"' },
      { path, type: "application/json", body: "null" },
      { path, type: "application/json", body: "{" },
      { path, type: "application/json", body: "" },
      { path, type: "application/json", body: `{"model":${"[".repeat(3_000)}${"]".repeat(3_000)}}` },
      { path, type: "application/json", body: JSON.stringify({ model: { api_base: EVIL } }) },
      {
        path,
        type: "application/json",
        body: JSON.stringify({ model: to.model, messages: "x", input: 1, prompt: {}, max_tokens: "x" }),
      },
      { path, type: "application/json", body: JSON.stringify({ model: to.model }) },
      { path, type: "application/json", body: `\xff\xfe{"model": "${to.model}"}` },
    ]);
    const found = await each(
      attempts,
      async ({ path, type, body }): Promise<[string, string | undefined]> => [
        `${path} ${type} ${JSON.stringify(body.slice(0, 80))}`,
        notAnswered(await box().ask(to, { method: "POST", path, headers: [`Content-Type: ${type}`], body })),
      ],
    );
    expect(complaints(found)).toEqual([]);
    await nothingElse(box());
  });

  testOn(on, ["clients", "job"], "no crafted id of an answer leads to a provider", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const given = await box().post(to, "/v1/responses", bodyFor(to.model, "/v1/responses", `kept ${name}`));
    // Of the very server that answered, so that it would be asked.
    const server = given.headers["x-litellm-model-id"];
    expect([given.status, server]).toEqual([200, expect.stringMatching(/./)]);
    const ids = [
      ...["../models", "..", "?x", "x/../../y", "x#", "%2e%2e%2fmodels", "x;response_id:../models"].map(
        (part) => responseId("hosted_vllm", server ?? "", part),
      ),
      ...["openai", "azure", "oobabooga", "anthropic", "baseten", "hosted_vllm", "None"].map((provider) =>
        responseId(provider, "x", "resp_1"),
      ),
      ...[
        responseId("openai", "x", "../../files"),
        responseId("openai", EVIL, "x"),
        responseId("openai", "far", `?${EVIL}`),
      ],
      ...[
        "x",
        "resp_x",
        "resp_",
        "..%2f..%2ffiles",
        `resp_${btoa("litellm:x")}`,
        `resp_${btoa("\xff\xfe")}`,
        encodeURIComponent(EVIL),
      ],
    ];
    const attempts = ids.flatMap((id) => [
      ...["GET", "DELETE"].map((method) => ({ method, path: `/v1/responses/${id}`, body: undefined })),
      { method: "GET", path: `/v1/responses/${id}/input_items`, body: undefined },
      { method: "POST", path: `/v1/responses/${id}/cancel`, body: "{}" },
    ]);
    const found = await each(
      attempts,
      async ({ method, path, body }): Promise<[string, string | undefined]> => [
        `${method} ${path}`,
        notRefused(await box().ask(to, { method, path, headers: ["Content-Type: application/json"], body })),
      ],
    );
    expect(complaints(found)).toEqual([]);
    await nothingElse(box());
  });

  testOn(on, ["clients", "job"], "no header field of LiteLLM's own steers it", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const fields = [
      ...[
        "x-litellm-api-base",
        "x-litellm-timeout",
        "x-litellm-num-retries",
        "x-litellm-tags",
        "x-litellm-spend-logs-metadata",
      ],
      ...[
        "x-litellm-disable-callbacks",
        "x-litellm-enable-message-redaction",
        "x-litellm-end-user-id",
        "x-litellm-call-id",
      ],
      ...[
        "x-goog-api-key",
        "x-pass-x-attack",
        "x-mcp-auth",
        "x-mcp-servers",
        "langfuse_host",
        "langfuse_trace_id",
        "openai-organization",
      ],
      ...[
        "anthropic-beta",
        "x-api-base",
        "llm_provider-x-attack",
        "x-attack",
        "x-stainless-helper",
        "forwarded",
        "x-real-ip",
      ],
    ];
    const found = await each(fields, async (field): Promise<[string, string | undefined]> => {
      const headers = [`${field}: ${EVIL}`, "Content-Type: application/json"];
      const body = JSON.stringify(chat(to.model, `field ${name} ${field}`));
      return [
        field,
        notAnswered(await box().ask(to, { method: "POST", path: "/v1/chat/completions", headers, body })),
      ];
    });
    expect(complaints(found)).toEqual([]);
    await nothingElse(box());
  });
}

import type { Branch, ChatProtocol } from "../../../../operations/trajectory/conversations";
import { translate } from "../../../../operations/trajectory/translate";

const user = (content: unknown) => ({ role: "user", content });
const said = (content: unknown, more: object = {}) => ({ role: "assistant", content, ...more });

const schema = { type: "object", properties: { city: { type: "string" } } };
const openai: Branch = {
  protocol: "openai",
  model: "m",
  calls: ["1"],
  tools: [{ type: "function", function: { name: "weather", description: "tells it", parameters: schema } }],
  messages: [
    { role: "system", content: "be brief" },
    user([
      { type: "text", text: "what is it" },
      { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
      { type: "image_url", image_url: { url: "https://example.com/a.png" } },
    ]),
    {
      role: "assistant",
      content: "I look",
      reasoning_content: "hm",
      tool_calls: [
        { id: "t1", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } },
        { id: "t2", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } },
      ],
    },
    { role: "tool", tool_call_id: "t1", content: "rain" },
    { role: "tool", tool_call_id: "t2", content: "sun" },
    user("thanks"),
    { role: "assistant", content: "welcome" },
  ],
};
const anthropic: Branch = {
  protocol: "anthropic",
  model: "m",
  calls: ["1"],
  system: "be brief",
  tools: [{ name: "weather", description: "tells it", input_schema: schema }],
  messages: [
    user([
      { type: "text", text: "what is it" },
      { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
      { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
    ]),
    said([
      { type: "thinking", thinking: "hm" },
      { type: "text", text: "I look" },
      { type: "tool_use", id: "t1", name: "weather", input: { city: "Bern" } },
      { type: "tool_use", id: "t2", name: "weather", input: { city: "Rome" } },
    ]),
    user([
      { type: "tool_result", tool_use_id: "t1", content: "rain" },
      { type: "tool_result", tool_use_id: "t2", content: "sun" },
    ]),
    user("thanks"),
    said([{ type: "text", text: "welcome" }]),
  ],
};

const responses: Branch = {
  protocol: "responses",
  model: "m",
  calls: ["1"],
  system: "be brief",
  tools: [{ type: "function", name: "weather", description: "tells it", parameters: schema }],
  messages: [
    user([
      { type: "input_text", text: "what is it" },
      { type: "input_image", image_url: "data:image/png;base64,AAAA" },
      { type: "input_image", image_url: "https://example.com/a.png" },
    ]),
    { type: "reasoning", id: "rs1", summary: [{ type: "summary_text", text: "hm" }] },
    { type: "message", id: "m1", ...said([{ type: "output_text", text: "I look", annotations: [] }]) },
    { type: "function_call", id: "f1", call_id: "t1", name: "weather", arguments: '{"city":"Bern"}' },
    { type: "function_call", id: "f2", call_id: "t2", name: "weather", arguments: '{"city":"Rome"}' },
    { type: "function_call_output", call_id: "t1", output: "rain" },
    { type: "function_call_output", call_id: "t2", output: "sun" },
    { type: "message", ...user("thanks") },
    { type: "message", id: "m2", ...said([{ type: "output_text", text: "welcome", annotations: [] }]) },
  ],
};

test.each<[string, Branch, ChatProtocol, Branch]>([
  ["responses to chat completions", responses, "openai", openai],
  ["responses to Anthropic's", responses, "anthropic", anthropic],
  ["OpenAI's to Anthropic's", openai, "anthropic", anthropic],
  ["Anthropic's to OpenAI's", anthropic, "openai", openai],
  ["OpenAI's to its own", openai, "openai", openai],
])("messages are translated from %s", (_, from, to, expected) => {
  expect(JSON.parse(JSON.stringify(translate(from, to)))).toEqual(expected);
});

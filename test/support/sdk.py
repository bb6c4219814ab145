"""The official Python SDKs against a box: python3 sdk.py ENDPOINT MODEL, the key in GPUBOX_KEY. Prints what they read as JSON."""

import json
import os
import sys

import anthropic
import openai

endpoint, model = sys.argv[1:]
key = os.environ["GPUBOX_KEY"]
question = [{"role": "user", "content": "from python"}]
seen = {}

client = openai.OpenAI(base_url=f"{endpoint}/v1", api_key=key, max_retries=0)
whole = client.chat.completions.create(model=model, messages=question, extra_body={"top_k": 7})
seen["openai"] = whole.choices[0].message.content
stream = client.chat.completions.create(model=model, messages=question, stream=True)
seen["openai_stream"] = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
seen["openai_models"] = sorted(m.id for m in client.models.list())
seen["openai_embedding"] = client.embeddings.create(model="embed", input="x", encoding_format="float").data[0].embedding
try:
    openai.OpenAI(base_url=f"{endpoint}/v1", api_key="sk-wrong", max_retries=0).models.list()
except openai.AuthenticationError as error:
    seen["openai_wrong_key"] = error.status_code

claude = anthropic.Anthropic(base_url=endpoint, api_key=key, max_retries=0)
system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
message = claude.messages.create(model=model, max_tokens=32, system=system, messages=question)
seen["anthropic"] = message.content[0].text
seen["anthropic_usage"] = message.usage.output_tokens
with claude.messages.stream(model=model, max_tokens=32, messages=question) as events:
    seen["anthropic_stream"] = events.get_final_text()
seen["anthropic_tokens"] = claude.messages.count_tokens(model=model, messages=question).input_tokens > 0
try:
    anthropic.Anthropic(base_url=endpoint, api_key="sk-wrong", max_retries=0).messages.create(
        model=model, max_tokens=1, messages=question
    )
except anthropic.AuthenticationError as error:
    seen["anthropic_wrong_key"] = error.status_code

print(json.dumps(seen))

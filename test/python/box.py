"""A recorder with an application behind it, and what LiteLLM tells it."""

import asyncio

from support import lines_of
from trajectory_recorder import HEADER, Recorder, told

BODY = b'{"model": "m",  "messages": [{"role":"user","content":"hi"}], "n": 1.0}'
SAID = {"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": "pong"}}]}
OK = {"litellm_call_id": "call-1", "trace_id": "trace-1", "session_id": "", "model": "openai/m", "model_id": "m@a",
      "custom_llm_provider": "openai", "api_base": "http://user:word@up:1/v1", "response_cost": 0.25, "cache_hit": False,
      "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
DENIED = {"error": {"message": "no such key", "type": "auth_error", "code": "401"}}


def failure(number, deployment="m@a"):
    return {"at": 1000.0 + number, "type": "InternalServerError", "message": f"boom {number}", "code": "500",
            "call_id": "call-1", "trace_id": "trace-1", "model_id": deployment, "model": "openai/m", "api_base": None,
            "custom_llm_provider": "openai"}


class Box:
    """A recorder with an application behind it, and the files that it made."""

    def __init__(self, directory, store):
        self.directory = directory
        self.store = store
        self.recorder = Recorder(None, store)

    def call(self, scope):
        return self.recorder.calls[dict(scope["headers"])[HEADER].decode()]

    def succeed(self, scope, event=OK):
        call = self.call(scope)
        call.success = event
        told(call)

    async def ask(self, client, app):
        self.recorder.app = app
        await self.recorder(client.scope, client.receive, client.send)
        return client

    def run(self, client, app):
        asyncio.run(asyncio.wait_for(self.ask(client, app), 20))
        return client

    @property
    def lines(self):
        return lines_of(self.directory)

    @property
    def counted(self):
        return [record for record in lines_of(self.directory, "log.counter.jsonl") if record["kind"] != "start"]

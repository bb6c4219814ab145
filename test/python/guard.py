"""Rules of a guard that is small enough to see through, and a web server's side of a request."""

from guard_body import Rules
from guard_front import Front
from support import App, Client, answer, stream

KEEP = ["model", "messages", "temperature", "metadata", "cache", "stream", "litellm_session_id"]


def rules(unknown="drop", cache={"scope": "key", "ttlSeconds": 60}, many=False, affinity=None):
    return Rules(
        {
            "routes": {
                "chat/completions": {"api": "openai", "keep": KEEP},
                "completions": {"api": "openai", "keep": ["model", "prompt", "stream"]},
                "messages": {"api": "anthropic", "keep": KEEP},
                "responses": {"api": "openai", "keep": ["model", "input", "stream"]},
                "audio/transcriptions": {"api": "openai", "keep": ["model", "file", "language"]},
                "images/edits": {"api": "openai", "keep": ["model", "prompt", "image", "stream"], "whole": True},
            },
            "steering": ["api_base", "api_key", "cache_key", "extra_body", "headers"],
            "prefixes": ["_", "litellm_", "mock_", "metadata["],
            "metadata": ["redis_namespace", "user_api_key"],
            "headers": ["x-litellm-session-id"],
            "unknown": unknown,
            "cache": cache,
            "many": many,
            **({"affinity": affinity} if affinity else {}),
        }
    )


class Guarded:
    """A guard with an application behind it that answers with `messages`."""

    def __init__(self, messages=None, is_ending=None, **about):
        self.app = App(messages or answer(200, {"ok": True}))
        self.front = Front(self.app, rules(**about), is_ending)

    async def ask(self, *args, query=b"", method="POST", **about):
        client = Client(*args, **about)
        client.scope.update(query_string=query, method=method)
        await self.front(client.scope, client.receive, client.send)
        return client


__all__ = ["Guarded", "answer", "rules", "stream"]

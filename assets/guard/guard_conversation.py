"""Which conversation a request belongs to, as its client says or as its body begins: pure, no LiteLLM in it."""

import hashlib
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar

# By route: what comes before the turns of a conversation, and the turns.
_TURNS = {
    "chat/completions": (None, "messages"),
    "messages": ("system", "messages"),
    "responses": ("instructions", "input"),
}
# A prompt of /v1/completions shows no turns, so there only a name counts.
_ROUTES = frozenset([*_TURNS, "completions"])
# What of a message changes although its text does not: the marker of Anthropic's cache wanders to the last message.
_FORM = frozenset(["cache_control", "type"])

_SESSION = b"x-litellm-session-id"
# Claude Code's helpers have prompts of their own in the session of who started them, many at a time:
# code.claude.com/docs/en/llm-gateway-protocol.
_HELPER = b"x-claude-code-agent-id"

_current = ContextVar("conversation", default=None)
_running = Counter()


class Conversation:
    """Of one request. `name`: what its client calls it, `helper`: and whose part of it this is. `opening`: by what it begins.
    `able`: the servers that could answer."""

    __slots__ = ("name", "helper", "opening", "able")

    def __init__(self, name, helper, opening):
        self.name = name
        self.helper = helper
        self.opening = opening
        self.able = []


def current():
    """The conversation of the request that this task answers; None on other routes."""
    return _current.get()


def conversation_of(route, headers, body):
    """None where a request is no part of one."""
    if route not in _ROUTES or not isinstance(body, dict):
        return None
    # LiteLLM would go by the id of a trace first, which may be another one for each request.
    name = _header(headers, _SESSION) or body.get("litellm_session_id") or None
    return Conversation(name, _header(headers, _HELPER), None if name else _opening(route, body))


def _header(headers, wanted):
    return next((value for name, value in headers if name.lower() == wanted), b"").decode("latin-1")


@contextmanager
def asking(conversation):
    """While the request is answered."""
    opening = conversation.opening if conversation else None
    if opening is not None:
        _running[opening] += 1
        # A conversation asks one question at a time. More at once are several that begin alike (samples of one prompt, a
        # load test), and one server must not get them all.
        if _running[opening] > 1:
            conversation.opening = None
    token = _current.set(conversation)
    try:
        yield
    finally:
        _current.reset(token)
        if opening is not None:
            _running[opening] -= 1
            if _running[opening] == 0:
                del _running[opening]


def _opening(route, body):
    """A hash of the system prompt and the first message, or of the name that OpenAI's clients give to what they repeat."""
    said = [str(body.get("model"))]
    repeated = body.get("prompt_cache_key")
    if isinstance(repeated, str) and repeated:
        return _hash([*said, repeated])
    before, turns = (body.get(name) for name in _TURNS.get(route, (None, None)))
    said += _texts(before)
    if isinstance(turns, str) and turns:
        return _hash([*said, turns])
    for turn in turns if isinstance(turns, list) else ():
        if isinstance(turn, dict):
            said += _texts(turn.get("content"))
            if turn.get("role") == "user":
                return _hash(said)
    return None


def _texts(content):
    """Every text in it: a message is the same as one string and as a list of parts."""
    found = []
    rest = [content]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, list):
            rest.extend(reversed(one))
        elif isinstance(one, dict):
            rest.extend(one[name] for name in sorted(one, reverse=True) if name not in _FORM)
    return found


def _hash(texts):
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.hexdigest()

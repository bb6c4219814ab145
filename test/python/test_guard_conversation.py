import asyncio
import json

import pytest
from guard import Guarded
from hypothesis import given
from hypothesis import strategies as st

import guard_conversation
from guard_conversation import asking, conversation_of, current

CHAT, MESSAGES, RESPONSES = "chat/completions", "messages", "responses"
texts = st.text(max_size=6)


def opening(route, body, headers=()):
    return conversation_of(route, headers, {"model": "m", **body}).opening


def turns(*said):
    return [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(said)]


def begun(route, system, said):
    """A conversation of each API, with a system prompt and turns."""
    if route == CHAT:
        return {"messages": [{"role": "system", "content": system}, *turns(*said)]}
    before, what = {MESSAGES: ("system", "messages"), RESPONSES: ("instructions", "input")}[route]
    return {before: system, what: turns(*said)}


routes = st.sampled_from([CHAT, MESSAGES, RESPONSES])


@given(routes, texts, texts, st.lists(texts, max_size=4))
def test_a_conversation_that_goes_on_is_the_same(route, system, first, more):
    assert opening(route, begun(route, system, [first])) == opening(route, begun(route, system, [first, *more]))


@given(routes, st.tuples(texts, texts), st.tuples(texts, texts))
def test_another_system_prompt_or_first_message_is_another(route, one, other):
    same = opening(route, begun(route, one[0], [one[1]])) == opening(route, begun(route, other[0], [other[1]]))
    assert same == (one == other)


@given(texts)
def test_a_text_is_the_same_as_a_list_of_parts_whatever_markers_they_have(text):
    parts = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    as_parts = {"messages": [{"role": "user", "content": parts}]}
    assert opening(MESSAGES, as_parts) == opening(MESSAGES, {"messages": turns(text)})


def test_another_image_is_another_conversation_and_so_is_another_model():
    def image(data, model="m"):
        parts = [{"type": "image_url", "image_url": {"url": data}}, {"type": "text", "text": "what?"}]
        return opening(CHAT, {"model": model, "messages": [{"role": "user", "content": parts}]})

    assert len({image("a"), image("b"), image("a", "n")}) == 3


def test_an_input_of_one_text_is_a_first_message():
    assert opening(RESPONSES, {"input": "hi"}) == opening(RESPONSES, {"input": turns("hi", "hello", "go on")})


def test_a_name_comes_first_the_header_before_the_body():
    body = {"messages": turns("hi"), "litellm_session_id": "said"}
    named = conversation_of(CHAT, [(b"X-LiteLLM-Session-Id", b"sent")], body)
    assert (named.name, named.opening) == ("sent", None)
    assert conversation_of(CHAT, [], body).name == "said"
    assert conversation_of(CHAT, [(b"X-Claude-Code-Agent-Id", b"helper")], body).helper == "helper"
    assert conversation_of("completions", [(b"x-litellm-session-id", b"sent")], {"prompt": "hi"}).name == "sent"


def test_what_a_client_repeats_by_name_is_one_conversation():
    one = opening(RESPONSES, {"input": "a", "prompt_cache_key": "k"})
    assert one == opening(RESPONSES, {"input": "b", "prompt_cache_key": "k"}) != opening(RESPONSES, {"input": "a"})


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": [{"role": "assistant", "content": "x"}]}, {"messages": 1}])
def test_without_a_first_message_there_is_no_opening(body):
    assert opening(CHAT, body) is None


def test_other_routes_have_no_conversations():
    assert conversation_of("embeddings", [], {"model": "m", "input": "a"}) is None
    assert conversation_of("completions", [], {"model": "m", "prompt": "a"}).opening is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.sampled_from(["content", "role", "text"]), inner, max_size=3),
    max_leaves=10,
)


@given(routes, st.dictionaries(st.sampled_from(["messages", "system", "input", "instructions", "prompt_cache_key"]), json_values))
def test_no_body_breaks_it(route, body):
    assert isinstance(opening(route, body), (str, type(None)))


def test_of_several_requests_at_once_only_the_first_goes_by_its_opening():
    def begin():
        return conversation_of(CHAT, [], {"model": "m", "messages": turns("hi")})

    with asking(begin()):
        first = current()
        with asking(begin()):
            assert current().opening is None
        assert current() is first and first.opening is not None
    assert current() is None
    with asking(begin()):
        assert current().opening == first.opening
    assert not guard_conversation._running


def test_the_front_says_it_to_what_answers_and_forgets_it_also_after_an_error():
    seen = []

    class Fails:
        async def __call__(self, scope, receive, send):
            seen.append(current())
            raise ValueError

    def ask(path, body, **about):
        guarded = Guarded(**about)
        guarded.front.app = Fails()
        with pytest.raises(ValueError):
            asyncio.run(guarded.ask(path, json.dumps({"model": "m", **body}).encode(), [(b"content-type", b"application/json")]))
        return seen.pop()

    assert ask("/v1/chat/completions", {"messages": turns("hi")}, affinity=60).opening is not None
    assert ask("/v1/chat/completions", {"messages": turns("hi")}) is None
    assert (current(), dict(guard_conversation._running)) == (None, {})

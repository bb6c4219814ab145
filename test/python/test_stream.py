"""A streamed answer is put together to what the same answer is without streaming."""

import json

import pytest

from support import data
from trajectory_stream import assemble


def chat(delta, finish=None, **more):
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }


def test_of_chat_completions_with_thinking_tools_and_usage():
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get", "arguments": ""}}
    other = {"index": 1, "id": "call_2", "type": "function", "function": {"name": "put", "arguments": "{}"}}
    chunks = data(
        chat({"role": "assistant", "content": ""}),
        chat({"reasoning_content": "hm"}),
        chat({"reasoning_content": "m"}),
        chat({"content": "Grüß"}),
        chat({"content": " Gott"}),
        chat({"tool_calls": [call]}),
        chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        chat({"tool_calls": [other, {"index": 0, "function": {"arguments": "1}"}}]}),
        chat({}, "tool_calls"),
        {**chat({}), "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        b"[DONE]",
    )
    body, complete, error = assemble("chat/completions", b"".join(chunks))
    assert (complete, error) == (True, None)
    assert body == {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Grüß Gott",
                    "reasoning_content": "hmm",
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": '{"a":1}'}},
                        {"id": "call_2", "type": "function", "function": {"name": "put", "arguments": "{}"}},
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


def test_of_several_choices_with_their_log_probabilities():
    def chunk(index, text):
        choice = {"index": index, "delta": {"content": text}, "logprobs": {"content": [{"token": text}]}}
        return {"object": "chat.completion.chunk", "choices": [choice]}

    body, _, _ = assemble("chat/completions", b"".join(data(chunk(1, "b"), chunk(0, "a"), chunk(1, "d"))))
    assert [choice["message"]["content"] for choice in body["choices"]] == ["a", "bd"]
    assert body["choices"][1]["logprobs"] == {"content": [{"token": "b"}, {"token": "d"}]}


def test_of_the_older_completions():
    def chunk(text, finish=None):
        return {"object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}

    body, complete, _ = assemble("completions", b"".join(data(chunk("to"), chunk("day", "stop"), b"[DONE]")))
    assert body == {"object": "text_completion", "choices": [{"index": 0, "text": "today", "finish_reason": "stop"}]}
    assert complete


def messages(*blocks, end=True):
    start = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "stop_reason": None}
    events = [{"type": "message_start", "message": {**start, "usage": {"input_tokens": 3, "output_tokens": 0}}}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    if end:
        usage = {"output_tokens": 7}
        events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": usage})
        events.append({"type": "message_stop"})
    return b"".join(b"event: %s\n" % event["type"].encode() + part for event, part in zip(events, data(*events)))


def test_of_messages_with_thinking_text_and_a_tool():
    raw = messages(
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [{"type": "thinking_delta", "thinking": "let me"}, {"type": "signature_delta", "signature": "s1"}],
        ),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}, {"type": "text_delta", "text": "lo"}]),
        (
            {"type": "tool_use", "id": "t1", "name": "get", "input": {}},
            [{"type": "input_json_delta", "partial_json": '{"a"'}, {"type": "input_json_delta", "partial_json": ":[1]}"}],
        ),
        ({"type": "tool_use", "id": "t2", "name": "now", "input": {}}, []),
    )
    body, complete, error = assemble("messages", raw)
    assert (complete, error) == (True, None)
    assert body == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "let me", "signature": "s1"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "t1", "name": "get", "input": {"a": [1]}},
            {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
        ],
        "model": "m",
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 7},
    }


def test_of_messages_that_end_inside_the_arguments_of_a_tool():
    block = {"type": "tool_use", "id": "t1", "name": "get", "input": {}}
    body, complete, _ = assemble("messages", messages((block, [{"type": "input_json_delta", "partial_json": '{"a'}]), end=False))
    assert not complete
    assert body["content"] == [{**block, "partial_json": '{"a'}]


def test_of_responses_is_what_its_last_event_says():
    done = {"id": "r1", "status": "completed", "output": [{"type": "message", "content": []}]}
    events = [{"type": "response.created", "response": {"id": "r1", "output": []}}, {"type": "response.completed", "response": done}]
    assert assemble("responses", b"".join(data(*events))) == (done, True, None)


def test_of_responses_without_the_last_event_is_what_is_done():
    item = {"type": "message", "content": [{"text": "hi"}]}
    events = [
        {"type": "response.created", "response": {"id": "r1", "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]
    assert assemble("responses", b"".join(data(*events))) == ({"id": "r1", "output": [item]}, False, None)


@pytest.mark.parametrize("cut", [1, 30, 75, 130])
def test_that_was_cut_anywhere_keeps_the_whole_events_before_the_cut(cut):
    raw = b"".join(data(chat({"content": "one "}), chat({"content": "two"}, "stop"), b"[DONE]"))
    body, complete, _ = assemble("chat/completions", raw[: len(raw) - cut])
    assert not complete
    assert "one two".startswith(body["choices"][0]["message"]["content"])


@pytest.mark.parametrize("route", ["chat/completions", "messages"])
def test_with_an_error_in_it_says_so(route):
    error = {"message": "out of memory", "type": "server_error"}
    event = {"error": error} if route != "messages" else {"type": "error", "error": error}
    assert assemble(route, b"".join(data(event)))[2] == error


def test_with_comments_and_carriage_returns_is_the_same():
    raw = b": ping\r\n\r\n" + data(chat({"content": "a"}))[0].replace(b"\n", b"\r\n") + b": ping\n\n"
    assert assemble("chat/completions", raw)[0]["choices"][0]["message"] == {"content": "a"}


def test_of_a_route_without_a_form_of_its_own_is_left_as_it_is():
    assert assemble("audio/speech", b"data: x\n\n") == (None, True, None)


def test_words_that_each_chunk_says_anew_are_there_once():
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get", "arguments": "{"}}
    more = {**call, "function": {"arguments": "}"}}
    raw = b"".join(data(*[chat({"role": "assistant", "tool_calls": [one]}) for one in (call, more)]))
    message = assemble("chat/completions", raw)[0]["choices"][0]["message"]
    function = {"name": "get", "arguments": "{}"}
    assert message == {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}


def test_unknown_parts_of_a_delta_are_kept():
    raw = b"".join(data(chat({"provider_specific_fields": {"x": "a"}}), chat({"provider_specific_fields": {"x": "b"}, "audio": None})))
    message = assemble("chat/completions", raw)[0]["choices"][0]["message"]
    assert message == {"provider_specific_fields": {"x": "ab"}, "audio": None}
    assert json.dumps(message)

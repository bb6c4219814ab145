"""Puts a streamed answer together, as the client received it, to what the same answer is without streaming."""

import orjson

# What a stream of each route ends with when nothing is missing.
DONE = b"[DONE]"


def assemble(route, raw):
    """The answer, whether its end was seen, and an error that came inside the stream: (body, complete, error)."""
    merge = {"chat/completions": _Chat, "completions": _Chat, "messages": _Messages, "responses": _Responses}.get(route)
    if merge is None:
        return None, True, None
    merge = merge()
    complete = False
    error = None
    for data in events(raw):
        if data == DONE:
            complete = True
            continue
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        if not isinstance(event, dict):
            continue
        if event.get("error") and event.get("type") in (None, "error"):
            error = event["error"]
            continue
        complete = merge.add(event) or complete
    return merge.body(), complete, error


def events(raw):
    """The data of each event of a stream; one that was cut off in the middle is left out."""
    data = []
    for line in raw.replace(b"\r\n", b"\n").split(b"\n")[:-1]:
        if line.startswith(b"data:"):
            data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif not line and data:
            yield b"\n".join(data)
            data = []


def _join(old, new):
    """Adds a delta's value to what there is: texts and lists grow, the parts of objects each for itself."""
    if isinstance(old, str) and isinstance(new, str):
        return old + new
    if old is None:
        return new
    if new is None:
        return old
    if isinstance(old, list) and isinstance(new, list):
        return _join_lists(old, new)
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in new.items():
            # Words that are said anew in each chunk, and not in parts.
            same = key in ("role", "type", "id") and old.get(key) == value
            old[key] = value if same else _join(old.get(key), value)
        return old
    return new


def _join_lists(old, new):
    for item in new:
        index = item.get("index") if isinstance(item, dict) else None
        known = [one for one in old if isinstance(one, dict) and one.get("index") == index] if index is not None else []
        if known:
            _join(known[0], {key: value for key, value in item.items() if key != "index"})
        else:
            old.append(item)
    return old


class _Chat:
    """OpenAI's chat completions, and its older completions, whose choices hold the text itself."""

    def __init__(self):
        self.head = None
        self.choices = {}

    def add(self, chunk):
        choices = chunk.pop("choices", None) or []
        if self.head is None:
            self.head = chunk
        else:
            for key, value in chunk.items():
                if value is not None:
                    self.head[key] = value
        for choice in choices:
            index = choice.get("index", 0)
            known = self.choices.get(index)
            if known is None:
                known = self.choices[index] = {"index": index}
            for key, value in choice.items():
                if key == "delta":
                    known["message"] = _join(known.get("message", {}), value or {})
                elif key == "text":
                    known["text"] = known.get("text", "") + (value or "")
                elif key == "logprobs":
                    known["logprobs"] = _join(known.get("logprobs"), value)
                elif key != "index" and (value is not None or key not in known):
                    known[key] = value
        # The end is `[DONE]`.
        return False

    def body(self):
        if self.head is None:
            return None
        for choice in self.choices.values():
            for call in choice.get("message", {}).get("tool_calls") or []:
                call.pop("index", None)
        kind = {"chat.completion.chunk": "chat.completion"}.get(self.head.get("object"), self.head.get("object"))
        return {**self.head, "object": kind, "choices": [self.choices[index] for index in sorted(self.choices)]}


class _Messages:
    """Anthropic's messages."""

    def __init__(self):
        self.message = None
        self.blocks = {}
        self.json = {}

    def add(self, event):
        kind = event.get("type")
        if kind == "message_start":
            self.message = event.get("message") or {}
        elif kind == "content_block_start":
            self.blocks[event.get("index", 0)] = event.get("content_block") or {}
        elif kind == "content_block_delta":
            self._delta(event.get("index", 0), event.get("delta") or {})
        elif kind == "message_delta" and self.message is not None:
            self.message.update(event.get("delta") or {})
            known = {key: value for key, value in (event.get("usage") or {}).items() if value is not None}
            self.message["usage"] = {**(self.message.get("usage") or {}), **known}
        return kind == "message_stop"

    def _delta(self, index, delta):
        block = self.blocks.setdefault(index, {})
        kind = delta.get("type")
        if kind == "input_json_delta":
            self.json.setdefault(index, []).append(delta.get("partial_json") or "")
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
        else:
            for key, value in delta.items():
                if key != "type":
                    block[key] = _join(block.get(key), value)

    def body(self):
        if self.message is None:
            return None
        for index, parts in self.json.items():
            text = "".join(parts)
            try:
                self.blocks[index]["input"] = orjson.loads(text) if text else self.blocks[index].get("input", {})
            except orjson.JSONDecodeError:
                # The client hung up in the middle of the arguments.
                self.blocks[index]["partial_json"] = text
        return {**self.message, "content": [self.blocks[index] for index in sorted(self.blocks)]}


class _Responses:
    """OpenAI's responses: the last event holds all. Before it, the items that are done."""

    ENDS = ("response.completed", "response.incomplete", "response.failed")

    def __init__(self):
        self.response = None
        self.items = {}

    def add(self, event):
        if isinstance(event.get("response"), dict):
            self.response = event["response"]
        if event.get("type") == "response.output_item.done":
            self.items[event.get("output_index", 0)] = event.get("item")
        return event.get("type") in self.ENDS

    def body(self):
        if self.response is not None and not self.response.get("output"):
            self.response["output"] = [self.items[index] for index in sorted(self.items)]
        return self.response

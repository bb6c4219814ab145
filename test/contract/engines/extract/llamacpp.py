"""llama.cpp's server as llama-cpp-python vendors it: flags and their environment, routes."""

from __future__ import annotations

import re

from . import ExtractError, routes
from .clike import Token, calls, close, has, split, tokens, words
from .environ import variables
from .flags import flag, in_order
from .release import Release

ROOT = "vendor/llama.cpp"
# The package itself reads its flags, by every name.
SPELLS = True

KEEP = [f"{ROOT}/common/*.cpp", f"{ROOT}/common/*.h", f"{ROOT}/tools/server/*.cpp", f"{ROOT}/ggml/src/ggml.c"]

SERVER = "LLAMA_EXAMPLE_SERVER"
COMMON = "LLAMA_EXAMPLE_COMMON"

_NUMBERS = {"stoi": "int", "stol": "int", "stoul": "int", "stoull": "int", "stof": "float", "stod": "float"}

# Functions that read a variable by name.
_READERS = ("getenv", "common_get_env", "common_get_path_from_env")


# `new field_num("top_k", …)` of its schema, and what its OpenAI routes take out of a body.
_FIELD = re.compile(r'new field_\w+\("(\w[\w.]*)"|json_value\(body, *"(\w+)"|body\.(?:contains|at)\("(\w+)"')


def also(release: Release) -> dict[str, dict]:
    """What bodies may say, for the gateway's guard. The server reads them alike on every route."""
    text = "".join(release.read(path) for path in release.paths(f"{ROOT}/tools/server/*.cpp"))
    text += release.read(f"{ROOT}/common/chat.cpp")
    names = {next(filter(None, found.groups())) for found in _FIELD.finditer(text)}
    return {"configs/bodies/llamacpp.json": {"routes": {"chat/completions": sorted(names), "completions": sorted(names)}}}


def extract(release: Release) -> dict:
    source = {
        path: tokens(release.read(path)) for path in release.paths(f"{ROOT}/**/*") if not path.endswith(".h")
    }
    arg = for_server(source[f"{ROOT}/common/arg.cpp"])
    values = Values(source)
    multimodal = named_examples(arg, "mmproj_examples")
    options = [
        option for option in (parse(call, values, multimodal) for _, call in calls(arg, "add_opt")) if option
    ]
    env = {name: one["type"] for one in options for name in one["env"]}
    for path, stream in source.items():
        if "/common/" in path or "/server/" in path:
            env.update({name: "string" for name in reads(stream) if name not in env})
    return {
        "flags": in_order([one["flag"] | ({"env": one["env"]} if one["env"] else {}) for one in options]),
        "env": variables(set(env), env),
        "endpoints": routes.in_order(list(served(source[f"{ROOT}/tools/server/server.cpp"]))),
    }


def for_server(stream: list[Token]) -> list[Token]:
    """Without the `else` of each `if (ex == LLAMA_EXAMPLE_SERVER)`."""
    kept: list[Token] = []
    index = 0
    while index < len(stream):
        kept.append(stream[index])
        index += 1
        if [t.text for t in kept[-6:]] == ["if", "(", "ex", "==", SERVER, ")"] and stream[index].text == "{":
            end = close(stream, index)
            kept += stream[index : end + 1]
            index = end + 1
            if [t.text for t in stream[index : index + 2]] == ["else", "{"]:
                index = close(stream, index + 1) + 1
    return kept


def named_examples(stream: list[Token], name: str) -> set[str]:
    """`name = { LLAMA_EXAMPLE_X, … }`."""
    start = next(i for i, t in enumerate(stream) if t.text == name and stream[i + 1].text == "=")
    return {t.text for t in stream[start + 2 : close(stream, start + 2)] if t.kind == "name"}


def parse(call: list[list[Token]], values: Values, multimodal: set[str]) -> dict | None:
    """`add_opt(common_arg({names}, …, handler).set_examples(…).set_env(…))`; None for options of other programs."""
    (stream,) = call
    if stream[0].text != "common_arg":
        raise ExtractError(f"add_opt({stream[0].text} …)")
    end = close(stream, 1)
    chain = stream[end + 1 :]
    examples = {
        t.text
        for _, parts in calls(chain, "set_examples")
        for part in parts
        for t in part
        if t.kind == "name"
    }
    excludes = {
        t.text
        for _, parts in calls(chain, "set_excludes")
        for part in parts
        for t in part
        if t.kind == "name"
    }
    if "mmproj_examples" in examples:
        examples = multimodal
    if any(not name.startswith("LLAMA_EXAMPLE_") for name in examples | excludes):
        raise ExtractError(f"unknown programs: {sorted(examples | excludes)}")
    if not (examples or {COMMON}) & {COMMON, SERVER} or SERVER in excludes or has(chain, "set_preset_only"):
        return None
    parts = split(stream[2:end])
    names, rest = words(parts[0]), parts[1:-1]
    parameters, body = handler(parts[-1])
    # `{names}, {negated names}, help, handler`
    negatives = words(rest[0]) if rest and rest[0][0].text == "{" else []
    options = shape(parameters, body, values)
    if negatives:
        options["negatives"] = negatives
    env = [word for _, arguments in calls(chain, "set_env") for part in arguments for word in words(part)]
    kind = "bool" if options["arity"] == "0" else options.get("type", "string")
    # A switch that can be turned off has a second variable for that.
    env += [name.replace("LLAMA_ARG_", "LLAMA_ARG_NO_") for name in env if negatives]
    return {"flag": flag(names, **options), "env": env, "type": kind}


def handler(stream: list[Token]) -> tuple[list[list[Token]], list[Token]]:
    """Parameters after `params`, and the body, of `[](common_params & params, int value) { … }`."""
    if stream[0].text != "[":
        raise ExtractError(f"a handler that is no lambda: {' '.join(t.text for t in stream[:8])}")
    opened = close(stream, 0) + 1
    closed = close(stream, opened)
    return split(stream[opened + 1 : closed])[1:], stream[closed + 1 :]


def shape(parameters: list[list[Token]], body: list[Token], values: Values) -> dict:
    removed = next((words(parts[0])[0] for _, parts in calls(body, "arg_removed")), None)
    if not parameters:
        return {"arity": "0", "removed": removed}
    kinds = {t.text for parameter in parameters for t in parameter}
    if len(parameters) == 2:
        return {"arity": "2", "removed": removed}
    if "bool" in kinds:
        return {"arity": "0", "removed": removed}
    if "int" in kinds:
        return {"arity": "1", "type": "int", "removed": removed}
    value = parameters[0][-1].text
    compared, closed = values.of(body, value)
    kind = next(
        (kind for function, kind in _NUMBERS.items() if has(body, function, "(", value, ")")), "string"
    )
    options: dict = {"arity": "1", "type": kind, "removed": removed}
    if kind != "string":
        options["words"] = compared
    elif list(calls(body, "common_speculative_types_from_names")):
        options.update(choices=values.speculative, separator=",")
    elif closed:
        options["choices"] = compared
    return options


class Values:
    """What a handler compares its value with, also inside the functions that it hands the value to."""

    def __init__(self, source: dict[str, list[Token]]):
        self.functions: dict[str, tuple[str, list[Token]]] = {}
        for path, stream in source.items():
            if "/common/" in path:
                self.functions.update(string_functions(stream))
        self.speculative = names_of_map(
            source[f"{ROOT}/common/speculative.cpp"], "common_speculative_type_from_name_map"
        )
        self.cache_types = cache_types(source[f"{ROOT}/common/arg.cpp"], source[f"{ROOT}/ggml/src/ggml.c"])

    def of(self, body: list[Token], value: str, depth: int = 0) -> tuple[list[str], bool]:
        """The words, and whether another one is refused."""
        found, closed = [], refuses(body)
        for index, token in enumerate(body[:-2]):
            if token.text == value and body[index + 1].text == "==" and body[index + 2].kind == "string":
                found.append(body[index + 2].text)
        for index, token in enumerate(body[:-3]):
            called = [t.text for t in body[index + 1 : index + 4]]
            if token.kind != "name" or called != ["(", value, ")"] or depth > 2:
                continue
            if token.text == "kv_cache_type_from_str":
                return self.cache_types, True
            if token.text in self.functions:
                inner, inner_closed = self.of(
                    self.functions[token.text][1], self.functions[token.text][0], depth + 1
                )
                found += inner
                closed = closed or inner_closed
        return found, bool(found) and closed


def refuses(body: list[Token]) -> bool:
    """Whether what no comparison has taken is refused: the last `else`, or the last statement, throws."""
    if has(body, "else", "{", "throw") or has(body, "else", "throw"):
        return True
    statements = split(body[1 : close(body, 0)], ";")
    # Blocks end without a semicolon, so the last statement may follow some.
    last = statements[-1] if statements else []
    return any(t.text == "throw" and (i == 0 or last[i - 1].text == "}") for i, t in enumerate(last))


def string_functions(stream: list[Token]) -> dict[str, tuple[str, list[Token]]]:
    """Functions of one string: name to the parameter's name and the body."""
    found = {}
    for index in range(1, len(stream) - 1):
        if stream[index].kind == "name" and stream[index + 1].text == "(" and stream[index - 1].text != ".":
            try:
                closed = close(stream, index + 1)
            except ExtractError:
                continue
            parameters = split(stream[index + 2 : closed])
            defined = closed + 1 < len(stream) and stream[closed + 1].text == "{"
            if (
                defined
                and len(parameters) == 1
                and parameters[0][-1].kind == "name"
                and has(parameters[0], "string")
            ):
                body = stream[closed + 1 : close(stream, closed + 1) + 1]
                found[stream[index].text] = (parameters[0][-1].text, body)
    return found


def names_of_map(stream: list[Token], name: str) -> list[str]:
    """Keys of `name = { {"key", VALUE}, … }`."""
    start = next(i for i, t in enumerate(stream) if t.text == name and stream[i + 1].text == "=")
    return [words(row)[0] for row in split(stream[start + 3 : close(stream, start + 2)])]


def cache_types(arg: list[Token], ggml: list[Token]) -> list[str]:
    """`kv_cache_types` of arg.cpp, by the names that ggml gives those types."""
    names = {}
    for index, token in enumerate(ggml):
        if token.text.startswith("GGML_TYPE_") and [t.text for t in ggml[index + 1 : index + 4]] == [
            "]",
            "=",
            "{",
        ]:
            entry = split(ggml[index + 4 : close(ggml, index + 3)])
            for part in entry:
                if part[1].text == "type_name":
                    names[token.text] = part[-1].text
    start = next(i for i, t in enumerate(arg) if t.text == "kv_cache_types" and arg[i + 2].text == "{")
    return [names[part[0].text] for part in split(arg[start + 3 : close(arg, start + 2)])]


def reads(stream: list[Token]) -> set[str]:
    """Names handed to a function that reads variables, also from a table of names."""
    found = {
        words(parts[0])[0]
        for reader in _READERS
        for _, parts in calls(stream, reader)
        if parts and words(parts[0])
    }
    if any(
        has(part, "entry", ".", "var")
        for _, parts in calls(stream, "common_get_path_from_env")
        for part in parts
    ):
        start = next(i for i, t in enumerate(stream) if t.text == "entries" and stream[i + 4].text == "{")
        table = split(stream[start + 5 : close(stream, start + 4)])
        found |= {words(row)[0] for row in table if row[1].kind == "string"}
    return found


def served(server: list[Token]):
    """`ctx_http.post("/v1/x", …)`."""
    for verb, method in (("get", "GET"), ("post", "POST"), ("del", "DELETE")):
        for index, parts in calls(server, verb):
            if server[index - 2].text == "ctx_http" and parts and parts[0][0].kind == "string":
                yield {"method": method, "path": parts[0][0].text}

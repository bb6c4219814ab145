"""Ollama: commands and their flags, environment, routes."""

from __future__ import annotations

from . import ExtractError, routes
from .clike import Token, calls, close, split, tokens, words
from .environ import variables
from .flags import flag, in_order
from .release import Release

KEEP = ["envconfig/*.go", "server/routes.go", "cmd/cmd.go", "fs/ggml/ggml.go"]

_ENV = {
    "Var": "string",
    "String": "string",
    "Bool": "bool",
    "BoolWithDefault": "bool",
    "Uint": "int",
    "Uint64": "int",
    "LogLevel": "string",
}
_FLAGS = {"Bool": "0", "String": "1", "Int": "1", "Float64": "1"}


def extract(release: Release) -> dict:
    env: dict[str, str] = {}
    for path in release.paths("envconfig/*.go"):
        if not path.endswith("_test.go"):
            env.update(read(tokens(release.read(path))))
    return {
        "commands": commands(tokens(release.read("cmd/cmd.go"))),
        "flags": [],
        "env": [
            {**one, "choices": cache_types(tokens(release.read("fs/ggml/ggml.go")))}
            if one["name"] == "OLLAMA_KV_CACHE_TYPE"
            else one
            for one in variables(set(env), env)
        ],
        "endpoints": routes.in_order(list(served(tokens(release.read("server/routes.go"))))),
    }


def read(stream: list[Token]) -> dict[str, str]:
    """`Bool("OLLAMA_X")`, `Uint("OLLAMA_X", 0)`, `Var("OLLAMA_X")`."""
    found: dict[str, str] = {}
    for function, kind in _ENV.items():
        for _, parts in calls(stream, function):
            # A reader of more than text says more.
            if parts and parts[0][0].kind == "string" and found.get(parts[0][0].text, "string") == "string":
                found[parts[0][0].text] = kind
    return found


def served(stream: list[Token]):
    """`r.POST("/v1/x", …)`."""
    for method in ("GET", "POST", "HEAD", "DELETE", "PUT", "PATCH"):
        for index, parts in calls(stream, method):
            if [t.text for t in stream[index - 2 : index]] == ["r", "."] and parts[0][0].kind == "string":
                yield {"method": method, "path": parts[0][0].text}


def commands(stream: list[Token]) -> list[dict]:
    """`createCmd := &cobra.Command{Use: "create MODEL", …}` with `createCmd.Flags().StringP("file", "f", …)`."""
    found: dict[str, dict] = {}
    for index, token in enumerate(stream):
        if (
            token.text == "Command"
            and [t.text for t in stream[index - 2 : index]] == ["cobra", "."]
            and stream[index + 1].text == "{"
        ):
            variable = stream[index - 5].text if stream[index - 4].text == ":=" else stream[index - 4].text
            for part in split(stream[index + 2 : close(stream, index + 1)]):
                if [t.text for t in part[:2]] == ["Use", ":"] and part[2].kind == "string":
                    found[variable] = {"name": part[2].text.split()[0], "use": part[2].text, "flags": []}
    for index, token in enumerate(stream[:-5]):
        if token.text in found and [t.text for t in stream[index + 1 : index + 5]] == [
            ".",
            "Flags",
            "(",
            ")",
        ]:
            made = declared(stream[index + 6], stream, index + 6) if stream[index + 5].text == "." else None
            if made:
                found[token.text]["flags"].append(made)
    if "serve" not in {one["name"] for one in found.values()}:
        raise ExtractError("ollama serve is gone")
    return [
        {**one, "flags": in_order(one["flags"])}
        for one in sorted(found.values(), key=lambda one: one["name"])
    ]


def declared(function: Token, stream: list[Token], index: int) -> dict | None:
    short = function.text.endswith("P")
    arity = _FLAGS.get(function.text[:-1] if short else function.text)
    if arity is None:
        return None
    given = words(stream[index + 1 : close(stream, index + 1)])
    names = [f"--{given[0]}", *([f"-{given[1]}"] if short else [])]
    return flag(names, arity, "int" if function.text.startswith("Int") else "string")


def cache_types(stream: list[Token]) -> list[str]:
    """`return slices.Contains([]string{"q8_0", "q4_0"}, cacheType)` of the function that says which are quantized, and f16."""
    for _, parts in calls(stream, "Contains"):
        if parts[-1][-1].text == "cacheType":
            return sorted({"f16", *words(parts[0])} - {""})
    raise ExtractError("the cache types are gone")

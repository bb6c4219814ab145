"""vLLM: flags of `vllm serve`, environment, routes, parser registries."""

from __future__ import annotations

import ast

from . import ExtractError, environ, routes
from .bodies import of_classes
from .flags import in_order
from .pysource import Module, Sources, evaluate, statements
from .pytypes import kinds
from .release import Release
from .vllm_arguments import Parser, frontend, method

# The package itself reads its flags, by every name.
SPELLS = True

KEEP = [
    "vllm/__init__.py",
    "vllm/envs.py",
    "vllm/config/*.py",
    "vllm/engine/arg_utils.py",
    "vllm/entrypoints/*.py",
    "vllm/renderers/*.py",
    "vllm/usage/*.py",
    "vllm/reasoning/__init__.py",
    "vllm/tool_parsers/__init__.py",
    "vllm/tool_parsers/tool_strict_level.py",
    "vllm/model_executor/layers/quantization/__init__.py",
    "vllm/model_executor/model_loader/__init__.py",
    "vllm/transformers_utils/config.py",
    "vllm/v1/attention/*.py",
]

# Where the flags of `vllm serve` are defined, newest release first.
CLI_ARGS = ["vllm.entrypoints.common.cli_args", "vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args"]

# Classes that parse each route's body.
BODIES = {
    "chat/completions": [("vllm.entrypoints.openai.chat_completion.protocol", "ChatCompletionRequest")],
    "completions": [("vllm.entrypoints.openai.completion.protocol", "CompletionRequest")],
    "responses": [("vllm.entrypoints.openai.responses.protocol", "ResponsesRequest")],
    "messages": [("vllm.entrypoints.anthropic.protocol", "AnthropicMessagesRequest")],
    "messages/count_tokens": [("vllm.entrypoints.anthropic.protocol", "AnthropicCountTokensRequest")],
    "embeddings": [
        ("vllm.entrypoints.pooling.embed.protocol", "EmbeddingCompletionRequest"),
        ("vllm.entrypoints.pooling.embed.protocol", "EmbeddingChatRequest"),
    ],
    "rerank": [("vllm.entrypoints.pooling.scoring.protocol", "RerankRequest")],
    "audio/transcriptions": [("vllm.entrypoints.speech_to_text.transcription.protocol", "TranscriptionRequest")],
    "audio/translations": [("vllm.entrypoints.speech_to_text.translation.protocol", "TranslationRequest")],
}


def also(release: Release) -> dict[str, dict]:
    """Fields of request bodies, for the gateway's guard."""
    return {"configs/bodies/vllm.json": {"routes": of_classes(Sources(release), BODIES)}}


def extract(release: Release) -> dict:
    sources = Sources(release)
    arg_utils = sources.need("vllm.engine.arg_utils")
    serve = sources.need_one(CLI_ARGS)
    tool = registry(sources.need("vllm.tool_parsers"), "_TOOL_PARSERS_TO_REGISTER")
    reasoning = registry(sources.need("vllm.reasoning"), "_REASONING_PARSERS_TO_REGISTER")
    found = [
        *Parser(serve).run(serve.function("make_arg_parser")),
        *frontend("FrontendArgs", serve),
        *Parser(arg_utils).run(method("EngineArgs", "add_cli_args", arg_utils)),
        *Parser(arg_utils).run(method("AsyncEngineArgs", "add_cli_args", arg_utils)),
    ]
    for one in found:
        # vLLM checks names after loading plugins, and `none` means no reasoning parser.
        known = {"--tool-call-parser": tool, "--reasoning-parser": [*reasoning, "none"]}.get(one["names"][0])
        if known:
            one.update(choices=sorted(known), open=True)
    envs = sources.need("vllm.envs")
    return {
        "flags": in_order(found),
        "env": variables(envs) + [v for v in usage(sources) if v["name"] not in declared(envs)],
        "endpoints": routes.in_order(
            [r for path in served(release) for r in routes.routes(sources.need(path))]
        ),
        "parsers": {"tool": sorted(tool), "reasoning": sorted(reasoning)},
    }


def served(release: Release) -> list[str]:
    """Modules whose routers `vllm serve` mounts: not those for development or other commands."""
    found = release.paths("vllm/entrypoints/**/api_router.py") + release.paths(
        "vllm/entrypoints/serve/instrumentator/*.py"
    )
    return [
        path[: -len(".py")].replace("/", ".")
        for path in found
        if not path.startswith("vllm/entrypoints/serve/dev/")
    ]


def registry(module: Module, name: str) -> list[str]:
    return list(evaluate(module.need(name)[0], module))


_ENV_TYPES = {"bool": "bool", "int": "int", "float": "float"}


def declared(envs: Module) -> set[str]:
    table, _ = envs.need("environment_variables")
    if not isinstance(table, ast.Dict):
        raise ExtractError("envs.py: environment_variables is no table")
    return {str(key.value) for key in table.keys if isinstance(key, ast.Constant)}


def variables(envs: Module) -> list[dict]:
    types = {}
    for statement in statements(envs.tree.body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            simple = [kind.kind for kind in kinds(statement.annotation, envs) if kind.kind != "none"]
            types[statement.target.id] = _ENV_TYPES.get(simple[0], "string") if len(simple) == 1 else "string"
    return environ.variables(declared(envs), types)


def usage(sources: Sources) -> list[dict]:
    """Variables read outside the table, such as `DO_NOT_TRACK`."""
    modules = ["vllm.envs", "vllm.usage.usage_lib"]
    return environ.variables(set().union(*(environ.reads(sources.need(name)) for name in modules)), {})

"""vLLM: flags of `vllm serve`, environment, routes, parser registries."""

from __future__ import annotations

import ast

from . import ExtractError, environ, routes
from .bodies import of_classes
from .flags import flag, in_order
from .pysource import Module, Sources, evaluate, fields, statements
from .pytypes import Kinds, kinds
from .release import Release

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

# Integers that `_compute_kwargs` gives a parser of their own.
_WORDS = {"max_model_len": ["auto"]}


# Classes that each route's body is read into.
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
    """What bodies may say, for the gateway's guard."""
    return {"configs/bodies/vllm.json": {"routes": of_classes(Sources(release), BODIES)}}


def extract(release: Release) -> dict:
    sources = Sources(release)
    arg_utils = sources.need("vllm.engine.arg_utils")
    serve = sources.need("vllm.entrypoints.common.cli_args")
    tool = registry(sources.need("vllm.tool_parsers"), "_TOOL_PARSERS_TO_REGISTER")
    reasoning = registry(sources.need("vllm.reasoning"), "_REASONING_PARSERS_TO_REGISTER")
    found = [
        *Parser(serve).run(serve.function("make_arg_parser")),
        *frontend("FrontendArgs", serve),
        *Parser(arg_utils).run(method("EngineArgs", "add_cli_args", arg_utils)),
        *Parser(arg_utils).run(method("AsyncEngineArgs", "add_cli_args", arg_utils)),
    ]
    for one in found:
        # Names are checked once plugins are loaded, and `none` is the same as no reasoning parser.
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
    """Modules whose routers `vllm serve` mounts: those of development and of other commands stay out."""
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


def method(klass: str, name: str, module: Module) -> ast.FunctionDef:
    for statement in module.klass(klass)[0].body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return statement
    raise ExtractError(f"{klass}.{name} is gone")


def field_kwargs(name: str, found: Kinds) -> dict:
    """What `_compute_kwargs` of vLLM makes of a field's type, in the same order of cases."""
    by = {kind.kind: kind for kind in found}
    if set(by) == {"bool", "str", "none"}:
        return {"arity": "?"}
    if "dataclass" in by:
        return {"type": "json"}
    if "bool" in by:
        return {"arity": "0", "boolean": True}
    if "literal" in by:
        values = by["literal"].values
        kind = "int" if isinstance(values[0], int) else "string"
        return {"type": kind, "choices": list(values), "open": "str" in by}
    for collection in ("tuple", "list", "set"):
        if collection in by:
            kind = by[collection]
            inner = {"type": "string"} if len(kind.element) > 1 else field_kwargs(name, kind.element)
            return {**inner, "arity": str(kind.length) if kind.length else "+"}
    if "int" in by:
        return {"type": "int", "words": _WORDS.get(name, [])}
    if "float" in by:
        return {"type": "float"}
    if "dict" in by:
        # With a string in the union, a value in braces is JSON and another one a word.
        return {"type": "string" if by.keys() & {"str", "other", "enum"} else "json"}
    if "enum" in by:
        return {"choices": list(by["enum"].values), "open": True}
    return {"type": "string"}


def class_kwargs(name: str, module: Module) -> dict[str, dict]:
    return {
        field: field_kwargs(field, kinds(statement.annotation, home))
        for field, (statement, home) in fields(name, module).items()
    }


def made(names: list[str], kwargs: dict) -> dict:
    options = {key: value for key, value in kwargs.items() if key != "boolean"}
    if kwargs.get("boolean"):
        long = [name for name in names if name.startswith("--")]
        turned = {f"--no-{name[2:]}" for name in long}
        # vLLM's parser pairs `--enable-x` with `--disable-x`.
        for on, off in (("--enable-", "--disable-"), ("--disable-", "--enable-")):
            turned |= {off + name[len(on) :] for name in long if name.startswith(on)}
        options["negatives"] = turned
    return flag(names, **options)


class Parser:
    """Follows a function that adds arguments: `kwargs = get_kwargs(Config)`, changes to those, `add_argument(…)`."""

    def __init__(self, module: Module):
        self.module = module
        self.bound: dict[str, dict] = {}

    def run(self, function: ast.FunctionDef) -> list[dict]:
        found: list[dict] = []
        for statement in statements(function.body):
            if isinstance(statement, ast.Assign):
                self.assign(statement)
            elif isinstance(statement, ast.AugAssign):
                # `…["help"] += "…"`
                if not ast.unparse(statement.target).endswith("['help']"):
                    raise ExtractError(
                        f"{self.module.path}:{statement.lineno}: {ast.unparse(statement)[:80]}"
                    )
            elif isinstance(statement, ast.Delete):
                for target in statement.targets:
                    self.drop(target)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                found += self.call(statement.value)
        return found

    def assign(self, statement: ast.Assign) -> None:
        target = statement.targets[0]
        if isinstance(target, ast.Name):
            value = self.kwargs(statement.value)
            if value is not None:
                self.bound[target.id] = value
        elif isinstance(target, ast.Subscript):
            self.change(target, statement.value)

    def kwargs(self, node: ast.expr) -> dict | None:
        """`get_kwargs(X)`, `x_kwargs`, `x_kwargs["field"]`, `{**x_kwargs["field"], "default": None}`."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_kwargs":
            return class_kwargs(ast.unparse(node.args[0]), self.module)
        if isinstance(node, ast.Name):
            return self.bound.get(node.id)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            above = self.kwargs(node.value)
            if above is not None:
                if node.slice.value not in above:
                    raise ExtractError(f"{self.module.path}:{node.lineno}: no field {node.slice.value}")
                return above[node.slice.value]
        if isinstance(node, ast.Dict):
            return {
                k: v
                for key, value in zip(node.keys, node.values)
                if key is None
                for k, v in (self.kwargs(value) or {}).items()
            }
        return None

    def change(self, target: ast.Subscript, value: ast.expr) -> None:
        if not isinstance(target.slice, ast.Constant):
            return
        field = self.kwargs(target.value)
        if field is None:
            return
        key = target.slice.value
        if key == "type":
            field["type"] = parsed_by(value)
        elif key == "action":
            if ast.unparse(value) == "'append'":
                field["arity"] = "1"
        elif key not in ("default", "help", "metavar"):
            raise ExtractError(f"{self.module.path}:{target.lineno}: {ast.unparse(target)} is set")

    def drop(self, target: ast.expr) -> None:
        if isinstance(target, ast.Subscript) and ast.unparse(target.slice) == "'nargs'":
            field = self.kwargs(target.value)
            if field is not None:
                field["arity"] = "1"
                return
        raise ExtractError(f"{self.module.path}:{target.lineno}: del {ast.unparse(target)}")

    def call(self, call: ast.Call) -> list[dict]:
        if not isinstance(call.func, ast.Attribute):
            return []
        if call.func.attr == "add_argument":
            return [self.argument(call)]
        if call.func.attr == "remove":
            # `kwargs["field"]["choices"].remove(X)`
            assert isinstance(call.func.value, ast.Subscript)
            field = self.kwargs(call.func.value.value)
            if field is None:
                raise ExtractError(f"{self.module.path}:{call.lineno}: {ast.unparse(call)}")
            field["choices"].remove(evaluate(call.args[0], self.module))
        return []

    def argument(self, call: ast.Call) -> dict:
        names = [evaluate(name, self.module) for name in call.args]
        options: dict = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                field = self.kwargs(keyword.value)
                if field is None:
                    raise ExtractError(
                        f"{self.module.path}:{call.lineno}: unknown **{ast.unparse(keyword.value)}"
                    )
                options.update(field)
            elif keyword.arg == "action":
                options.update(action(keyword.value))
            elif keyword.arg == "type":
                options["type"] = parsed_by(keyword.value)
            elif keyword.arg == "nargs":
                options["arity"] = str(evaluate(keyword.value, self.module))
            elif keyword.arg == "choices":
                options.update(self.choices(keyword.value))
        return made(names, options)

    def choices(self, node: ast.expr) -> dict:
        if isinstance(node, ast.BinOp) and isinstance(node.right, ast.IfExp):
            # What is added depends on the machine.
            return {"choices": evaluate(node.left, self.module), "open": True}
        return {"choices": evaluate(node, self.module)}


def action(node: ast.expr) -> dict:
    name = ast.unparse(node).rpartition(".")[2]
    if name in ("'store_true'", "'store_false'"):
        return {"arity": "0"}
    if name == "BooleanOptionalAction":
        return {"arity": "0", "boolean": True}
    if name == "'append'" or name.endswith("Action"):
        return {}
    raise ExtractError(f"unknown action {name}")


def parsed_by(node: ast.expr) -> str:
    """What text the function behind `type=` takes."""
    name = ast.unparse(node)
    if "json.loads" in name:
        return "json"
    return name if name in ("int", "float") else "string"


def frontend(name: str, module: Module) -> list[dict]:
    """`FrontendArgs.add_cli_args`: an argument for each field, after `_customize_cli_kwargs` of its bases and its own."""
    parser = Parser(module)
    parser.bound["frontend_kwargs"] = class_kwargs(name, module)
    klass, _ = module.klass(name)
    for owner in [*(ast.unparse(base) for base in klass.bases), name]:
        parser.run(method(owner, "_customize_cli_kwargs", module))
    return [
        made([f"--{field.replace('_', '-')}"], kwargs)
        for field, kwargs in parser.bound["frontend_kwargs"].items()
    ]


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
    """What is read besides the table, `DO_NOT_TRACK` for one."""
    modules = ["vllm.envs", "vllm.usage.usage_lib"]
    return environ.variables(set().union(*(environ.reads(sources.need(name)) for name in modules)), {})

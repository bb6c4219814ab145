"""SGLang: flags of `sglang serve`, environment, routes, parser registries."""

from __future__ import annotations

import ast

from . import ExtractError, environ, routes
from .bodies import of_classes
from .flags import flag, in_order
from .pysource import Module, Sources, evaluate, fields, statements
from .pytypes import Kinds, kinds
from .release import Release

# The package itself reads its flags, by every name.
SPELLS = True

KEEP = [
    "sglang/cli/*.py",
    "sglang/kernels/ops/kv_canary/consts.py",
    "sglang/srt/arg_groups/*.py",
    "sglang/srt/entrypoints/*.py",
    "sglang/srt/environ.py",
    "sglang/srt/function_call/parser_names.py",
    "sglang/srt/lora/utils.py",
    "sglang/srt/managers/tokenizer_manager.py",
    "sglang/srt/model_executor/cuda_graph_config.py",
    "sglang/srt/parser/reasoning_parser_names.py",
    "sglang/srt/server_args.py",
    "sglang/srt/utils/common.py",
    "sglang/srt/utils/lora_target_modules.py",
]

SERVED = [
    "sglang.srt.entrypoints.http_server",
    "sglang.srt.entrypoints.v1_loads",
    "sglang.srt.entrypoints.elastic_ep",
]

# Modules besides the table of variables whose reads matter to an operator.
READ = [*SERVED, "sglang.srt.managers.tokenizer_manager", "sglang.srt.utils.common"]


# Classes that each route's body is read into.
BODIES = {
    "chat/completions": [("sglang.srt.entrypoints.openai.protocol", "ChatCompletionRequest")],
    "completions": [("sglang.srt.entrypoints.openai.protocol", "CompletionRequest")],
    "responses": [("sglang.srt.entrypoints.openai.protocol", "ResponsesRequest")],
    "messages": [("sglang.srt.entrypoints.anthropic.protocol", "AnthropicMessagesRequest")],
    "messages/count_tokens": [("sglang.srt.entrypoints.anthropic.protocol", "AnthropicCountTokensRequest")],
    "embeddings": [("sglang.srt.entrypoints.openai.protocol", "EmbeddingRequest")],
    "rerank": [("sglang.srt.entrypoints.openai.protocol", "V1RerankReqInput")],
    "audio/transcriptions": [("sglang.srt.entrypoints.openai.protocol", "TranscriptionRequest")],
}


def also(release: Release) -> dict[str, dict]:
    """What bodies may say, for the gateway's guard."""
    return {"configs/bodies/sglang.json": {"routes": of_classes(Sources(release), BODIES)}}


def extract(release: Release) -> dict:
    sources = Sources(release)
    server_args = sources.need("sglang.srt.server_args")
    common = sources.need("sglang.srt.utils.common")
    found = [
        *positional(sources.need("sglang.cli.serve")),
        *(
            made
            for path in release.paths("sglang/srt/arg_groups/fields/*.py")
            for made in namespace(sources, path)
        ),
        *added(server_args),
    ]
    envs = sources.need("sglang.srt.environ")
    table = variables(envs)
    known = {one["name"] for one in table}
    read = set().union(*(environ.reads(sources.need(name)) for name in READ)) - known
    served = [route for name in SERVED for route in routes.routes(sources.need(name))]
    return {
        "flags": in_order(found),
        "env": table + environ.variables({name for name in read if name}, {}),
        "endpoints": routes.in_order(served + routes.routes(common)),
        "parsers": {
            "tool": sorted(names(sources, "sglang.srt.function_call.parser_names", "TOOL_CALL_PARSER_NAMES")),
            "reasoning": sorted(
                names(sources, "sglang.srt.parser.reasoning_parser_names", "REASONING_PARSER_NAMES")
            ),
        },
    }


def names(sources: Sources, module: str, name: str) -> list[str]:
    found = sources.need(module)
    return evaluate(found.need(name)[0], found)


def positional(serve: Module) -> list[dict]:
    """`sglang serve MODEL`: a first word that is no flag is the model's path."""
    serve.function("_normalize_positional_model_path")
    return [flag(["model"], "?")]


def namespace(sources: Sources, path: str) -> list[dict]:
    """The arguments of the fields of every class in a file of fields, as `add_cli_args_from_dataclass` makes them."""
    module = sources.need(path[: -len(".py")].replace("/", "."))
    found = []
    for statement in module.tree.body:
        if isinstance(statement, ast.ClassDef) and any(
            ast.unparse(base) == "msgspec.Struct" for base in statement.bases
        ):
            for name, (field, home) in fields(statement.name, module).items():
                made = argument(name, field.annotation, home)
                if made:
                    found.append(made)
    return found


def argument(name: str, annotation: ast.expr, module: Module) -> dict | None:
    """`A[T, "help"]` or `A[T, Arg(…)]`; None where there is no flag."""
    if not (isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) in ("A", "Annotated")):
        return None
    assert isinstance(annotation.slice, ast.Tuple)
    hint, *metadata = annotation.slice.elts
    arg = next((m for m in metadata if isinstance(m, ast.Call) and ast.unparse(m.func) == "Arg"), None)
    if arg is None and not any(isinstance(m, (ast.Constant, ast.BinOp, ast.JoinedStr)) for m in metadata):
        return None
    given = {k.arg: k.value for k in arg.keywords} if arg else {}
    if "no_cli" in given and evaluate(given["no_cli"], module):
        return None
    cli_name = evaluate(given["cli_name"], module) if "cli_name" in given else "--" + name.replace("_", "-")
    aliases = evaluate(given["aliases"], module) if "aliases" in given else []
    all_names = [cli_name, *(aliases or [])]
    if "action" in given:
        return by_action(all_names, ast.unparse(given["action"]).rpartition(".")[2], given, module)
    options = shape(kinds(hint, module), given)
    if "choices" in given:
        options["choices"] = evaluate(given["choices"], module)
    return flag(all_names, **options)


def shape(found: Kinds, given: dict) -> dict:
    by = {kind.kind: kind for kind in found if kind.kind != "none"}
    parser = ast.unparse(given["type_parser"]) if "type_parser" in given else ""
    if len(by) == 1 and "literal" in by:
        values = by["literal"].values
        return {"type": scalar(parser, "int" if isinstance(values[0], int) else "str"), "choices": values}
    if len(by) == 1 and "list" in by and not parser:
        inner = [kind.kind for kind in by["list"].element]
        arity = ast.literal_eval(given["nargs"]) if "nargs" in given else "+"
        return {"arity": str(arity), "type": scalar("", inner[0] if len(inner) == 1 else "str")}
    if len(by) == 1 and "bool" in by:
        return {"arity": "0"}
    options = {"type": scalar(parser, next(iter(by)) if len(by) == 1 else "str")}
    if "nargs" in given:
        options["arity"] = str(ast.literal_eval(given["nargs"]))
    return options


def scalar(parser: str, kind: str) -> str:
    if "json" in parser:
        return "json"
    if "int" in parser:
        return "int"
    return kind if kind in ("int", "float") and not parser else "string"


def by_action(names: list[str], action: str, given: dict, module: Module) -> dict:
    if action == "BooleanOptionalAction":
        return flag(names, "0", negatives=[f"--no-{name[2:]}" for name in names if name.startswith("--")])
    if action in ("store_true", "'store_true'"):
        return flag(names, "0")
    # LoRAPathAction and the like: how many is in `action_kwargs`.
    more = given.get("action_kwargs", ast.Dict([], []))
    assert isinstance(more, ast.Dict)
    nargs = [
        value
        for key, value in zip(more.keys, more.values)
        if key is not None and ast.unparse(key) == "'nargs'"
    ]
    return flag(names, str(evaluate(nargs[0], module)) if nargs else "1")


def added(module: Module) -> list[dict]:
    """The arguments that `ServerArgs.add_cli_args` adds by hand, some of them deprecated."""
    klass, _ = module.klass("ServerArgs")
    function = next(s for s in klass.body if isinstance(s, ast.FunctionDef) and s.name == "add_cli_args")
    local: dict = {}
    found = []
    for statement in statements(function.body):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            local[statement.targets[0].id] = evaluate(statement.value, module, local)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            call = statement.value
            if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument":
                found.append(by_hand(call, module, local))
            elif isinstance(call.func, ast.Attribute) and call.func.attr == "add":
                local[ast.unparse(call.func.value)] += [evaluate(call.args[0], module, local)]
    return found


def by_hand(call: ast.Call, module: Module, local: dict) -> dict:
    names = [evaluate(name, module) for name in call.args]
    given = {k.arg: k.value for k in call.keywords}
    choices = evaluate(given["choices"], module, local) if "choices" in given else None
    action = ast.unparse(given["action"]).strip("'") if "action" in given else ""
    deprecated = action.startswith("Deprecated") or "Deprecated" in ast.unparse(
        given.get("help", ast.Constant(""))
    )
    if action in ("store_true", "DeprecatedStoreTrueAction"):
        return flag(names, "0", deprecated=deprecated)
    if action and action != "DeprecatedStoreConstAction":
        raise ExtractError(f"unknown action {action}")
    return flag(
        names,
        "1",
        scalar("", ast.unparse(given.get("type", ast.Name("str")))),
        choices,
        deprecated=deprecated,
    )


def variables(envs: Module) -> list[dict]:
    """The class of variables: `SGLANG_X = EnvBool(…)`."""
    klass, _ = envs.klass("Envs")
    types = {}
    for statement in klass.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            made_by = ast.unparse(statement.value.func)
            kind = next(
                (k for k in ("Bool", "Int", "Float") if made_by.startswith(f"Env{k}")), "string"
            ).lower()
            types[ast.unparse(statement.targets[0])] = kind
    return environ.variables(set(types), types)

"""LiteLLM: provider prefixes, and the keys that its config file knows."""

from __future__ import annotations

import ast
import json
import re

from . import ExtractError, providers
from .bodies import constants, of_classes, read
from .pysource import Member, Module, Sources, evaluate, fields, statements
from .release import Release

KEEP = [
    "litellm/__init__.py",
    "litellm/constants.py",
    "litellm/main.py",
    "litellm/router.py",
    "litellm/types/*.py",
    "litellm/proxy/*.py",
    "litellm/llms/*.py",
    "litellm/integrations/generic_api/*.json",
    "litellm/utils.py",
    "litellm/caching/*.py",
    "litellm/litellm_core_utils/*.py",
    "litellm/responses/*.py",
    "litellm/router_strategy/*.py",
    "litellm/router_utils/*.py",
    *providers.KEEP,
]

# Where a request's parameters are looked at before a provider gets them.
OBEYED_IN = [
    "litellm/main.py",
    "litellm/router.py",
    "litellm/utils.py",
    "litellm/caching/*.py",
    "litellm/litellm_core_utils/*.py",
    "litellm/responses/**/*.py",
    "litellm/router_strategy/**/*.py",
    "litellm/router_utils/**/*.py",
    "litellm/proxy/*.py",
    "litellm/proxy/auth/*.py",
    "litellm/proxy/common_utils/*.py",
    "litellm/proxy/hooks/**/*.py",
]

# What that code calls them.
HOLDERS = {"kwargs", "data", "optional_params", "litellm_params", "request_body", "parsed_body", "body", "extra_body"}


def extract(release: Release) -> dict:
    types = Sources(release).need("litellm.types.utils")
    klass, home = types.klass("LlmProviders")
    members = evaluate(ast.Name(klass.name), home)
    return {"providers": sorted({member.value for member in members if isinstance(member, Member)})}


def also(release: Release) -> dict[str, dict]:
    """The keys that gpubox checks a stack config's LiteLLM settings against."""
    sources = Sources(release)
    taken_by = taken(release, ["litellm_settings", "general_settings", "model_info"])
    return {
        "configs/litellm/keys.json": {
            "litellm_settings": sorted(module_attributes(sources.need("litellm")) | taken_by["litellm_settings"]),
            "router_settings": router_settings(sources.need("litellm.router")),
            "general_settings": sorted(
                set(fields("ConfigGeneralSettings", sources.need("litellm.proxy._types")))
                | taken_by["general_settings"]
            ),
            "litellm_params": litellm_params(sources),
            "model_info": sorted(
                set(fields("ModelInfo", sources.need("litellm.types.router")))
                | set(fields("ModelInfo", sources.need("litellm.types.utils")))
                | taken_by["model_info"]
            ),
            "callbacks": callbacks(release, sources),
            "guardrails": guardrails(sources),
            "guardrail_params": sorted(fields("LitellmParams", sources.need("litellm.types.guardrails"))),
            "route_roots": route_roots(release),
            "address_variables": address_variables(release),
        },
        "configs/litellm/providers.json": providers.providers(release, sources),
        "configs/bodies/litellm.json": steering(release, sources),
    }


def steering(release: Release, sources: Sources) -> dict:
    """
    What LiteLLM itself would obey. `own`: keywords that it declares as its own or refuses from clients. `read`: everything
    that it takes out of a request. `metadata`: what it takes out of a request's metadata.
    """
    auth = sources.need("litellm.proxy.auth.auth_utils")
    before = sources.need("litellm.proxy.litellm_pre_call_utils")
    callbacks = sources.need("litellm.litellm_core_utils.initialize_dynamic_callback_params")
    types = sources.need("litellm.types.utils")
    own = owned(sources.need("litellm.types.litellm_params"), internal=True)
    for klass in ("StandardCallbackDynamicParams", "CustomPricingLiteLLMParams"):
        own |= set(fields(klass, types))
    for klass in ("GenericLiteLLMParams", "LiteLLM_Params"):
        own |= set(fields(klass, sources.need("litellm.types.router")))
    own |= constants("KWARG_ARTIFACTS", sources.need("litellm.types.litellm_params"))
    for name in ("_BANNED_REQUEST_BODY_PARAMS", "_EXTRA_BANNED_OBSERVABILITY_PARAMS", "_FALLBACK_FIELDS", "_NESTED_CONFIG_KEYS"):
        own |= constants(name, auth)
    own |= constants("_UNTRUSTED_ROOT_CONTROL_FIELDS", before)
    own |= constants("GATED_MOCK_PARAM_NAMES", sources.need("litellm.proxy.route_llm_request"))
    for name in ("_supported_callback_params", "_request_blocked_callback_params"):
        own |= constants(name, callbacks)
    metadata = read(release, OBEYED_IN, {"metadata"}) | constants("_UNTRUSTED_METADATA_CONTROL_FIELDS", before)
    return {
        # What it reads bodies of these routes into, where no SDK's class says it.
        "routes": of_classes(
            sources,
            {
                "messages": [("litellm.types.llms.anthropic", "AnthropicMessagesRequest")],
                "rerank": [("litellm.types.rerank", "RerankRequest")],
            },
        ),
        "own": sorted(own),
        "read": sorted(read(release, OBEYED_IN, HOLDERS) - own),
        "metadata": sorted(metadata),
    }


def callbacks(release: Release, sources: Sources) -> list[str]:
    """Names of LiteLLM's own callbacks. It takes every other word for the path of Python code, and runs it."""
    literal = sources.need("litellm").need("_custom_logger_compatible_callbacks_literal")[0]
    found = {one.value for one in ast.walk(literal) if isinstance(one, ast.Constant)}
    for path in ("proxy/common_utils/callback_utils.py", "litellm_core_utils/litellm_logging.py"):
        for node in ast.walk(ast.parse(release.read(f"litellm/{path}"))):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
                named = ast.unparse(node.left) in ("callback", "logging_integration")
                found |= {one.value for one in node.comparators if named and isinstance(one, ast.Constant)}
    # The keys of a file are names too: each is an address that LiteLLM knows.
    for path in release.paths("litellm/integrations/generic_api/*callbacks.json"):
        found |= set(json.loads(release.read(path)))
    return sorted(name for name in found if isinstance(name, str))


def guardrails(sources: Sources) -> list[str]:
    """The kinds of guardrails that LiteLLM has; it takes every other word for the path of Python code, and runs it."""
    klass, home = sources.need("litellm.types.guardrails").klass("SupportedGuardrailIntegrations")
    return sorted(member.value for member in evaluate(ast.Name(klass.name), home) if isinstance(member, Member))


def route_roots(release: Release) -> list[str]:
    """First segments of the routes that the proxy has by itself, and some that are a router's own: too many harm nobody."""
    found: set[str] = set()
    for path in release.paths("litellm/proxy/**/*.py"):
        for node in ast.walk(ast.parse(release.read(path))):
            if isinstance(node, ast.Call) and ROUTING.search(ast.unparse(node.func)):
                words = [*node.args[:1], *(k.value for k in node.keywords if k.arg in ("path", "prefix"))]
                texts = [w.value for w in words if isinstance(w, ast.Constant) and isinstance(w.value, str)]
                found |= {text.split("/")[1] for text in texts if text.startswith("/")}
    return sorted(root for root in found if root and not root.startswith("{"))


ROUTING = re.compile(r"^APIRouter$|(^|_)(router|app)\.(get|post|put|patch|delete|api_route|websocket|mount|include_router|add_api_route)$")


ADDRESS = re.compile(r"^[A-Z][A-Z0-9_]*_(API_BASE|BASE_URL|API_URL|BASE|ENDPOINT|API_HOST)$")


def address_variables(release: Release) -> list[str]:
    """Variables of the environment that decide where a provider's requests go when a deployment has no address of its own."""
    found: set[str] = set()
    choice = "litellm/litellm_core_utils/get_llm_provider_logic.py"
    for path in [*release.paths("litellm/llms/**/*.py"), "litellm/main.py", choice]:
        for node in ast.walk(ast.parse(release.read(path))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and ADDRESS.match(node.value):
                found.add(node.value)
    return sorted(found)


def module_attributes(module: Module) -> set[str]:
    """The proxy sets what `litellm_settings` names on the module, whatever it is; these are the names that exist."""
    found: set[str] = set()
    for statement in statements(module.tree.body):
        targets = (
            [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        )
        found |= {
            target.id for target in targets if isinstance(target, ast.Name) and not target.id.startswith("_")
        }
    return found


def router_settings(module: Module) -> list[str]:
    klass, _ = module.klass("Router")
    made = next(s for s in klass.body if isinstance(s, ast.FunctionDef) and s.name == "__init__")
    return sorted(arguments(made) - {"self", "model_list"})


def arguments(function: ast.FunctionDef) -> set[str]:
    return {one.arg for one in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]}


def litellm_params(sources: Sources) -> list[str]:
    """Fields of a deployment, LiteLLM's own keywords, and parameters of a request that it may preset; providers may read more."""
    types = sources.need("litellm.types.utils")
    constants = sources.need("litellm.constants")
    known = set(fields("LiteLLM_Params", sources.need("litellm.types.router")))
    known |= set(fields("GenericLiteLLMParams", sources.need("litellm.types.router")))
    known |= set(fields("LiteLLMParamsTypedDict", sources.need("litellm.types.router")))
    for callbacks_and_prices in ("StandardCallbackDynamicParams", "CustomPricingLiteLLMParams"):
        known |= set(fields(callbacks_and_prices, types))
    known |= arguments(sources.need("litellm.main").function("completion"))
    known |= owned(sources.need("litellm.types.litellm_params"))
    known |= set(evaluate(constants.need("OPENAI_CHAT_COMPLETION_PARAMS")[0], constants))
    known |= set(evaluate(constants.need("DEFAULT_CHAT_COMPLETION_PARAM_VALUES")[0], constants))
    # What it takes out before it hands the rest to the provider: extra_body.
    passed_on = sources.need("litellm.utils").function("add_provider_specific_params_to_optional_params")
    known |= {key for node in ast.walk(passed_on) for key in _keys(node, "passed_params")}
    return sorted(known)


def owned(module: Module, internal: bool = False) -> set[str]:
    """Keywords of LiteLLM's own calls: the fields of the fields of `LITELLM_OWNED_ROOTS`, its internal state only if told."""
    roots = module.need("LITELLM_OWNED_ROOTS")[0]
    if not isinstance(roots, ast.Tuple):
        raise ExtractError("LITELLM_OWNED_ROOTS is no tuple")
    found: set[str] = set()
    for root in (ast.unparse(name) for name in roots.elts):
        if root == "InternalState" and not internal:
            continue
        for leaf, _ in fields(root, module).values():
            for name, (field, _) in fields(ast.unparse(leaf.annotation), module).items():
                wire = [
                    n for n in ast.walk(field) if isinstance(n, ast.Call) and ast.unparse(n.func) == "wire"
                ]
                found.add(evaluate(wire[0].args[0], module) if wire else name)
    return found if internal else {name for name in found if not name.startswith("_")}


def taken(release: Release, sections: list[str]) -> dict[str, set[str]]:
    """
    Keys that the proxy's code takes from each section `s`:
    `s.get("k")`, `s["k"]`, `"k" in s`, `for key, … in s.items(): key == "k"`.
    """
    found: dict[str, set[str]] = {section: set() for section in sections}
    for path in release.paths("litellm/proxy/**/*.py"):
        text = release.read(path)
        named = [section for section in sections if section in text]
        for node in ast.walk(ast.parse(text)) if named else ():
            for section in named:
                found[section] |= _keys(node, section)
    return found


def _keys(node: ast.AST, section: str) -> set[str]:
    named: list[ast.expr] = []
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "pop")
    ):
        named = node.args[:1] if _is(node.func.value, section) else []
    elif isinstance(node, ast.Subscript) and _is(node.value, section):
        named = [node.slice]
    elif (
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], (ast.In, ast.NotIn))
        and _is(node.comparators[0], section)
    ):
        named = [node.left]
    elif (
        isinstance(node, ast.For)
        and isinstance(node.target, ast.Tuple)
        and ast.unparse(node.iter) == f"{section}.items()"
    ):
        key = ast.unparse(node.target.elts[0])
        for inner in ast.walk(node):
            if (
                isinstance(inner, ast.Compare)
                and ast.unparse(inner.left) == key
                and isinstance(inner.ops[0], ast.Eq)
            ):
                named.append(inner.comparators[0])
    return {one.value for one in named if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def _is(node: ast.expr, section: str) -> bool:
    """`general_settings`, `self.general_settings`, `(general_settings or {})`, `all.get("general_settings", {})`."""
    if isinstance(node, ast.BoolOp):
        return _is(node.values[0], section)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == section
    return (isinstance(node, ast.Name) and node.id == section) or (
        isinstance(node, ast.Attribute) and node.attr == section
    )

"""HTTP routes that FastAPI code declares."""

from __future__ import annotations

import ast

from . import ExtractError
from .pysource import Module

_METHODS = {"get", "post", "put", "delete", "head", "patch", "options"}


def routes(module: Module) -> list[dict]:
    """Routes by decorator (`@router.post("/v1/x")`) and by `add_api_route`, without those whose path is computed."""
    prefixes = _prefixes(module)
    found: list[dict] = []
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
                    found += _declared(decorator, prefixes)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "add_api_route"
        ):
            found += _declared(node, prefixes)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Mount":
            # Another application under a path, as Prometheus' for /metrics.
            path = _path(node.args[0])
            found += [{"method": "GET", "path": path}] if path else []
    return found


def _declared(call: ast.Call, prefixes: dict[str, str]) -> list[dict]:
    assert isinstance(call.func, ast.Attribute)
    verb = call.func.attr
    if verb not in _METHODS | {"api_route", "add_api_route", "websocket"}:
        return []
    keywords = {k.arg: k.value for k in call.keywords}
    path = _path(call.args[0] if call.args else keywords.get("path"))
    if path is None:
        return []
    owner = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
    methods = [verb]
    if verb in ("api_route", "add_api_route"):
        methods = ast.literal_eval(keywords["methods"]) if "methods" in keywords else ["get"]
    return [{"method": method.upper(), "path": prefixes.get(owner, "") + path} for method in methods]


def _path(node: ast.expr | None) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    # `os.environ.get("…", "/api/chat")`: the default.
    if isinstance(node, ast.Call) and len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
        return str(node.args[1].value)
    return None


def _prefixes(module: Module) -> dict[str, str]:
    """Name of a router to its prefix."""
    found = {}
    for name, definition in module.definitions.items():
        if isinstance(definition, ast.Call) and ast.unparse(definition.func).endswith("APIRouter"):
            for keyword in definition.keywords:
                if keyword.arg == "prefix":
                    if not isinstance(keyword.value, ast.Constant):
                        raise ExtractError(f"{module.path}: the prefix of {name} is computed")
                    found[name] = str(keyword.value.value)
    return found


def in_order(found: list[dict]) -> list[dict]:
    unique = {(one["path"], one["method"]) for one in found}
    return [{"method": method, "path": path} for path, method in sorted(unique)]

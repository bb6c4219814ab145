"""Environment variables that Python code reads."""

from __future__ import annotations

import ast

from .pysource import Module

_READERS = {
    "os.getenv",
    "os.environ.get",
    "os.environ.pop",
    "environ.get",
    "getenv",
    "get_bool_env_var",
    "get_int_env_var",
}


def reads(module: Module) -> set[str]:
    """Names in `os.getenv("X")`, `os.environ["X"]`, `"X" in os.environ`."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        named = None
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in _READERS:
            named = node.args[0]
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Load)
            and ast.unparse(node.value) == "os.environ"
        ):
            named = node.slice
        elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) == "os.environ":
            named = node.left
        if isinstance(named, ast.Constant) and isinstance(named.value, str):
            found.add(named.value)
    return found


def variables(names: set[str], types: dict[str, str]) -> list[dict]:
    return [{"name": name, "type": types.get(name, "string")} for name in sorted(names)]

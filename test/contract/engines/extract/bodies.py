"""What bodies of requests may say: the fields of the classes that an API or an engine reads them into."""

from __future__ import annotations

import ast

from .pysource import Module, Sources, fields
from .release import Release


def of_classes(sources: Sources, classes: dict[str, list[tuple[str, str]]]) -> dict[str, list[str]]:
    """Route to the names of the fields of its classes: (module, class)."""
    found: dict[str, set[str]] = {}
    for route, named in classes.items():
        for module, klass in named:
            found.setdefault(route, set()).update(fields(klass, sources.need(module)))
    return {
        route: sorted(name for name in names if not name.startswith(("_", "model_config")))
        for route, names in found.items()
    }


def constants(name: str, module: Module) -> set[str]:
    """Every text in the expression that a name is set to: of a tuple of names, what it spreads is left out."""
    return {
        node.value
        for node in ast.walk(module.need(name)[0])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def read(release: Release, patterns: list[str], holders: set[str]) -> set[str]:
    """
    Keys that code takes out of a dictionary whose name is one of the holders, or that ends in one after a dot or `_`:
    `h.get("k")`, `h.pop("k")`, `h.setdefault("k")`, `h["k"]`, `"k" in h`.
    """
    found: set[str] = set()
    for path in sorted({path for pattern in patterns for path in release.paths(pattern)}):
        for node in ast.walk(ast.parse(release.read(path))):
            key, holder = _taken(node)
            if key is not None and holder is not None and _named(holder, holders):
                found.add(key)
    return found


def _taken(node: ast.AST) -> tuple[str | None, ast.expr | None]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        if node.func.attr in ("get", "pop", "setdefault"):
            return _text(node.args[0]), node.func.value
    if isinstance(node, ast.Subscript):
        return _text(node.slice), node.value
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        return _text(node.left), node.comparators[0]
    return None, None


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _named(node: ast.expr, holders: set[str]) -> bool:
    """`data`, `self.data`, `request_data`, `(data or {})`, `kwargs["data"]`, `kwargs.get("data")`."""
    if isinstance(node, ast.BoolOp):
        return _named(node.values[0], holders)
    name = None
    if isinstance(node, ast.Name):
        name = node.id
    elif isinstance(node, ast.Attribute):
        name = node.attr
    elif isinstance(node, ast.Subscript):
        name = _text(node.slice)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        name = _text(node.args[0]) if node.func.attr == "get" else None
    return name is not None and any(name == one or name.endswith(f"_{one}") for one in holders)

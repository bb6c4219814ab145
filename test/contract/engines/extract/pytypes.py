"""Type annotations as sets of plain kinds, the way argument parsers look at them."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from . import ExtractError
from .pysource import Import, Module, literals


@dataclass(frozen=True)
class Kind:
    """`str`, `int`, `float`, `bool`, `none`, `literal`, `enum`, `list`, `tuple`, `set`, `dict`, `dataclass`, or `other`."""

    kind: str
    """Values of a literal; names of an enum's members, numbers of an `IntEnum`'s."""
    values: tuple = ()
    """What a collection holds."""
    element: frozenset = frozenset()
    """How many a tuple holds; 0: any number."""
    length: int = 0


Kinds = frozenset  # of Kind

_SIMPLE = {name: Kind(name) for name in ("str", "int", "float", "bool", "dict", "list", "set", "tuple")}
_COLLECTIONS = {
    "list": "list",
    "List": "list",
    "Sequence": "list",
    "set": "set",
    "Set": "set",
    "tuple": "tuple",
    "Tuple": "tuple",
}


def kinds(node: ast.expr, module: Module) -> Kinds:
    if isinstance(node, ast.Constant):
        if node.value is None:
            return frozenset({Kind("none")})
        if isinstance(node.value, str):
            return kinds(ast.parse(node.value, mode="eval").body, module)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return kinds(node.left, module) | kinds(node.right, module)
    if isinstance(node, ast.Name):
        return _named(node.id, module)
    if isinstance(node, ast.Attribute):
        return frozenset({Kind("other")})
    if isinstance(node, ast.Subscript):
        return _subscript(node, module)
    raise ExtractError(f"{module.path}:{getattr(node, 'lineno', '?')}: no type: {ast.unparse(node)[:80]}")


def _named(name: str, module: Module) -> Kinds:
    if name in _SIMPLE:
        return frozenset({_SIMPLE[name]})
    if name in ("Dict", "List", "Set"):
        return frozenset({Kind(name.lower())})
    found = module.lookup(name)
    if found is None:
        return frozenset({Kind("other")})
    definition, home = found
    if isinstance(definition, ast.ClassDef):
        return frozenset({_class(definition, home)})
    if isinstance(definition, (Import, ast.FunctionDef)):
        return frozenset({Kind("other")})
    try:
        return kinds(definition, home)
    except ExtractError:
        # `X = TypeVar(…)`, `X = LazyLoader(…)`
        return frozenset({Kind("other")})


def _class(definition: ast.ClassDef, home: Module) -> Kind:
    bases = [ast.unparse(base).rpartition(".")[2] for base in definition.bases]
    if any(base.endswith("Enum") or base == "IntEnum" for base in bases):
        members = [
            s for s in definition.body if isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name)
        ]
        # Numbers are written on a command line, names of others.
        written = [
            s.value if "IntEnum" in bases else s.targets[0]
            for s in members
            if not s.targets[0].id.startswith("_")
        ]
        return Kind("enum", tuple(ast.unparse(node) for node in written))
    if any(base.partition("[")[0] in ("dict", "Dict") for base in bases):
        return Kind("dict")
    decorators = {
        ast.unparse(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2]
        for d in definition.decorator_list
    }
    if decorators & {"dataclass", "config"}:
        return Kind("dataclass")
    return Kind("other")


def _subscript(node: ast.Subscript, module: Module) -> Kinds:
    name = ast.unparse(node.value).rpartition(".")[2]
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        return frozenset({Kind("literal", tuple(literals(node, module)))})
    if name == "Optional":
        return kinds(inner[0], module) | {Kind("none")}
    if name == "Union":
        return frozenset().union(*(kinds(part, module) for part in inner))
    if name in ("Annotated", "A"):
        return kinds(inner[0], module)
    if name in ("dict", "Dict", "Mapping"):
        return frozenset({Kind("dict")})
    if name in _COLLECTIONS:
        open_ended = any(isinstance(part, ast.Constant) and part.value is Ellipsis for part in inner)
        length = len(inner) if name in ("tuple", "Tuple") and not open_ended else 0
        return frozenset({Kind(_COLLECTIONS[name], (), kinds(inner[0], module), length)})
    # `type[X]`, `Callable[…]` and generics of the package's own
    return frozenset({Kind("other")})

"""Python modules as data: names are followed through imports, and constant expressions are evaluated, nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

from . import ExtractError
from .release import Release


@dataclass(frozen=True)
class Import:
    module: str
    """None: the module itself."""
    name: str | None


@dataclass(frozen=True)
class Member:
    """A member of an enum."""

    name: str
    value: object


Definition = Union[ast.ClassDef, ast.FunctionDef, ast.expr, Import]


class Module:
    def __init__(self, sources: Sources, name: str, path: str):
        self.sources = sources
        self.name = name
        self.path = path
        self.tree = ast.parse(sources.release.read(path))
        self.definitions: dict[str, Definition] = {}
        self.stars: list[str] = []
        for statement in statements(self.tree.body):
            self._define(statement)

    def _define(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            self.definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            # A name that type checkers import says more than the `Any` that stands in for it at run time; a class says more
            # than what is made of it.
            if not isinstance(self.definitions.get(statement.targets[0].id), (Import, ast.ClassDef)):
                self.definitions[statement.targets[0].id] = statement.value
        elif (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value
        ):
            self.definitions[statement.target.id] = statement.value
        elif isinstance(statement, (ast.ImportFrom, ast.Import)):
            found = self.imports(statement)
            if "*" in found:
                self.stars.append(found.pop("*").module)
            self.definitions.update(found)

    def imports(self, statement: ast.stmt) -> dict[str, Import]:
        if isinstance(statement, ast.ImportFrom):
            base = statement.module or ""
            if statement.level:
                package = self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]
                for _ in range(statement.level - 1):
                    package = package.rpartition(".")[0]
                base = f"{package}.{base}" if base else package
            return {alias.asname or alias.name: Import(base, alias.name) for alias in statement.names}
        if isinstance(statement, ast.Import):
            return {
                alias.asname or alias.name: Import(alias.name, None)
                for alias in statement.names
                if alias.asname
            }
        return {}

    def lookup(self, name: str) -> tuple[Definition, Module] | None:
        """What a name stands for and where that is written; None for names of other packages and builtins."""
        found = self.definitions.get(name)
        if isinstance(found, Import):
            return self.sources.follow(found)
        if found is not None:
            return found, self
        return next((hit for star in self.stars if (hit := self.sources.follow(Import(star, name)))), None)

    def need(self, name: str) -> tuple[Definition, Module]:
        found = self.lookup(name)
        if found is None:
            raise ExtractError(f"{self.path}: {name} is not defined")
        return found

    def function(self, name: str) -> ast.FunctionDef:
        found, _ = self.need(name)
        if not isinstance(found, ast.FunctionDef):
            raise ExtractError(f"{self.path}: {name} is no function")
        return found

    def klass(self, name: str) -> tuple[ast.ClassDef, Module]:
        found, module = self.need(name)
        if not isinstance(found, ast.ClassDef):
            raise ExtractError(f"{self.path}: {name} is no class")
        return found, module


class Sources:
    """The modules of one package, parsed when they are asked for."""

    def __init__(self, release: Release, root: str = ""):
        self.release = release
        self.root = root
        self.loaded: dict[str, Module] = {}

    def module(self, name: str) -> Module | None:
        if name not in self.loaded:
            stem = self.root + name.replace(".", "/")
            path = next((p for p in (f"{stem}.py", f"{stem}/__init__.py") if self.release.has(p)), None)
            if path is None:
                return None
            self.loaded[name] = Module(self, name, path)
        return self.loaded[name]

    def need(self, name: str) -> Module:
        module = self.module(name)
        if module is None:
            raise ExtractError(f"{name} is not in the release")
        return module

    def need_one(self, names: list[str]) -> Module:
        """The first of these that the release has: releases move their files."""
        return self.need(next((name for name in names if self.module(name)), names[0]))

    def follow(self, found: Import) -> tuple[Definition, Module] | None:
        module = self.module(found.module)
        if module is None or found.name is None:
            return None
        return module.lookup(found.name)


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, also those under `if`, `try` and `with`."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from statements(statement.body)
            yield from statements(statement.orelse)
        elif isinstance(statement, ast.Try):
            yield from statements(statement.body)
            for handler in statement.handlers:
                yield from statements(handler.body)
        elif isinstance(statement, ast.With):
            yield from statements(statement.body)
        else:
            yield statement


def fields(name: str, module: Module) -> dict[str, tuple[ast.AnnAssign, Module]]:
    """Annotated fields of a class, its bases' first, as a dataclass has them."""
    klass, home = module.klass(name)
    found: dict[str, tuple[ast.AnnAssign, Module]] = {}
    for base in klass.bases:
        if isinstance(base, ast.Name):
            above = home.lookup(base.id)
            if above and isinstance(above[0], ast.ClassDef):
                found.update(fields(above[0].name, above[1]))
    for statement in klass.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if not ast.unparse(statement.annotation).startswith(("ClassVar", "InitVar")):
                found[statement.target.id] = (statement, home)
    return found


def evaluate(node: ast.AST, module: Module, local: dict | None = None):
    """The value of an expression of constants. Names of enums give their members."""
    local = local or {}
    again = lambda part: evaluate(part, module, local)  # noqa: E731
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        values: list = []
        for element in node.elts:
            values += again(element.value) if isinstance(element, ast.Starred) else [again(element)]
        return values
    if isinstance(node, ast.Dict):
        return {again(key): again(value) for key, value in zip(node.keys, node.values) if key is not None}
    if isinstance(node, ast.Name):
        return local[node.id] if node.id in local else _named(node.id, module, local)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.BitOr)):
        return again(node.left) + again(node.right)
    if isinstance(node, ast.Attribute):
        return _attribute(node, module, local)
    if isinstance(node, ast.Call):
        return _call(node, module, local)
    if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)) and len(node.generators) == 1:
        loop = node.generators[0]
        if isinstance(loop.target, ast.Name) and not loop.ifs:
            return [evaluate(node.elt, module, {**local, loop.target.id: item}) for item in again(loop.iter)]
    raise ExtractError(f"{module.path}:{getattr(node, 'lineno', '?')}: no constant: {ast.unparse(node)[:80]}")


def _named(name: str, module: Module, local: dict):
    definition, home = module.need(name)
    if isinstance(definition, ast.ClassDef):
        return [
            Member(s.targets[0].id, evaluate(s.value, home))
            for s in definition.body
            if isinstance(s, ast.Assign)
            and isinstance(s.targets[0], ast.Name)
            and isinstance(s.value, ast.Constant)
        ]
    if isinstance(definition, ast.expr):
        return evaluate(definition, home)
    raise ExtractError(f"{module.path}: {name} is no constant")


def _attribute(node: ast.Attribute, module: Module, local: dict):
    if isinstance(node.value, ast.Name) and node.value.id not in local:
        definition, home = module.need(node.value.id)
        if isinstance(definition, ast.ClassDef):
            for statement in definition.body:
                if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
                    if isinstance(target, ast.Name) and target.id == node.attr:
                        # The class's own names are in scope in its body.
                        own = {m.name: m.value for m in _named(node.value.id, module, {})}
                        return evaluate(statement.value, home, own)
    else:
        value = evaluate(node.value, module, local)
        if isinstance(value, Member):
            return {"name": value.name, "value": value.value}[node.attr]
    raise ExtractError(f"{module.path}:{node.lineno}: no constant: {ast.unparse(node)}")


def _call(node: ast.Call, module: Module, local: dict):
    called = node.func
    if isinstance(called, ast.Name):
        if called.id in ("list", "set", "tuple", "sorted", "frozenset"):
            values = list(evaluate(node.args[0], module, local)) if node.args else []
            return sorted(values) if called.id == "sorted" else values
        if called.id == "get_args":
            return literals(node.args[0], module)
        definition = local.get(called.id) or module.need(called.id)
        if isinstance(definition, tuple) and isinstance(definition[0], ast.FunctionDef) and not node.args:
            return _returned(*definition)
    if isinstance(called, ast.Attribute) and called.attr in ("lower", "upper") and not node.args:
        return getattr(evaluate(called.value, module, local), called.attr)()
    raise ExtractError(f"{module.path}:{node.lineno}: no constant: {ast.unparse(node)[:80]}")


def _returned(function: ast.FunctionDef, module: Module):
    """What a function of no arguments returns at its end, with the imports in its body."""
    local: dict = {}
    for statement in function.body:
        for name, found in module.imports(statement).items():
            definition = module.sources.follow(found)
            if definition:
                local[name] = (
                    _named(definition[0].name, definition[1], {})
                    if isinstance(definition[0], ast.ClassDef)
                    else evaluate(definition[0], definition[1])
                )
    last = function.body[-1]
    if not isinstance(last, ast.Return) or last.value is None:
        raise ExtractError(f"{module.path}: {function.name} does not end in a return")
    return evaluate(last.value, module, local)


def literals(node: ast.expr, module: Module) -> list:
    """The values of a `Literal[…]`, or of a name for one."""
    if isinstance(node, ast.Name):
        definition, home = module.need(node.id)
        if isinstance(definition, ast.expr):
            return literals(definition, home)
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] == "Literal":
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        values: list = []
        for part in inner:
            values += [part.value] if isinstance(part, ast.Constant) else literals(part, module)
        return values
    raise ExtractError(f"{module.path}: no Literal: {ast.unparse(node)[:80]}")

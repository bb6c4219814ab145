"""Arguments that vLLM's functions add to a parser, read from their source."""

from __future__ import annotations

import ast

from . import ExtractError
from .flags import flag
from .pysource import Module, evaluate, fields, statements
from .pytypes import Kinds, kinds

# Integers that `_compute_kwargs` gives a parser of their own.
_WORDS = {"max_model_len": ["auto"]}


def method(klass: str, name: str, module: Module) -> ast.FunctionDef:
    for statement in module.klass(klass)[0].body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return statement
    raise ExtractError(f"{klass}.{name} is gone")


def field_kwargs(name: str, found: Kinds) -> dict:
    """What vLLM's `_compute_kwargs` makes of a field's type, in the same order of cases."""
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
        # With a string in the union, a value in braces is JSON and any other a word.
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
            # Further choices depend on the machine.
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
    """The kind of text that the function behind `type=` accepts."""
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

from __future__ import annotations

import ast

from .. import ExtractError, sglang, vllm_arguments
from ..flags import flag
from . import Files


class Vllm(Files):
    CONFIG = (
        "from typing import Literal\n"
        "from dataclasses import dataclass\n"
        'Kind = Literal["b", "a"]\n'
        "@dataclass\nclass Other: ...\n"
        "@config\nclass Config:\n"
        "    closed: Kind = 'a'\n"
        "    opened: Kind | str | None = None\n"
        "    rank: Literal[8, 16] = 8\n"
        "    many: list[str] | None = None\n"
        "    traces: list[Literal['x', 'y']] | None = None\n"
        "    switch: bool = False\n"
        "    token: bool | str | None = None\n"
        "    table: dict[str, int] = None\n"
        "    nested: Other | None = None\n"
        "    max_model_len: int = None\n"
        "    share: float = 0.9\n"
        "    quoted: 'int | None' = None\n"
    )

    def flags(self, body: str) -> dict[str, dict]:
        module = self.module(
            "import argparse\nfrom cfg import Config\ndef add(parser):\n" + body, cfg=self.CONFIG
        )
        return {one["names"][0]: one for one in vllm_arguments.Parser(module).run(module.function("add"))}

    def of(self, field: str) -> dict:
        found = self.flags(
            f"    kwargs = get_kwargs(Config)\n    g.add_argument('--f', **kwargs['{field}'])\n"
        )["--f"]
        del found["names"]
        return found

    def test_types_of_fields_become_types_of_arguments(self):
        expected = {
            "closed": {"arity": "1", "type": "string", "choices": ["a", "b"]},
            "opened": {"arity": "1", "type": "string", "choices": ["a", "b"], "open": True},
            "rank": {"arity": "1", "type": "int", "choices": ["16", "8"]},
            "many": {"arity": "+", "type": "string"},
            "traces": {"arity": "+", "type": "string", "choices": ["x", "y"]},
            "switch": {"arity": "0", "negatives": ["--no-f"]},
            "token": {"arity": "?", "type": "string"},
            "table": {"arity": "1", "type": "json"},
            "nested": {"arity": "1", "type": "json"},
            "max_model_len": {"arity": "1", "type": "int", "words": ["auto"]},
            "share": {"arity": "1", "type": "float"},
            "quoted": {"arity": "1", "type": "int"},
        }
        self.assertEqual({field: self.of(field) for field in expected}, expected)

    def test_changes_to_the_arguments_of_a_field_count(self):
        found = self.flags(
            "    kwargs = get_kwargs(Config)\n"
            "    kwargs['closed']['choices'].remove('a')\n"
            "    kwargs['many']['type'] = json.loads\n"
            "    del kwargs['many']['nargs']\n"
            "    if True:\n        g.add_argument('--closed', **kwargs['closed'])\n"
            "    g.add_argument('--many', **{**kwargs['many'], 'default': None})\n"
        )
        self.assertEqual(found["--closed"]["choices"], ["b"])
        self.assertEqual((found["--many"]["arity"], found["--many"]["type"]), ("1", "json"))

    def test_arguments_written_out_are_read_too(self):
        found = self.flags(
            "    parser.add_argument('--port', '-p', type=int, default=1)\n"
            "    parser.add_argument('--on', action='store_true')\n"
            "    parser.add_argument('--enable-x', action=argparse.BooleanOptionalAction)\n"
            "    parser.add_argument('--device', choices=['auto', 'cpu'] + ([name] if name else []))\n"
            "    parser.add_argument('tag', nargs='?')\n"
        )
        self.assertEqual(found["--port"], {"names": ["--port", "-p"], "arity": "1", "type": "int"})
        self.assertEqual(found["--on"], {"names": ["--on"], "arity": "0"})
        self.assertEqual(found["--enable-x"]["negatives"], ["--disable-x", "--no-enable-x"])
        self.assertEqual((found["--device"]["choices"], found["--device"]["open"]), (["auto", "cpu"], True))
        self.assertEqual(found["tag"]["arity"], "?")

    def test_what_it_does_not_know_stops_it(self):
        for body in (
            "    kwargs = get_kwargs(Config)\n    g.add_argument('--f', **kwargs['gone'])\n",
            "    g.add_argument('--f', **somewhere)\n",
            "    kwargs = get_kwargs(Config)\n    kwargs['closed']['const'] = 1\n",
            "    g.add_argument('--f', action='store_const')\n",
        ):
            with self.assertRaises(ExtractError, msg=body):
                self.flags(body)


class Sglang(Files):
    def of(self, annotation: str) -> dict | None:
        module = self.module("CHOICES = ['a', 'b']\n")
        return sglang.argument("some_field", ast.parse(annotation, mode="eval").body, module)

    def test_annotations_become_arguments(self):
        cases = {
            "A[int, 'help']": flag(["--some-field"], type="int"),
            "A[Optional[str], 'help']": flag(["--some-field"]),
            "A[bool, 'help' 'more']": flag(["--some-field"], "0"),
            "A[List[float], 'help']": flag(["--some-field"], "+", "float"),
            "A[str, Arg(choices=CHOICES + ['c'], aliases=['--other'])]": flag(
                ["--some-field", "--other"], choices=["a", "b", "c"]
            ),
            "A[int, Arg(cli_name='--named', type_parser=human_readable_int)]": flag(["--named"], type="int"),
            "A[Optional[dict], Arg(type_parser=json.loads)]": flag(["--some-field"], type="json"),
            "A[bool, Arg(action=argparse.BooleanOptionalAction)]": flag(
                ["--some-field"], "0", negatives=["--no-some-field"]
            ),
            "A[Any, Arg(action=LoRAPathAction, action_kwargs={'type': str, 'nargs': '*'})]": flag(
                ["--some-field"], "*"
            ),
            "A[Optional[int], Arg(no_cli=True)]": None,
            "A[int, NS('parallel')]": None,
            "int": None,
        }
        self.assertEqual({annotation: self.of(annotation) for annotation in cases}, cases)

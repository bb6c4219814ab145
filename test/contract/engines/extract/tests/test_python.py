from __future__ import annotations

import ast
import unittest

from .. import ExtractError, litellm, routes
from ..flags import flag, in_order
from ..pysource import evaluate
from . import Files


class Python(Files):
    def test_names_are_followed_through_imports_and_stars(self):
        module = self.module(
            "from pkg import NAMES\nALL = ['auto'] + NAMES",
            pkg="from deep import *",
            deep="NAMES = ['a', 'b']",
        )
        self.assertEqual(evaluate(module.need("ALL")[0], module), ["auto", "a", "b"])

    def test_functions_without_arguments_are_constants(self):
        module = self.module(
            "def names():\n    from pkg import NAMES\n    return list(NAMES)\nX = ['auto'] + names()",
            pkg="NAMES = ['a']",
        )
        self.assertEqual(evaluate(module.need("X")[0], module), ["auto", "a"])

    def test_members_of_an_enum_can_be_listed(self):
        module = self.module(
            "class Mode(Enum):\n    NONE = 0\n    ALL = 1\nX = [m.name.lower() for m in list(Mode)]"
        )
        self.assertEqual(evaluate(module.need("X")[0], module), ["none", "all"])

    def test_what_depends_on_the_machine_is_no_constant(self):
        module = self.module("X = [platform.device_type]")
        with self.assertRaises(ExtractError):
            evaluate(module.need("X")[0], module)

    def test_routes_come_from_decorators_with_prefixes_and_from_mounts(self):
        module = self.module(
            'router = APIRouter(prefix="/v1")\n'
            '@router.post("/chat/completions", dependencies=[])\ndef a(): ...\n'
            '@app.api_route("/flush", methods=["GET", "POST"])\nasync def b(): ...\n'
            '@app.get(os.environ.get("X", "/api/tags"))\nasync def c(): ...\n'
            '@unrelated.decorator("/no")\ndef d(): ...\n'
            'app.routes.append(Mount("/metrics", make_asgi_app()))\n'
        )
        found = [f"{one['method']} {one['path']}" for one in routes.in_order(routes.routes(module))]
        self.assertEqual(
            found, ["GET /api/tags", "GET /flush", "POST /flush", "GET /metrics", "POST /v1/chat/completions"]
        )

    def test_a_name_declared_twice_is_refused(self):
        with self.assertRaises(ExtractError):
            in_order([flag(["--a"]), flag(["--b", "--a"])])


class Litellm(unittest.TestCase):
    def test_keys_come_from_every_way_to_take_one(self):
        text = (
            "general_settings.get('a')\nself.general_settings['b']\n(general_settings or {}).get('c', 1)\n"
            "if 'd' in general_settings: pass\n"
            "for key, value in general_settings.items():\n    if key == 'e': pass\n"
            "other.get('f')\ngeneral_settings.get(name)\nall.get('general_settings', {}).get('g')\n"
        )
        found = set().union(*(litellm._keys(node, "general_settings") for node in ast.walk(ast.parse(text))))
        self.assertEqual(found, {"a", "b", "c", "d", "e", "g"})

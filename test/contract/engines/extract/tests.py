"""The parsers on small pieces of code: `python3 -m unittest extract.tests`, in the folder above."""

from __future__ import annotations

import ast
import tempfile
import unittest
import unittest.mock
from pathlib import Path

from . import ExtractError, clike, litellm, llamacpp, ollama, routes, sglang, vllm
from .flags import flag, in_order
from .pysource import Module, Sources, evaluate
from .release import Release, Unreachable, index_files, release


class Files(unittest.TestCase):
    def sources(self, **files: str) -> Sources:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, text in files.items():
            path = Path(folder.name) / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Sources(Release(Path(folder.name)))

    def module(self, text: str, **files: str) -> Module:
        return self.sources(it=text, **files).need("it")


class Python(Files):
    def test_names_are_followed_through_imports_and_stars(self):
        module = self.module("from pkg import NAMES\nALL = ['auto'] + NAMES", pkg="from deep import *", deep="NAMES = ['a', 'b']")
        self.assertEqual(evaluate(module.need("ALL")[0], module), ["auto", "a", "b"])

    def test_functions_without_arguments_are_constants(self):
        module = self.module("def names():\n    from pkg import NAMES\n    return list(NAMES)\nX = ['auto'] + names()", pkg="NAMES = ['a']")
        self.assertEqual(evaluate(module.need("X")[0], module), ["auto", "a"])

    def test_members_of_an_enum_can_be_listed(self):
        module = self.module("class Mode(Enum):\n    NONE = 0\n    ALL = 1\nX = [m.name.lower() for m in list(Mode)]")
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
        self.assertEqual(found, ["GET /api/tags", "GET /flush", "POST /flush", "GET /metrics", "POST /v1/chat/completions"])

    def test_a_name_declared_twice_is_refused(self):
        with self.assertRaises(ExtractError):
            in_order([flag(["--a"]), flag(["--b", "--a"])])


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
        module = self.module("import argparse\nfrom cfg import Config\ndef add(parser):\n" + body, cfg=self.CONFIG)
        return {one["names"][0]: one for one in vllm.Parser(module).run(module.function("add"))}

    def of(self, field: str) -> dict:
        found = self.flags(f"    kwargs = get_kwargs(Config)\n    g.add_argument('--f', **kwargs['{field}'])\n")["--f"]
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
            "table": {"arity": "1", "type": "string"},
            "nested": {"arity": "1", "type": "json"},
            "max_model_len": {"arity": "1", "type": "int", "words": ["auto"]},
            "share": {"arity": "1", "type": "float"},
            "quoted": {"arity": "1", "type": "int"},
        }
        expected["table"] = {"arity": "1", "type": "json"}
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
            "A[str, Arg(choices=CHOICES + ['c'], aliases=['--other'])]": flag(["--some-field", "--other"], choices=["a", "b", "c"]),
            "A[int, Arg(cli_name='--named', type_parser=human_readable_int)]": flag(["--named"], type="int"),
            "A[Optional[dict], Arg(type_parser=json.loads)]": flag(["--some-field"], type="json"),
            "A[bool, Arg(action=argparse.BooleanOptionalAction)]": flag(["--some-field"], "0", negatives=["--no-some-field"]),
            "A[Any, Arg(action=LoRAPathAction, action_kwargs={'type': str, 'nargs': '*'})]": flag(["--some-field"], "*"),
            "A[Optional[int], Arg(no_cli=True)]": None,
            "A[int, NS('parallel')]": None,
            "int": None,
        }
        self.assertEqual({annotation: self.of(annotation) for annotation in cases}, cases)


class Cpp(unittest.TestCase):
    def options(self, body: str, extra: str = "") -> list[dict]:
        text = (
            "bool is_truthy(const std::string & value) { return value == \"on\" || value == \"1\"; }\n"
            "const std::vector<ggml_type> kv_cache_types = { GGML_TYPE_F16, GGML_TYPE_Q8_0, };\n"
            "static std::initializer_list<enum llama_example> mmproj_examples = { LLAMA_EXAMPLE_MTMD, LLAMA_EXAMPLE_SERVER };\n"
            f"{extra}\nvoid init() {{ {body} }}\n"
        )
        ggml = '[GGML_TYPE_F16] = { .type_name = "f16", .blck_size = 1, }, [GGML_TYPE_Q8_0] = { .type_name = "q8_0", },'
        speculative = 'const std::map<std::string, int> common_speculative_type_from_name_map = { {"none", A}, {"ngram", B} };'
        source = {
            f"{llamacpp.ROOT}/common/arg.cpp": clike.tokens(text),
            f"{llamacpp.ROOT}/ggml/src/ggml.c": clike.tokens(ggml),
            f"{llamacpp.ROOT}/common/speculative.cpp": clike.tokens(speculative),
        }
        arg = llamacpp.for_server(source[f"{llamacpp.ROOT}/common/arg.cpp"])
        values = llamacpp.Values(source)
        examples = llamacpp.named_examples(arg, "mmproj_examples")
        found = (llamacpp.parse(call, values, examples) for _, call in clike.calls(arg, "add_opt"))
        return [one for one in found if one]

    def one(self, body: str, extra: str = "") -> dict:
        (found,) = self.options(body, extra)
        return found

    def test_arity_and_type_come_from_the_handler(self):
        handlers = {
            "[](common_params & params) { params.x = true; }": {"arity": "0"},
            "[](common_params & params, int value) { params.x = value; }": {"arity": "1", "type": "int"},
            "[](common_params & params, const std::string & value) { params.x = std::stof(value); }": {"arity": "1", "type": "float"},
            "[](common_params & params, const std::string & v) { for (auto x : split(v)) y(std::stoi(x)); }": {"arity": "1", "type": "string"},
            "[](common_params & params, const std::string & a, const std::string & b) { }": {"arity": "2", "type": "string"},
        }
        for handler, expected in handlers.items():
            hint = "" if expected["arity"] == "0" else '"N", '
            found = self.one(f'add_opt(common_arg({{"-x", "--xx"}}, {hint}string_format("a, (%s)", f(1, 2)), {handler}));')
            self.assertEqual(found["flag"], {"names": ["--xx", "-x"], **expected})

    def test_values_that_are_compared_are_choices_when_others_throw(self):
        found = self.one(
            'add_opt(common_arg({"--mode"}, "M", "help", [](common_params & params, const std::string & value) {'
            '/**/ if (value == "none") { params.m = 0; } else if (value == "mmap+mlock") { params.m = 1; }'
            'else { throw std::invalid_argument("invalid value"); } }).set_env("LLAMA_ARG_MODE"));'
        )
        self.assertEqual(found["flag"]["choices"], ["mmap+mlock", "none"])
        self.assertEqual(found["env"], ["LLAMA_ARG_MODE"])

    def test_values_that_others_may_join_are_no_choices(self):
        found = self.one(
            'add_opt(common_arg({"--device"}, "D", "help", [](common_params & params, const std::string & value) {'
            'if (value == "none") { params.d = 0; } else { if (!find(value)) { throw std::invalid_argument("no"); } use(value); } }));'
        )
        self.assertNotIn("choices", found["flag"])

    def test_numbers_may_have_words_beside_them(self):
        found = self.one(
            'add_opt(common_arg({"-ngl"}, "N", "help", [](common_params & params, const std::string & value) {'
            'if (value == "all") { params.n = -2; } else { params.n = std::stoi(value); } }));'
        )
        self.assertEqual((found["flag"]["type"], found["flag"]["words"]), ("int", ["all"]))

    def test_functions_that_take_the_value_are_looked_into(self):
        found = self.one(
            'add_opt(common_arg({"--format"}, "F", "help", [](common_params & p, const std::string & value) { p.f = from_name(value); }));',
            'int from_name(const std::string & format) { if (format == "none") { return 0; } if (format == "auto") { return 1; }'
            ' throw std::runtime_error("unknown: " + format); }',
        )
        self.assertEqual(found["flag"]["choices"], ["auto", "none"])
        cache = self.one(
            'add_opt(common_arg({"-ctk"}, "T", "h", [](common_params & p, const std::string & v) { p.k = kv_cache_type_from_str(v); }));'
        )
        self.assertEqual(cache["flag"]["choices"], ["f16", "q8_0"])
        truth = self.one(
            'add_opt(common_arg({"--fit"}, "F", "h", [](common_params & p, const std::string & value) {'
            ' if (is_truthy(value)) { p.f = 1; } else { throw 1; } }));'
        )
        self.assertEqual(truth["flag"]["choices"], ["1", "on"])

    def test_switches_have_negatives_with_a_variable_of_their_own(self):
        found = self.one(
            'add_opt(common_arg({"--jinja"}, {"--no-jinja"}, "h", [](common_params & p, bool v) { p.j = v; }).set_env("LLAMA_ARG_JINJA"));'
        )
        self.assertEqual(found["flag"], {"names": ["--jinja"], "arity": "0", "negatives": ["--no-jinja"]})
        self.assertEqual(found["env"], ["LLAMA_ARG_JINJA", "LLAMA_ARG_NO_JINJA"])

    def test_only_options_of_the_server_are_kept(self):
        option = 'add_opt(common_arg({"--%s"}, "h", [](common_params & p) { })%s);'
        chains = {
            "common": "",
            "server": ".set_examples({LLAMA_EXAMPLE_SERVER, LLAMA_EXAMPLE_CLI})",
            "vision": ".set_examples(mmproj_examples)",
            "cli": ".set_examples({LLAMA_EXAMPLE_CLI})",
            "excluded": ".set_excludes({LLAMA_EXAMPLE_SERVER})",
        }
        found = self.options("".join(option % pair for pair in chains.items()))
        self.assertEqual([one["flag"]["names"][0] for one in found], ["--common", "--server", "--vision"])

    def test_the_other_branch_of_a_condition_on_the_server_is_left_out(self):
        option = 'add_opt(common_arg({"--np"}, "N", "%s", [](common_params & p, int v) { }));'
        self.one(f"if (ex == LLAMA_EXAMPLE_SERVER) {{ {option % 'a'} }} else {{ {option % 'b'} }}")

    def test_removed_arguments_say_why(self):
        found = self.one(
            'add_opt(common_arg({"--draft"}, "N", "h", [](common_params &, int) { arg_removed("use --other"); }));'
        )
        self.assertEqual(found["flag"]["removed"], "use --other")

    def test_comments_raw_strings_and_touching_strings_are_read(self):
        found = clike.tokens('f( // no, "x"\n R"(a "b" , c)", "d\\n" "e" /* , */, \'"\');')
        (arguments,) = [parts for _, parts in clike.calls(found, "f")]
        self.assertEqual([part[0].text for part in arguments], ['a "b" , c', "d\ne", "'\"'"])


class Go(unittest.TestCase):
    def test_variables_have_the_type_of_their_reader(self):
        stream = clike.tokens('var A = Bool("OLLAMA_A")\nvar B = Uint("OLLAMA_B", 0)\n// String("OLLAMA_C")\nif s := Var("OLLAMA_A"); s != "" {}')
        self.assertEqual(ollama.read(stream), {"OLLAMA_A": "bool", "OLLAMA_B": "int"})

    def test_commands_have_their_own_flags(self):
        stream = clike.tokens(
            'serveCmd := &cobra.Command{ Use: "serve", Aliases: []string{"start"}, }\n'
            'createCmd := &cobra.Command{\nUse:   "create MODEL",\nShort: "Create",\n}\n'
            'createCmd.Flags().StringP("file", "f", "", "Name")\ncreateCmd.Flags().Bool("quiet", false, "Q")\n'
        )
        self.assertEqual(
            ollama.commands(stream),
            [
                {"name": "create", "use": "create MODEL", "flags": [flag(["--file", "-f"]), flag(["--quiet"], "0")]},
                {"name": "serve", "use": "serve", "flags": []},
            ],
        )


class Litellm(unittest.TestCase):
    def test_keys_come_from_every_way_to_take_one(self):
        text = (
            "general_settings.get('a')\nself.general_settings['b']\n(general_settings or {}).get('c', 1)\n"
            "if 'd' in general_settings: pass\n"
            "for key, value in general_settings.items():\n    if key == 'e': pass\n"
            "other.get('f')\ngeneral_settings.get(name)\n"
        )
        found = set().union(*(litellm._keys(node, "general_settings") for node in ast.walk(ast.parse(text))))
        self.assertEqual(found, {"a", "b", "c", "d", "e"})


class Registry(unittest.TestCase):
    def test_a_release_that_is_not_there_is_said_to_be_unreachable(self):
        with tempfile.TemporaryDirectory() as cache, unittest.mock.patch.dict(
            "os.environ", {"PIP_INDEX_URL": f"file://{cache}", "GPUBOX_CONTRACT_CACHE": cache}
        ):
            (Path(cache) / "pkg").mkdir()
            with self.assertRaises(Unreachable):
                release({"registry": "pypi", "package": "pkg", "version": "1", "file": "pkg-1.tar.gz", "sha256": ""}, ["*"])

    def test_another_file_than_the_pinned_one_stops_everything(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch(
            "extract.release.index_files", lambda _: {"pkg-1.tar.gz": f"file://{folder}/pkg-1.tar.gz"}
        ), unittest.mock.patch.dict("os.environ", {"GPUBOX_CONTRACT_CACHE": f"{folder}/cache"}):
            (Path(folder) / "pkg-1.tar.gz").write_bytes(b"other")
            with self.assertRaises(SystemExit):
                release({"registry": "pypi", "package": "pkg", "version": "1", "file": "pkg-1.tar.gz", "sha256": "00"}, ["*"])

    def test_an_index_page_gives_files_by_name(self):
        page = '<a href="../../packages/pkg-1.tar.gz#sha256=00">pkg-1.tar.gz</a><br/><a href="https://x/y.whl">y.whl</a>'
        with unittest.mock.patch.dict("os.environ", {"PIP_INDEX_URL": "https://index/simple"}), unittest.mock.patch(
            "urllib.request.urlopen"
        ) as opened:
            opened.return_value.__enter__.return_value.read.return_value = page.encode()
            self.assertEqual(
                index_files("pkg"),
                {"pkg-1.tar.gz": "https://index/packages/pkg-1.tar.gz", "y.whl": "https://x/y.whl"},
            )


if __name__ == "__main__":
    unittest.main()

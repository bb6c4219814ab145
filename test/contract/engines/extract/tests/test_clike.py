from __future__ import annotations

import unittest

from .. import clike, llamacpp, ollama
from ..flags import flag


class Cpp(unittest.TestCase):
    def options(self, body: str, extra: str = "") -> list[dict]:
        text = (
            'bool is_truthy(const std::string & value) { return value == "on" || value == "1"; }\n'
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
            "[](common_params & params, const std::string & value) { params.x = std::stof(value); }": {
                "arity": "1",
                "type": "float",
            },
            "[](common_params & params, const std::string & v) { for (auto x : split(v)) y(std::stoi(x)); }": {
                "arity": "1",
                "type": "string",
            },
            "[](common_params & params, const std::string & a, const std::string & b) { }": {
                "arity": "2",
                "type": "string",
            },
        }
        for handler, expected in handlers.items():
            hint = "" if expected["arity"] == "0" else '"N", '
            found = self.one(
                f'add_opt(common_arg({{"-x", "--xx"}}, {hint}string_format("a, (%s)", f(1, 2)), {handler}));'
            )
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
            " if (is_truthy(value)) { p.f = 1; } else { throw 1; } }));"
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
        stream = clike.tokens(
            'var A = Bool("OLLAMA_A")\nvar B = Uint("OLLAMA_B", 0)\n// String("OLLAMA_C")\nif s := Var("OLLAMA_A"); s != "" {}'
        )
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
                {
                    "name": "create",
                    "use": "create MODEL",
                    "flags": [flag(["--file", "-f"]), flag(["--quiet"], "0")],
                },
                {"name": "serve", "use": "serve", "flags": []},
            ],
        )

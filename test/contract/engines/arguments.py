"""
Reads command lines as Python's argparse does. Standard input: JSON with `flags` and `lines`, each a list of words. Standard output:
JSON, true for each line that the parser takes.
"""

import argparse
import contextlib
import io
import json
import sys

asked = json.load(sys.stdin)
parser = argparse.ArgumentParser(add_help=False)
TYPES = {"int": int, "float": float}
for flag in asked["flags"]:
    arity = flag.get("arity", "1")
    if arity == "0":
        parser.add_argument(*flag["names"], *flag.get("negatives", []), action="store_true")
        continue
    count = {} if arity == "1" else {"nargs": int(arity) if arity.isdigit() else arity}
    reads = TYPES.get(flag.get("type"), str)
    choices = None if flag.get("words") else flag.get("choices")
    if choices is not None:
        count["choices"] = [reads(choice) for choice in choices]
    parser.add_argument(*flag["names"], **count, type=reads)


def takes(words: list) -> bool:
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            parser.parse_args(words)
        return True
    except SystemExit:
        return False


print(json.dumps([takes(words) for words in asked["lines"]]))

"""Which flag Python's argparse finds in each word: `{flags, words}` as JSON in, first names or null out."""

import argparse
import json
import sys

asked = json.load(sys.stdin)
parser = argparse.ArgumentParser(add_help=False)
for flag in asked["flags"]:
    parser.add_argument(*flag["names"], *flag.get("negatives", []), dest=flag["names"][0])


def found(word: str):
    try:
        option = parser._parse_optional(word)
    except argparse.ArgumentError:
        return None
    except SystemExit:
        return None
    # Newer versions give a list of what it may be.
    options = option if isinstance(option, list) else [option]
    return options[0][0].dest if len(options) == 1 and options[0] and options[0][0] else None


# It says of an ambiguous beginning on standard error.
parser.error = lambda message: sys.exit(2)
json.dump([found(word) for word in asked["words"]], sys.stdout)

"""prisma-client-py writes thirty thousand classes for LiteLLM's tables into one module. They tell type checkers what a query takes,
and nothing else asks for them. Python made them all at each start: a third of a gateway's CPU until it serves, and 170 MiB. This
moves them to a module of their own, which loads when somebody asks for one of its names.

usage: lazyTypes.py PRISMA_PACKAGE
"""

import pathlib
import sys

# What comes before it is the same for every schema, and the client itself uses it.
FIRST_OF_SCHEMA = "\nStringFilter = TypedDict(\n"
ON_DEMAND = '''

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    from . import schema_types

    return getattr(schema_types, name)
'''

types = pathlib.Path(sys.argv[1], "types.py")
text = types.read_text()
common, found, _ = text.partition(FIRST_OF_SCHEMA)
if not found:
    sys.exit(f"{types} has no {FIRST_OF_SCHEMA.strip()!r}, where the types of the schema begin")
types.with_name("schema_types.py").write_text(text)
types.write_text(common + ON_DEMAND)

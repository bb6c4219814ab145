"""One argument of a command line, as the committed contracts hold it."""

from __future__ import annotations

from collections.abc import Iterable

from . import ExtractError


def flag(
    names: Iterable[str],
    arity: str = "1",
    type: str = "string",
    choices: Iterable | None = None,
    open: bool = False,
    negatives: Iterable[str] = (),
    words: Iterable[str] = (),
    separator: str | None = None,
    removed: str | None = None,
    deprecated: bool = False,
) -> dict:
    """
    `arity`: how many values follow: `0`, `1`, `2`, `?` (none or one), `+`, `*`. `type`: `string`, `int`, `float`, `json`.
    `choices`: the values that exist. `open`: the parser lets others through, because plugins may add some.
    `words`: values taken besides those of the type. `separator`: one value holds several choices. `negatives`: names that
    turn it off. `removed`: why it is refused.
    """
    made: dict = {"names": sorted(names, key=lambda n: (not n.startswith("--"), n)), "arity": arity}
    if arity != "0":
        made["type"] = type
    if choices is not None:
        # An empty or absent value is no choice that anybody would write.
        made["choices"] = sorted({str(choice) for choice in choices if choice is not None})
    if open:
        made["open"] = True
    if separator is not None:
        made["separator"] = separator
    for key, value in (("words", sorted(words)), ("negatives", sorted(negatives))):
        if value:
            made[key] = value
    if removed is not None:
        made["removed"] = removed
    if deprecated:
        made["deprecated"] = True
    return made


def in_order(found: list[dict]) -> list[dict]:
    """By first name; a name that is declared twice is a mistake of the extraction."""
    seen: set[str] = set()
    for one in found:
        for name in [*one["names"], *one.get("negatives", [])]:
            if name in seen:
                raise ExtractError(f"{name} is declared twice")
            seen.add(name)
    return sorted(found, key=lambda one: one["names"][0])


def spellings(flags: list[dict]) -> list[dict]:
    """What the package itself has to know of each flag: its names, those that turn it off, its variables and its values."""
    return [spelling(one) for one in flags if one["names"][0].startswith("-")]


def spelling(one: dict) -> dict:
    """A flag without what goes without saying: one value, any text. Where plugins may add values, none is wrong."""
    made = {key: one[key] for key in ("names", "negatives", "env", "removed") if key in one}
    if one["arity"] != "1":
        made["arity"] = one["arity"]
    if one.get("type") in ("int", "float"):
        made["type"] = one["type"]
    if "choices" in one and not one.get("open"):
        made["choices"] = one["choices"]
    if "choices" in made or "type" in made:
        made.update({key: one[key] for key in ("words", "separator") if key in one})
    return made

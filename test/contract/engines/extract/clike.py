"""Tokens of C++ and Go, and the few shapes that the extraction reads: calls with their arguments, initializers, bodies."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import ExtractError


@dataclass(frozen=True)
class Token:
    """`string` (its value), `name`, `number`, `char` or `mark`."""

    kind: str
    text: str


_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      |(?P<macro>^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)
      |(?P<rawcpp>R"(?P<fence>[^(\s]*)\((?P<rawcpp_text>.*?)\)(?P=fence)")
      |(?P<rawgo>`[^`]*`)
      |(?P<string>(?:u8|L|u|U)?"(?:[^"\\\n]|\\.)*")
      |(?P<char>'(?:[^'\\\n]|\\.[^']*)')
      |(?P<number>\.?\d(?:[\w.]|[eEpP][+-])*)
      |(?P<name>[A-Za-z_]\w*)
      |(?P<mark>::|->|\[\[|\]\]|==|!=|<=|>=|&&|\|\||:=|.)
    """,
    re.X | re.S | re.M,
)

_OPEN = {"(": ")", "{": "}", "[": "]"}


def tokens(text: str) -> list[Token]:
    """Without comments and preprocessor lines, so with both sides of an `#if`. Strings that touch are one."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise ExtractError(f"unreadable at {text[at : at + 40]!r}")
        at = match.end()
        kind = match.lastgroup if match.lastgroup not in ("fence", "rawcpp_text") else "rawcpp"
        if kind in ("space", "macro"):
            continue
        if kind == "mark" and match.group() in ("[[", "]]"):
            found += [Token("mark", match.group()[0])] * 2
            continue
        value = _value(kind, match)
        if kind in ("string", "rawcpp") and found and found[-1].kind == "string":
            value = found.pop().text + value
        found.append(Token("string" if kind in ("string", "rawcpp", "rawgo") else str(kind), value))
    return found


def _value(kind: str | None, match: re.Match) -> str:
    if kind == "rawcpp":
        return match.group("rawcpp_text")
    if kind == "rawgo":
        return match.group()[1:-1]
    if kind == "string":
        literal = match.group()
        try:
            return ast.literal_eval(literal[literal.index('"') :])
        except (SyntaxError, ValueError):
            return literal[literal.index('"') + 1 : -1]
    return match.group()


def close(stream: list[Token], opened: int) -> int:
    """Index of the mark that closes the one at `opened`."""
    expected: list[str] = []
    for index in range(opened, len(stream)):
        token = stream[index]
        if token.kind != "mark":
            continue
        if token.text in _OPEN:
            expected.append(_OPEN[token.text])
        elif expected and token.text == expected[-1]:
            expected.pop()
            if not expected:
                return index
    raise ExtractError(f"nothing closes {stream[opened].text} at token {opened}")


def split(stream: list[Token], by: str = ",") -> list[list[Token]]:
    """The parts between marks outside of every bracket; none where there is nothing."""
    parts: list[list[Token]] = [[]]
    index = 0
    while index < len(stream):
        token = stream[index]
        if token.kind == "mark" and token.text in _OPEN:
            end = close(stream, index)
            parts[-1] += stream[index : end + 1]
            index = end + 1
            continue
        if token.kind == "mark" and token.text == by:
            parts.append([])
        else:
            parts[-1].append(token)
        index += 1
    return [part for part in parts if part]


def calls(stream: list[Token], name: str) -> Iterator[tuple[int, list[list[Token]]]]:
    """Each `name(…)`: the index of its name, and its arguments."""
    for index in range(len(stream) - 1):
        if stream[index] == Token("name", name) and stream[index + 1] == Token("mark", "("):
            yield index, split(stream[index + 2 : close(stream, index + 1)])


def words(stream: list[Token]) -> list[str]:
    return [token.text for token in stream if token.kind == "string"]


def has(stream: list[Token], *texts: str) -> bool:
    """Whether these tokens follow one another somewhere."""
    plain = [token.text for token in stream]
    return any(plain[i : i + len(texts)] == list(texts) for i in range(len(plain) - len(texts) + 1))

"""Reads what an engine accepts out of its released code, without running any of it."""


class ExtractError(Exception):
    """The code has a shape that the extraction does not know. A wrong contract would be worse than none."""

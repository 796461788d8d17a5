"""The project's own modules as the architecture tests look at them: each is read and parsed once in a process."""

import ast
from functools import cache
from pathlib import Path


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module, shared by all who look at it: nobody changes it."""
    return ast.parse(path.read_text())

"""The project's own modules as the architecture tests look at them: each is parsed and walked once in a process."""

import ast
from functools import cache
from pathlib import Path


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return tree_of(path.read_text())


@cache
def tree_of(source: str) -> ast.Module:
    """The syntax tree of a text, shared by all who look at it: nobody changes it."""
    return ast.parse(source)


@cache
def walked(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Every node of a tree, as `ast.walk` finds them, which takes longer than what most tests do with them."""
    return tuple(ast.walk(tree))

"""A fingerprint of what code does: comments, docstrings and layout do not count, so editing them re-runs nothing."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def fingerprint(script):
    """Fingerprints of all deepsr modules that a script imports, directly or through each other: {module: hash}."""
    found, waiting = {}, _imports(Path(script))
    while waiting:
        name = waiting.pop()
        path = PACKAGE / f"{name}.py"
        if name not in found and path.exists():
            found[name] = _hash(path)
            waiting |= _imports(path)
    return dict(sorted(found.items()))


@cache
def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imports(path):
    """Names of the deepsr modules that a file imports anywhere."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ValueError(f"{path}: has a relative import; write from {PACKAGE.name}...")
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name:
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE.name}."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith(f"{PACKAGE.name}.")}
    return names


@cache
def _hash(path):
    tree = _tree(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, False
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:8]

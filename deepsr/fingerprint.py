"""A fingerprint of what code does: comments, docstrings and layout do not count, so editing them re-runs nothing."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def fingerprint(script, *modules):
    """Fingerprints of a script and of all deepsr modules that it imports, directly or through each other: {name: hash}.

    modules: further modules, which the script imports by a name that a setting gives, such as "deepsr.networks.fast".
    In the result, modules are named without the leading "deepsr.", as in "drafts.flow", and the script by its file's name.
    Raises ValueError for a relative import, which is not followed.
    """
    script = Path(script)
    found, waiting = {script.name: _hash(script)}, _imports(script) | _inside(modules)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name not in found and path is not None:
            found[name] = _hash(path)
            waiting |= _imports(path)
    return dict(sorted(found.items()))


def _file(name):
    """The file of a module or package of deepsr, or None if there is none of that name (it may be a function)."""
    path = PACKAGE.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imports(path):
    """Names of the deepsr modules that a file imports anywhere, with the packages that they are in."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ValueError(f"{path}: has a relative import; write from {PACKAGE.name}...")
        if isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return _inside(names)


def _inside(names):
    """Those of the dotted names that are in deepsr, and the packages that they are in, without the leading "deepsr."."""
    inside = [name.split(".")[1:] for name in names if name.split(".")[0] == PACKAGE.name]
    return {".".join(parts[:n]) for parts in inside for n in range(1, len(parts) + 1)}


@cache
def _hash(path):
    tree = _tree(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, False
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:8]

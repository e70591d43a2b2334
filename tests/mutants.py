"""Which small changes of a module do its tests notice?

    python tests/mutants.py deepsr/evaluate/metrics.py tests/test_metrics.py

Every mutant is the module with one operator, number or statement changed. It is killed if a test fails or takes too long.
Prints the survivors, each a test to write or a change that makes no difference, and the share that was killed.
"""

import argparse
import ast
import copy
import importlib.machinery
import os
import random
import signal
import sys
from pathlib import Path

SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.USub: ast.UAdd, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


def mutants(tree):
    """Yield (line, what was changed, changed tree) for every mutation of a module."""
    skipped = _messages(tree)
    nodes = [node for node in ast.walk(tree) if node not in skipped]
    for number, node in enumerate(nodes):
        for change, text in _changes(node):
            twin, swapped = copy.deepcopy((tree, node))
            change(swapped)
            yield getattr(node, "lineno", 0), number, text, ast.fix_missing_locations(twin)


def _messages(tree):
    """Nodes whose change no test should notice: docstrings, annotations, texts of errors and log lines."""
    skipped = set()
    for node in ast.walk(tree):
        parts = []
        is_log = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log.")
        if isinstance(node, ast.Raise | ast.JoinedStr) or is_log:
            parts = [node]
        elif isinstance(node, ast.FunctionDef):
            parts = [each for each in (node.returns, *(arg.annotation for arg in node.args.args)) if each]
        for part in parts:
            skipped |= set(ast.walk(part))
    return skipped


def _changes(node):
    """(function that changes a node in place, what it does) for each mutation of this node."""

    def put(name, value):
        return lambda twin: setattr(twin, name, value)

    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign | ast.UnaryOp) and type(node.op) in SWAPS:
        yield put("op", SWAPS[type(node.op)]()), f"{type(node.op).__name__} -> {SWAPS[type(node.op)].__name__}"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield put("operand", ast.UnaryOp(ast.Not(), node.operand)), "not dropped"
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        swap = SWAPS[type(node.ops[0])]
        yield put("ops", [swap(), *node.ops[1:]]), f"{type(node.ops[0]).__name__} -> {swap.__name__}"
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield put("value", not node.value), f"{node.value} -> {not node.value}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield put("value", node.value + 1), f"{node.value} -> {node.value + 1}"
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield put("test", ast.UnaryOp(ast.Not(), node.test)), "condition turned"
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        for i, statement in enumerate(block if isinstance(block, list) else []):
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            is_log = isinstance(statement, ast.Expr) and ast.unparse(statement).startswith("log.")
            if isinstance(statement, ast.Expr | ast.AugAssign | ast.Raise) and not is_text and not is_log:
                text = f"deleted: {ast.unparse(statement)[:60]}"
                yield (lambda twin, name=name, i=i: getattr(twin, name).__setitem__(i, ast.Pass())), text


def survives(path, tree, tests, timeout):
    """Whether the tests pass with `tree` in place of the module at `path`."""
    child = os.fork()
    if child == 0:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1), os.dup2(nowhere, 2)
        original = importlib.machinery.SourceFileLoader.get_code

        def get_code(loader, name):
            same = Path(loader.path).resolve() == path
            return compile(tree, str(path), "exec") if same else original(loader, name)

        importlib.machinery.SourceFileLoader.get_code = get_code
        signal.alarm(timeout)
        import pytest

        status = pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests])  # in this process
        os._exit(0 if status == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("tests", nargs="+", help="test files, and pytest's own options after --")
    parser.add_argument("--limit", type=int, default=1000, help="mutants to try, chosen at random")
    parser.add_argument("--timeout", type=int, default=120, help="seconds after which a mutant counts as killed")
    parser.add_argument("--preload", default="numpy cv2 pandas hypothesis", help="packages to import once for all mutants")
    options = parser.parse_args()
    sys.path.insert(0, os.getcwd())
    for name in options.preload.split():
        __import__(name)
    path = Path(options.module).resolve()
    tree = ast.parse(path.read_text())
    if not survives(path, tree, options.tests, 10 * options.timeout):
        sys.exit("the tests fail without any change")
    every = sorted(mutants(tree), key=lambda mutant: mutant[:2])
    chosen = every if len(every) <= options.limit else random.Random(1).sample(every, options.limit)
    killed = 0
    for line, _, text, changed in chosen:
        if survives(path, changed, options.tests, options.timeout):
            print(f"{options.module}:{line}: {text}", flush=True)
        else:
            killed += 1
    print(f"{options.module}: {killed} of {len(chosen)} mutants killed ({100 * killed / len(chosen):.0f}%)")


if __name__ == "__main__":
    main()

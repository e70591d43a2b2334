import json
import subprocess
import sys
from pathlib import Path

import pytest

from deepsr import fingerprint as code
from deepsr.registry import KINDS, LOSSES, NETWORKS

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py") if path.stem != "job")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of its own: script -> a -> b; c is imported by nobody."""
    folder = tmp_path / "deepsr"
    folder.mkdir()
    (folder / "a.py").write_text('"""A."""\nfrom deepsr.b import f\n\n\ndef g(x):\n    """Twice."""\n    return f(x) * 2\n')
    (folder / "b.py").write_text("def f(x):\n    return x + 1\n")
    (folder / "c.py").write_text("y = 1\n")
    (folder / "room").mkdir()
    (folder / "room/__init__.py").write_text("")
    (folder / "room/d.py").write_text("z = 1\n")
    (tmp_path / "script.py").write_text("from deepsr import a\n")
    monkeypatch.setattr(code, "PACKAGE", folder)

    def fingerprint():
        code._tree.cache_clear()
        code._hash.cache_clear()
        return code.fingerprint(tmp_path / "script.py")

    yield folder, fingerprint
    code._tree.cache_clear()
    code._hash.cache_clear()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "file, old, new",
    [
        ("a.py", "return f(x)", "# Why.\n    return f(x)"),
        ("a.py", '"""Twice."""', '"""Two\n\n    times."""'),
        ("a.py", '    """Twice."""\n', ""),
        ("a.py", '"""A."""\n', ""),
        ("a.py", "f(x) * 2", "(\n        f(x)\n        * 2\n    )"),
        ("c.py", "y = 1", "y = 2"),
        ("../script.py", "from", "# Why.\nfrom"),
    ],
)
def test_edits_that_change_nothing(package, file, old, new):
    folder, fingerprint = package
    before = fingerprint()
    edit(folder / file, old, new)
    assert fingerprint() == before and set(before) == {"script.py", "a", "b"}


@pytest.mark.parametrize(
    "file, old, new", [("a.py", "* 2", "* 3"), ("b.py", "x + 1", "x - 1"), ("../script.py", "import a", "import a as b")]
)
def test_edits_that_change_what_a_module_does(package, file, old, new):
    folder, fingerprint = package
    before = fingerprint()
    edit(folder / file, old, new)
    after = fingerprint()
    assert {name for name in after if after[name] != before[name]} == {
        "script.py" if "script" in file else file.removesuffix(".py")
    }


@pytest.mark.parametrize(
    "line", ["import deepsr.c", "from deepsr import c", "from deepsr.c import y", "def h():\n    import deepsr.c as d"]
)
def test_every_way_to_import_counts(package, line):
    folder, fingerprint = package
    edit(folder / "b.py", "def f", f"{line}\n\n\ndef f")
    assert set(fingerprint()) == {"script.py", "a", "b", "c"}


@pytest.mark.parametrize(
    "line", ["import deepsr.room.d", "from deepsr.room import d", "from deepsr.room.d import z", "from deepsr import room"]
)
def test_packages_are_followed(package, line):
    folder, fingerprint = package
    edit(folder / "b.py", "def f", f"{line}\n\n\ndef f")
    assert set(fingerprint()) == {"script.py", "a", "b", "room"} | (
        {"room.d"} if line != "from deepsr import room" else set()
    )


def test_a_relative_import_is_refused_rather_than_missed(package):
    folder, fingerprint = package
    edit(folder / "b.py", "def f", "from .c import y\n\n\ndef f")
    with pytest.raises(ValueError, match="relative import"):
        fingerprint()


def test_modules_that_import_each_other(package):
    folder, fingerprint = package
    edit(folder / "b.py", "def f", "import deepsr.a\n\n\ndef f")
    assert set(fingerprint()) == {"script.py", "a", "b"}


def test_what_the_scripts_load_is_what_is_fingerprinted():
    """Python itself is asked which modules the imports of each script load."""
    program = """
import ast, json, sys
loaded = {}
for script in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "deepsr"]:
        del sys.modules[name]
    tree = ast.parse(open(script).read())
    body = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) and "deepsr" in ast.unparse(n)]
    exec(compile(ast.Module(body, []), script, "exec"))
    loaded[script] = sorted(name.removeprefix("deepsr.") for name in sys.modules if name.startswith("deepsr."))
print(json.dumps(loaded))
"""
    # Those that load TensorFlow take too long here.
    quick = [s for s in SCRIPTS if not {"train.training"} & set(code.fingerprint(ROOT / "scripts" / f"{s}.py"))]
    paths = [str(ROOT / "scripts" / f"{script}.py") for script in quick]
    done = subprocess.run([sys.executable, "-c", program, *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    for script, modules in json.loads(done.stdout).items():
        assert set(modules) <= set(code.fingerprint(script)), script


@pytest.mark.parametrize(
    "script, modules",
    [
        (
            "make_drafts",
            {"drafts.ensemble", "drafts.flow", "data.degradation", "drafts.patches", "data.sequence", "data.frames"},
        ),
        ("evaluate_clip", {"drafts.ensemble", "drafts.flow", "data.degradation", "evaluate.metrics", "evaluate.scoring"}),
        (
            "train_network",
            {
                "train.training",
                "networks",
                "train.normal_matrix",
                "drafts.patches",
            },
        ),
        ("choose_patches", {"drafts.patches", "data.sequence"}),
    ],
)
def test_scripts_depend_on_what_they_are_about(script, modules):
    assert modules <= set(code.fingerprint(ROOT / "scripts" / f"{script}.py"))


# All modules that experiments name, and what one of them imports of another.
NAMED = [*(f"networks.{n}" for n in NETWORKS), *(f"drafts.{n}" for n in KINDS), *(f"train.losses.{n}" for n in LOSSES)]
IMPORTED = {"drafts.recurrent": {"drafts.motion"}, "train.losses.relative": {"train.losses.mse"}}


def test_a_training_depends_on_its_own_network_only():
    found = code.fingerprint(ROOT / "scripts/train_network.py", "deepsr.networks.fast")
    assert {"networks.fast", "networks.base", "train.training"} <= set(found)
    assert not {"networks.deepsr", "networks.chain"} & set(found)


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_added_name_re_runs_nothing_of_others(script):
    assert "registry" not in code.fingerprint(ROOT / f"scripts/{script}.py", *(f"deepsr.{name}" for name in NAMED))


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_script_depends_on_what_it_is_not_told(script):
    found = set(code.fingerprint(ROOT / f"scripts/{script}.py"))
    blocks = {"drafts.recurrent", "drafts.motion"} if "video.plan" in found else set()  # which decide the parts of a video
    assert set(NAMED) & found == blocks


@pytest.mark.parametrize("name", NAMED)
def test_the_file_of_a_network_kind_or_loss_decides_only_what_names_it(name):
    script = ROOT / f"scripts/{'make_drafts' if name.startswith('drafts') else 'train_network'}.py"
    assert set(NAMED) & set(code.fingerprint(script, f"deepsr.{name}")) == {name} | IMPORTED.get(name, set())


@pytest.mark.parametrize(
    "script, module",
    [
        ("make_drafts", "train.training"),
        ("make_drafts", "evaluate.metrics"),
        ("train_network", "drafts.ensemble"),
        ("train_network", "networks.chain_tiles"),
    ],
)
def test_scripts_do_not_depend_on_the_rest(script, module):
    assert module not in code.fingerprint(ROOT / "scripts" / f"{script}.py")

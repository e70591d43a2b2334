"""What is wrong in a file that the config names is told in a sentence, with its line."""

import pytest

from deepsr import modules
from deepsr.errors import InputError


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(modules, "ROOT", tmp_path)

    def write(name, text):
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        return file

    return write


def test_a_module_is_loaded(write):
    write("good_module", "def loss():\n    return 3\n")
    assert modules.load("good_module", "loss")() == 3


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("lacks_package", "import os\nimport nothing_of_this_name\n", ", line 2", "No module named 'nothing_of_this_name'"),
        ("wrong_name", "\n\nclass Net(nowhere.Base):\n    pass\n", ", line 3", "name 'nowhere' is not defined"),
        ("calls_numpy", "import numpy\nnumpy.zeros(-1)\n", ", line 2", "negative dimensions are not allowed"),
        ("no_class", "a = 1\n", "", "module 'no_class' has no attribute 'Net'"),
    ],
)
def test_a_module_that_cannot_be_imported(write, name, text, line, reason):
    file = write(name, text)
    with pytest.raises(InputError) as raised:
        modules.load(name, "Net")
    assert str(raised.value) == f"{file}{line}: cannot be imported ({reason}); mend it."

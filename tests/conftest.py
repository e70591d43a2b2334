"""A copy of the workflow at test size that tests may run and edit."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deepsr.cpus import cpus
from deepsr.drafts import recurrent

ROOT = Path(__file__).parent.parent
FOLDERS = ("rules", "scripts", "deepsr", "config", "profiles", "envs", "report", "models", "tests/clips")
PARTS = ("Snakefile", "tests/tiny.yaml", *FOLDERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """How many processes run the tests (`-n auto` in pyproject.toml): none but pytest's own where files are named.

    Each begins with seconds of imports, which single tests need not pay twice, and holds more than 1 GB. The longest tests
    start Snakemake with two cores, hence a process for two cores.
    """
    named = [arg.partition("::")[0] for arg in config.args]
    return min(4, max(2, cpus() // 2)) if all(map(os.path.isdir, named)) else 0


def mostly_slow(values, always=1):
    """Parameters of a test: it runs with the first of them always, and with the others among the slow tests."""
    rest = [pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow) for value in values]
    return [*list(values)[:always], *rest[always:]]


def jobs(output):
    """The jobs in Snakemake's table of what it plans: {rule: number}."""
    found = {}
    for line in output.partition("Job stats:")[2].splitlines()[3:]:
        words = line.split()
        if len(words) != 2:
            break
        found[words[0]] = int(words[1])
    found.pop("total", None)
    return found


class Project:
    """A copy of the workflow in a folder of its own."""

    def __init__(self, path):
        self.path = Path(path)
        for part in PARTS:
            target = self.path / part
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, target)
        self.config = yaml.safe_load((self.path / "tests/tiny.yaml").read_text())

    def command(self, *arguments):
        """The snakemake command line that runs this project with its present `config`."""
        (self.path / "config.yaml").write_text(yaml.safe_dump(self.config))
        return [sys.executable, "-m", "snakemake", "--configfile", "config.yaml", "--cores", "2", *map(str, arguments)]

    def run(self, *arguments, check=True, **environment):
        """Run snakemake; returns its exit status, and its output as text."""
        done = self.execute(self.command(*arguments), **environment)
        assert done.returncode == 0 or not check, done.stdout
        return done

    def execute(self, command, **environment):
        """Run a command line in the project; returns its exit status and its output as text."""
        return subprocess.run(
            command,
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": "", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def planned(self, *arguments):
        """The jobs that a dry run plans: {rule: number}."""
        return jobs(self.run("-n", *arguments).stdout)

    def copy(self, path):
        """A copy in another folder, files' times included."""
        twin = object.__new__(Project)
        twin.path, twin.config = Path(path), yaml.safe_load(yaml.safe_dump(self.config))
        shutil.copytree(self.path, twin.path, copy_function=shutil.copy2)
        return twin

    def replace(self, file, old, new):
        """Edit a file of the project."""
        text = (self.path / file).read_text()
        assert old in text, f"{old!r} is not in {file}"
        (self.path / file).write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path):
    """A fresh copy of the workflow, nothing of it run."""
    return Project(tmp_path / "project")


@pytest.fixture(autouse=True)
def blocks_of_one_frame(request, monkeypatch):
    """Tests of videos have blocks of one frame, so that their few frames can be cut into parts anywhere."""
    if request.module.__name__.startswith("test_video"):
        monkeypatch.setattr(recurrent, "BLOCK", 1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """A copy of the workflow whose table and figures have been made. Do not change it: take a `copy_of`.

    The first of several processes that run tests makes it, and the others copy it.
    """
    project = Project(tmp_path_factory.mktemp("finished") / "project")
    said = project.path / "said.txt"
    if worker_id == "master":  # the only process
        said.write_text(project.run().stdout)
    else:
        shared = tmp_path_factory.getbasetemp().parent / "finished"
        with open(f"{shared}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if shared.exists():
                shutil.copytree(shared, project.path, copy_function=shutil.copy2, dirs_exist_ok=True)
            else:
                said.write_text(project.run().stdout)
                project.copy(f"{shared}.part").path.rename(shared)
    project.said = said.read_text()
    return project


@pytest.fixture
def copy_of(tmp_path):
    """A function that copies a project, files' times included, so that a test may change the copy."""

    return lambda project: project.copy(tmp_path / "copy")

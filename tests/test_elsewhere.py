"""The workflow used from another folder and by another workflow: its files in one place, the data and results in another."""

import os
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT, mostly_slow

CLIP = "results/clips/tiny/tower.json"
MODULE = f"""
configfile: "config.yaml"

module deepsr:
    snakefile: {str(ROOT / "Snakefile")!r}
    config: config

use rule * from deepsr AS

rule count:
    input: "{CLIP}"
    output: "results/count.txt"
    shell: "wc -c < {{input}} > {{output}}"
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A function that runs snakemake in a folder with clips and config.yaml, but without the workflow's files."""
    shutil.copytree(ROOT / "tests/clips", tmp_path / "tests/clips")
    shutil.copy(ROOT / "tests/tiny.yaml", tmp_path / "config.yaml")

    def run(*arguments, folder=tmp_path, succeeds=True):
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "1", *map(str, arguments)],
            cwd=folder, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.path = tmp_path
    return run


@pytest.mark.slow
@pytest.mark.parametrize("prefix", mostly_slow(["as deepsr_*", ""]))
def test_another_workflow_uses_it_as_a_module(elsewhere, prefix):
    (elsewhere.path / "workflow").mkdir()
    (elsewhere.path / "workflow/Snakefile").write_text(MODULE.replace("AS", prefix))
    plan = elsewhere("--dry-run", "deepsr_all" if prefix else "all")
    assert "train_network" in plan and "make_report" in plan
    lock = elsewhere.path / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("results/count.txt\n")
    # Nobody knows whether the killed run that left this lock had submitted jobs.
    assert "--unlock" in elsewhere("results/count.txt", succeeds=False)
    lock.unlink()
    elsewhere("results/count.txt")
    assert int((elsewhere.path / "results/count.txt").read_text()) == (elsewhere.path / CLIP).stat().st_size
    assert "Nothing to be done" in elsewhere("results/count.txt")


@pytest.mark.slow
def test_a_module_without_a_config_has_the_default_one(elsewhere):
    (elsewhere.path / "Snakefile").write_text(f"module d:\n    snakefile: {str(ROOT / 'Snakefile')!r}\nuse rule * from d\n")
    assert "fetch_demo" in elsewhere("--dry-run", "results/psnr.csv")


def test_rules_without_the_package_beside_them_say_so(elsewhere):
    """As Snakemake fetches them for a module from github()."""
    for part in ("Snakefile", "rules"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, elsewhere.path / part)
    said = elsewhere("--dry-run", succeeds=False)
    assert "clone the repository, and name the clone's Snakefile" in said and "Traceback" not in said


@pytest.mark.parametrize("inside", mostly_slow([False, True]), ids=["from elsewhere", "from the workflow's folder"])
@pytest.mark.slow
def test_the_data_and_results_lie_in_another_directory(elsewhere, inside):
    command = "--snakefile", ROOT / "Snakefile", "--directory", elsewhere.path
    folder = ROOT if inside else elsewhere.path.parent
    config = "--configfile", elsewhere.path / "config.yaml"
    assert "make_report" in elsewhere(*command, "--dry-run", *config, folder=folder)
    elsewhere(*command, CLIP, *config, folder=folder)
    assert (elsewhere.path / CLIP).exists()
    assert "fetch_demo" in elsewhere(*command, "--dry-run", folder=folder)  # by the default config
    # A config in the place where Snakemake's users look for it is taken.
    (elsewhere.path / "config").mkdir()
    settings = yaml.safe_load((elsewhere.path / "config.yaml").read_text())
    (elsewhere.path / "config/config.yaml").write_text(yaml.safe_dump(settings))
    assert "fetch_demo" not in elsewhere(*command, "--dry-run", folder=folder)

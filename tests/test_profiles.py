"""The profiles and software environments: they plan everywhere, explain themselves, and agree with the requirements."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from conftest import ROOT, mostly_slow

PROFILES = sorted(path.name for path in (ROOT / "profiles").iterdir())


def profile(name):
    return yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())


@pytest.fixture
def no_scheduler(tmp_path):
    """A PATH with nothing on it but what any machine has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "bash", "which"):
        (folder / tool).symlink_to(shutil.which(tool))
    return str(folder)


@pytest.mark.parametrize("name", mostly_slow(PROFILES))
def test_plans_without_a_scheduler(project, no_scheduler, name):
    assert shutil.which("sbatch", path=no_scheduler) is None
    output = project.run("-n", "--workflow-profile", f"profiles/{name}", PATH=no_scheduler).stdout
    assert "train_network" in output and "This was a dry-run" in output


@pytest.mark.parametrize("name", PROFILES)
def test_explains_every_entry(name):
    text = (ROOT / f"profiles/{name}/config.yaml").read_text()
    entries = re.findall(r"^(#.*\n)?([a-z].*\n(?:[ -].*\n)*)", text, re.M)
    assert len(entries) == len(profile(name))
    for comment, entry in entries:
        assert comment or "#" in entry, f"say what this is for: {entry}"


def test_a_site_without_accounting_does_not_hang():
    slurm = profile("slurm")
    assert slurm["slurm-status-command"] == "squeue"
    # The plugin goes back to sacct unless SLURM remembers jobs (by default for 300 s) three times this long.
    assert 3 * slurm["slurm-init-seconds-before-status-checks"] <= 300


def test_only_the_local_profile_limits_gpu_jobs():
    limits = {name: [entry for entry in profile(name).get("resources", []) if "gpu" in entry] for name in PROFILES}
    assert limits == {"default": ["gpu=1"], "generic": [], "slurm": []}


def test_groups_are_of_rules_that_exist(project):
    rules = set(re.findall(r"^rule (\w+):", "".join(p.read_text() for p in (ROOT / "rules").glob("*.smk")), re.M))
    for name in ("slurm", "generic"):
        assert set(profile(name)["groups"]) <= rules
        assert set(profile(name)["group-components"]) == set(profile(name)["groups"].values())


@pytest.mark.slow
def test_groups_spare_submissions(project):
    clips = [f"clip{i:02}" for i in range(60)]
    for clip in clips:
        shutil.copytree(project.path / "tests/clips/harbour", project.path / "clips" / clip)
    project.config["datasets"]["tiny"] = {"source": "folder", "path": "clips", "train": clips[:50], "test": clips[50:]}
    plan = project.run("-n", "results/psnr.csv", "--workflow-profile", "profiles/slurm").stdout
    groups = re.findall(r"Group job (\w+)", plan)
    single = set(re.findall(r"^rule (\w+):", plan, re.M)) - {"collect_psnr"}
    # 60 index_clip, 50 choose_patches and 3 x 50 make_drafts go in tens of clips, 3 x 10 evaluate_clip in fives.
    assert groups.count("clips") == 6 and groups.count("scores") == 6
    assert single == {"train_network", "export_network"}


@pytest.fixture
def status(tmp_path):
    """What profiles/generic/status.sh says of job 7, for what scontrol says: a function of its output and exit status."""
    (tmp_path / "results/logs/cluster").mkdir(parents=True)

    def ask(answer, exit_status=0):
        scontrol = tmp_path / "scontrol"
        scontrol.write_text(f"#!/bin/sh\n[ \"$*\" = '--oneliner show job 7' ] && echo '{answer}'\nexit {exit_status}\n")
        scontrol.chmod(0o755)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        script = ROOT / "profiles/generic/status.sh"
        return subprocess.run(
            [script, "7"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    ask.silent = tmp_path / "results/logs/cluster/7.silent"
    return ask


STATES = {
    "success": ["COMPLETED"],
    "running": [
        "PENDING",
        "RUNNING",
        "COMPLETING",
        "STAGE_OUT",
        "RESIZING",
        "SIGNALING",
        "REQUEUED",
        "SUSPENDED",
        "NEW_IN_2030",
    ],
    "failed": ["FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "PREEMPTED"],
}


@pytest.mark.parametrize("state, meaning", [(state, meaning) for meaning, states in STATES.items() for state in states])
def test_only_states_that_end_a_job_count_as_failed(status, state, meaning):
    assert status(f"JobId=7 JobName=x JobState={state} Reason=None Dependency=(null)") == meaning


def test_a_scheduler_that_does_not_answer_is_asked_again_for_an_hour(status):
    assert status("", 1) == status("slurm_load_jobs error: Unable to contact slurm controller", 1) == "running"
    first = status.silent.stat().st_mtime
    os.utime(status.silent, (first - 59 * 60, first - 59 * 60))
    assert status("", 1) == "running"
    os.utime(status.silent, (first - 62 * 60, first - 62 * 60))
    assert status("", 1) == "failed"
    # An answer ends the waiting, and the next silence begins anew.
    assert status("JobId=7 JobState=RUNNING") == "running" and not status.silent.exists()
    assert status("", 1) == "running"


def test_conda_environment_holds_the_requirements():
    versions = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text(), re.M))
    dependencies = yaml.safe_load((ROOT / "envs/deepsr.yaml").read_text())["dependencies"]
    pinned = dict(entry.split("==") for entry in dependencies[-1]["pip"])
    assert pinned == {name: versions[name] for name in pinned}
    assert "python =3.11" in dependencies


# Names of packages whose import has another name.
PACKAGES = {"cv2": "opencv-contrib-python-headless", "PIL": "pillow", "yaml": "pyyaml", "skimage": "scikit-image"}
OPTIONAL = {"jax"}  # a second backend for who wants it


def imported(*patterns):
    """Names of the packages from elsewhere that files import: Python files, and rules, in which only whole lines count."""
    names = set()
    for path in [path for pattern in patterns for path in ROOT.glob(pattern)]:
        text = path.read_text()
        if path.suffix != ".py":
            text = "\n".join(re.findall(r"^(?:from [\w.]+ import \w+|import \w+)", text, re.M))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
    own = {"deepsr", "docs", "config", "models", "tests"} | {
        path.stem for folder in ("scripts", "rules", "tests", "benchmarks") for path in ROOT.glob(f"{folder}/**/*.py")
    }
    return {PACKAGES.get(name, name) for name in names - own - set(sys.stdlib_module_names)}


def declared(*parts):
    """Names of the packages that pyproject.toml asks for: the workflow's, and those of its optional parts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][part] for part in parts)]
    return {re.match(r"[\w-]+", entry)[0] for entries in lists for entry in entries}


def test_all_that_is_imported_is_declared():
    assert imported("Snakefile", "rules/*.*", "scripts/*.py", "deepsr/**/*.py", "config/*.py") - OPTIONAL <= declared()
    assert imported("tests/**/*.py", "benchmarks/*.py", "docs/*.py") <= declared("test")


def test_conda_environment_holds_all_that_is_imported():
    pinned = yaml.safe_load((ROOT / "envs/deepsr.yaml").read_text())["dependencies"][-1]["pip"]
    assert imported("deepsr/**/*.py", "scripts/*.py") - OPTIONAL == {entry.split("==")[0] for entry in pinned}

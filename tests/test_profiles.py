"""The profiles and software environments: they plan everywhere, explain themselves, and agree with the requirements."""

import ast
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

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


@pytest.mark.parametrize("name", PROFILES)
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


def test_groups_spare_submissions(project):
    clips = [f"clip{i:02}" for i in range(60)]
    frame = next((project.path / "tests/clips/harbour").iterdir())
    for clip in clips:
        (project.path / "clips" / clip).mkdir(parents=True)
        shutil.copy(frame, project.path / "clips" / clip)
    project.config["datasets"]["tiny"] = {"source": "folder", "path": "clips", "train": clips[:50], "test": clips[50:]}
    plan = project.run("-n", "results/psnr.csv", "--workflow-profile", "profiles/slurm").stdout
    groups = re.findall(r"Group job (\w+)", plan)
    single = set(re.findall(r"^rule (\w+):", plan, re.M)) - {"collect_psnr"}
    # 60 index_clip, 50 choose_patches and 3 x 50 make_drafts go in tens of clips, 3 x 10 evaluate_clip in fives.
    assert groups.count("clips") == 6 and groups.count("scores") == 6
    assert single == {"train_network", "export_network"}


def test_conda_environment_holds_the_requirements():
    versions = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text(), re.M))
    dependencies = yaml.safe_load((ROOT / "envs/deepsr.yaml").read_text())["dependencies"]
    pinned = dict(entry.split("==") for entry in dependencies[-1]["pip"])
    assert pinned == {name: versions[name] for name in pinned}
    assert "python =3.11" in dependencies


# Names of packages whose import has another name.
PACKAGES = {"cv2": "opencv-contrib-python-headless", "PIL": "pillow", "yaml": "pyyaml"}
OPTIONAL = {"jax"}  # a second backend for who wants it


def test_conda_environment_holds_all_that_is_imported():
    imported = set()
    for path in [*ROOT.glob("deepsr/**/*.py"), *ROOT.glob("scripts/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    own = {"deepsr"} | {path.stem for path in Path(ROOT / "scripts").glob("*.py")}
    needed = {PACKAGES.get(name, name) for name in imported - own - set(sys.stdlib_module_names) - OPTIONAL}
    pinned = {
        entry.split("==")[0] for entry in yaml.safe_load((ROOT / "envs/deepsr.yaml").read_text())["dependencies"][-1]["pip"]
    }
    assert needed == pinned

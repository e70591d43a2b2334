"""What people who know Snakemake expect: its own report, containers, and what its catalog of workflows reads."""

import os
import subprocess
import zipfile

import pytest
import yaml
from conftest import ROOT

APPTAINER = """#!/bin/sh
echo "$@" >> {said}
case "$1" in
--version) echo "apptainer version 1.3.4" ;;
pull) touch "$3" ;;
exec)
  while [ "${{1%.simg}}" = "$1" ]; do shift; done
  shift
  PYTHONPATH={root} exec "$@"
  ;;
esac
"""


def test_snakemakes_report_has_table_figures_and_captions(finished, tmp_path):
    file = tmp_path / "report.zip"
    finished.run("--report", file)
    with zipfile.ZipFile(file) as archive:
        names = [name.rsplit("/", 1)[-1] for name in archive.namelist()]
        page = archive.read("report/report.html").decode()
    assert {"psnr.csv", "psnr.png", "ssim.png", "gain.png", "training.png", "speed.png", "tower.png"} <= set(names)
    assert names.count("tower.png") == 4  # crops of three experiments, and flicker
    for words in (
        "Scores",
        "Crops",
        "Begin with the table",
        "Experiment article on the clip tower",
        "PSNR gain over bicubic",
    ):
        assert words in page


@pytest.mark.slow
def test_a_container_is_pulled_and_runs_the_jobs(project, tmp_path):
    """With a program in apptainer's place that runs what it is given without a container."""
    said, program = tmp_path / "said", tmp_path / "bin/apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER.format(said=said, root=project.path))
    program.chmod(0o755)
    path = f"{program.parent}:{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    project.run("--sdm", "apptainer", "--", "results/clips/tiny/tower.json", PATH=path)
    assert (project.path / "results/clips/tiny/tower.json").exists()
    calls = said.read_text()
    assert "docker-daemon://deepsr:latest" in calls
    assert f"{project.path}:" in calls  # deepsr/ is mounted for the scripts that import it


def test_what_the_catalog_reads(project):
    catalog = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert catalog["usage"]["report"] is True and (ROOT / "config/README.md").exists()
    assert 'container: "' in (ROOT / "Snakefile").read_text()
    (project.path / "workflow").mkdir()
    (project.path / "workflow/Snakefile").write_text((ROOT / "workflow/Snakefile").read_text())
    assert "make_report" in project.run("-n", "--snakefile", "workflow/Snakefile").stdout


@pytest.mark.parametrize("folder", ["results", "data"])
def test_only_what_explains_a_folder_of_the_workflow_is_kept_by_git(folder):
    files = [f"{folder}/README.md", f"{folder}/psnr.csv", f"{folder}/reds/train_sharp.zip"]
    ignored = subprocess.run(["git", "check-ignore", *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == files[1:] and (ROOT / files[0]).exists()


@pytest.mark.parametrize("rule", ["train_network", "evaluate_clip", "make_report"])
def test_rules_name_a_conda_environment_that_exists(project, rule):
    text = "".join(path.read_text() for path in (project.path / "rules").glob("*.smk"))
    block = text.partition(f"rule {rule}:")[2].partition("\nrule ")[0]
    assert '"../envs/deepsr.yaml"' in block and (project.path / "envs/deepsr.yaml").exists()

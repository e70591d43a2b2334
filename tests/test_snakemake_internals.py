"""What the workflow takes from Snakemake's inside, with the oldest and the newest Snakemake that it allows."""

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "rules"))
import snakemake_internals as internals

VERSIONS = [pytest.param("oldest", marks=pytest.mark.slow), "newest"]
SNAKEFILE = """
import snakemake_internals as internals
from pathlib import Path

configfile: "config.yaml"

print("files", list(map(str, internals.config_files(workflow))), flush=True)
print("records", internals.has_records(), flush=True)
print("dry run", internals.is_dry_run(workflow), flush=True)
print("main process", internals.is_main_process(workflow), flush=True)

onstart:
    internals.note_submission(workflow)
    internals.mark_followers_unfinished(workflow)
    internals.shorten_log(workflow)
    internals.lift_job_rate(workflow)
    print("limited", workflow.scheduler.job_rate_limiter is not None, flush=True)
    print("submitting", internals.SUBMITTING.exists(), flush=True)

onsuccess:
    internals.forget_submission()

onerror:
    for kind in ("output", "log"):
        print("planned", sorted(internals.planned_files(workflow, kind)), flush=True)

rule last:
    input: "first"
    output: "last"
    shell: "cp {input} {output}"

rule first:
    output: "first"
    log: "first.log"
    params: value=config["value"]
    shell: "echo {params.value} > {output}; {params.value}"

rule other:
    output: "other"
    shell: "touch {output}"

rule python:
    output: "python"
    run: Path(output[0]).touch()
"""


def packages(version):
    """What PYTHONPATH holds for a Snakemake of this version."""
    if version == "newest":
        return f"{ROOT / 'rules'}:{ROOT}"
    folder = os.environ.get("OLDEST_SNAKEMAKE", "")
    if not folder:
        reason = "OLDEST_SNAKEMAKE names no folder with the oldest Snakemake (.ci/run installs it)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return f"{folder}:{ROOT / 'rules'}:{ROOT}"


@pytest.fixture(params=VERSIONS)
def snakemake(request, tmp_path):
    """A function that runs a small workflow with one of the versions: arguments -> exit status and text."""
    path = packages(request.param)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "config.yaml").write_text("value: 'true'\n")

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "1", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    run.path = tmp_path
    return run


@pytest.mark.slow
def test_the_versions_are_those_that_the_workflow_allows():
    for version, pattern, file in (
        ("oldest", r'min_version\("([\d.]+)"\)', "Snakefile"),
        ("newest", r"^snakemake==([\d.]+)", "requirements.txt"),
    ):
        allowed = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)[1]
        env = {**os.environ, "PYTHONPATH": packages(version)}
        found = subprocess.run(
            [sys.executable, "-m", "snakemake", "--version"], env=env, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == allowed


@pytest.mark.slow
def test_the_oldest_runs_the_workflow(project):
    done = project.run("results/clips/tiny/tower.json", PYTHONPATH=packages("oldest"), check=False)
    assert done.returncode == 0, done.stdout
    output = project.run("-n", PYTHONPATH=packages("oldest")).stdout
    assert "train_network" in output and "This was a dry-run" in output


def test_config_files(snakemake):
    (snakemake.path / "more.yaml").write_text("value: 'true'\n")
    status, said = snakemake("first", "--configfile", "more.yaml")
    assert status == 0, said
    assert re.search(r"files \['.*more.yaml', 'config.yaml'\]", said)


def test_records(snakemake):
    assert "records False" in snakemake("first")[1]
    assert "records True" in snakemake("first")[1]


def test_dry_runs_are_told(snakemake):
    assert "dry run False" in snakemake("first")[1]
    assert "dry run True" in snakemake("first", "--dry-run")[1]


def test_lines_about_jobs_are_replaced_where_rules_are_quiet(snakemake):
    status, said = snakemake("last", "--quiet", "rules", "reason")
    lines = re.findall(r"^\d\d:\d\d:\d\d  (.*?)(?:, about .*)?$", said, re.MULTILINE)
    assert lines[0] == "first begins, 1 in all; 0 of 2 jobs done" and lines[-1] == "2 of 2 jobs done"
    assert status == 0 and "steps" not in said and "jobid" not in said and "Select jobs" not in said
    status, said = snakemake("last", "--force")
    assert status == 0 and "1 of 1 steps" in said and "jobs done" not in said


def test_only_the_default_limit_of_new_jobs_is_lifted(snakemake):
    status, said = snakemake("first")
    assert status == 0 and "limited False" in said
    status, said = snakemake("first", "--force", "--max-jobs-per-timespan", "50/1s")
    assert status == 0 and "limited True" in said


def test_what_follows_a_failed_job_is_unfinished(snakemake):
    assert snakemake("last")[0] == 0
    (snakemake.path / "config.yaml").write_text("value: 'false'\n")
    status, said = snakemake("last")
    assert status and "planned ['first', 'last']" in said and "planned ['first.log']" in said
    # The job that failed is planned, and so is what was made of its output.
    (snakemake.path / "config.yaml").write_text("value: 'true'\n")
    status, said = snakemake("last", "--dry-run", "--rerun-triggers", "mtime", "--rerun-incomplete")
    assert status == 0 and "rule first:" in said and "rule last:" in said


@pytest.mark.slow
def test_jobs_submitted_are_noted_until_the_run_ends(snakemake):
    status, said = snakemake("other")
    assert status == 0 and "submitting False" in said
    submit = [
        "--executor",
        "cluster-generic",
        "--cluster-generic-submit-cmd",
        "sh",
        "--jobs",
        "1",
        "--seconds-between-status-checks",
        "1",
    ]
    status, said = snakemake("other", "--force", *submit)
    assert status == 0, said
    assert "submitting True" in said and not (snakemake.path / internals.SUBMITTING).exists()


def left_by_a_killed_run(folder):
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("first\n")
    return lock


def test_locks_are_where_they_are_looked_for(snakemake):
    left_by_a_killed_run(snakemake.path)
    status, said = snakemake("first")
    assert status and "--unlock" in said


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(internals, "_held", [])
    monkeypatch.setattr(internals, "LOCAL", {internals.file_system(tmp_path)})
    return tmp_path


def test_stale_locks_go(here):
    lock = left_by_a_killed_run(here)
    internals.release_stale_locks()
    assert not lock.exists()


def test_locks_stay_while_a_run_is_alive(here):
    script = "import snakemake_internals as s; s.release_stale_locks(); print(1, flush=True); input()"
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'rules'}:{ROOT}"}
    with subprocess.Popen([sys.executable, "-c", script], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        lock = left_by_a_killed_run(here)
        internals.release_stale_locks()
        assert lock.exists()
        other.kill()
        other.wait()
    internals._held.clear()
    internals.release_stale_locks()
    assert not lock.exists()


@pytest.mark.parametrize("kind", ["nfs4", "lustre", "fuse.sshfs", ""])
def test_locks_stay_where_another_machine_may_hold_them(here, monkeypatch, kind):
    monkeypatch.setattr(internals, "file_system", lambda _: kind)
    lock = left_by_a_killed_run(here)
    internals.release_stale_locks()
    assert lock.exists()


def test_a_run_without_hooks_removes_no_locks_and_keeps_others_from_it(here):
    lock = left_by_a_killed_run(here)
    internals.release_stale_locks(hooks=False)
    assert lock.exists()
    internals.release_stale_locks()
    assert lock.exists()  # a run is alive
    internals._held.clear()
    internals.release_stale_locks()
    assert not lock.exists()


def test_locks_stay_while_submitted_jobs_may_wait(here):
    lock = left_by_a_killed_run(here)
    internals.SUBMITTING.touch()
    internals.release_stale_locks()
    assert lock.exists()
    internals.forget_submission()
    internals._held.clear()
    internals.release_stale_locks()
    assert not lock.exists()


def test_file_systems_are_told_by_the_innermost_mount(tmp_path, monkeypatch):
    mounts = [("/", "ext4"), (str(tmp_path), "xfs"), (str(tmp_path), "nfs4"), (f"{tmp_path}x", "tmpfs"), ("/other", "zfs")]
    mounts = [type("Mount", (), {"mountpoint": point, "fstype": kind}) for point, kind in mounts]
    monkeypatch.setattr(internals.psutil, "disk_partitions", lambda all: mounts)
    assert internals.file_system(tmp_path / "a/b") == "nfs4"
    assert internals.file_system("/elsewhere") == "ext4"
    monkeypatch.setattr(internals.psutil, "disk_partitions", lambda all: [])
    assert internals.file_system("/elsewhere") == ""


def test_a_job_that_reads_the_snakefile_is_not_the_main_process(snakemake):
    status, said = snakemake("python")
    assert status == 0 and re.findall("main process (.*)", said) == ["True", "False"]


def test_nothing_else_reaches_into_snakemake():
    documented = {"basedir", "source_path"}
    for path in [ROOT / "Snakefile", *ROOT.glob("rules/*.smk"), *ROOT.glob("scripts/*.py"), *ROOT.glob("deepsr/**/*.py")]:
        text = path.read_text()
        assert not re.search(r'"\.snakemake/(locks|metadata|incomplete|log)\b', text), path
        without_texts = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)
        assert set(re.findall(r"\bworkflow\.(\w+)", without_texts)) <= documented, path

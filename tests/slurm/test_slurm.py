"""The workflow on a real SLURM of one node, which these tests start and stop: same table, requests, and failures."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).with_name("local_slurm.sh")
# The node has 4 CPUs. Looking at jobs often saves the tests' time, and costs a scheduler of one user nothing.
SLURM = ("--workflow-profile", "profiles/slurm", "--cores", "4", "--slurm-init-seconds-before-status-checks", "2")
GENERIC = ("--workflow-profile", "profiles/generic", "--cores", "4")

pytestmark = pytest.mark.slow


def slurm(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def jobs():
    """What SLURM knows of its jobs, finished ones included: a list of {field: text}."""
    lines = slurm("scontrol", "--oneliner", "show", "job").splitlines()
    return [dict(re.findall(r"([\w/:]+)=(\S*)", line)) for line in lines if line.startswith("JobId")]


def active():
    return slurm("squeue", "--noheader", "--format=%i").split()


def wait_for(condition, seconds=120):
    """Wait until something becomes true, and return it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    missing = [tool for tool in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(tool) is None]
    reason = f"needs {', '.join(missing)} (apt-get install slurm-wlm munge)" if missing else ""
    reason = reason or ("needs root, who may start SLURM's daemons" if os.geteuid() else "")
    if reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    state = tmp_path_factory.mktemp("slurm")
    with open("/run/lock/deepsr-slurm", "w") as lock:  # a machine has one /etc/slurm: a second test run waits
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            subprocess.run([SCRIPT, "up", state], check=True)
            yield
        finally:
            subprocess.run([SCRIPT, "down", state], check=True)


@pytest.fixture
def since(cluster):
    """A function that lists the jobs submitted since the test began."""
    before = {job["JobId"] for job in jobs()}
    yield lambda: [job for job in jobs() if job["JobId"] not in before]
    subprocess.run(["scancel", "--user=root"], check=True)
    wait_for(lambda: not active())


@pytest.fixture(scope="module")
def scheduled(cluster, tmp_path_factory):
    """The default workflow at test size, run through SLURM with a GPU for training; and its jobs."""
    from conftest import Project

    project = Project(tmp_path_factory.mktemp("scheduled") / "project")
    project.config["gpus"] = 1
    # What a site does: take off the comment marks.
    file = project.path / "profiles/slurm/config.yaml"
    text, edits = re.subn(
        r"^# (set-resources:|  train_network:|    slurm_partition: gpu)", r"\1", file.read_text(), flags=re.M
    )
    assert edits == 3
    file.write_text(text)
    project.run("results/psnr.csv", *SLURM)
    return project, jobs()


def test_gives_the_table_of_a_local_run(scheduled, finished):
    project, _ = scheduled
    assert (project.path / "results/psnr.csv").read_bytes() == (finished.path / "results/psnr.csv").read_bytes()


def test_jobs_ask_for_what_their_rules_say(scheduled):
    _, done = scheduled
    asked = {}
    for job in done:
        name = re.match(r"rule_(clips|scores|train_network|export_network)", job["Comment"]).group(1)
        request = [job[key] for key in ("Partition", "NumCPUs", "MinMemoryNode", "TimeLimit")]
        asked.setdefault(name, []).append((*request, job.get("TresPerJob")))
        assert job["JobState"] == "COMPLETED"
    assert asked == {
        # index_clip, then choose_patches, then make_drafts of three experiments side by side
        "clips": [("cpu", "3", "3000M", "00:50:00", None)],
        "train_network": [("gpu", "4", "2051M", "04:00:00", "gres:gpu:1")] * 3,
        "export_network": [("cpu", "1", "1500M", "00:10:00", None)] * 3,
        # two at a time on 2 CPUs each, then the third
        "scores": [("cpu", "4", "2000M", "02:00:00", None)],
    }


def test_training_without_the_gpu_it_was_promised_runs_on_the_cpu_and_says_so(scheduled):
    project, _ = scheduled
    log = (project.path / "results/logs/train_network/deepsr.log").read_text()
    assert "A GPU was asked for, but the CPU computes: tensorflow finds none" in log
    assert "training on 4 threads of the CPU" in log or "training on 2 threads of the CPU" in log
    assert json.loads((project.path / "results/experiments/deepsr/summary.json").read_text())["devices"][0] == "cpu"


def prepend(project, script, code):
    """Put code before the work of a script of this project."""
    project.replace(f"scripts/{script}.py", "with job(", f"{code}\nwith job(")


def test_job_killed_for_memory_is_tried_again_with_more(project, since):
    # SLURM kills without a word and without clean-up, as this does.
    prepend(project, "choose_patches", "import os\nif snakemake.resources.mem_mb < 1000:\n    os.kill(os.getpid(), 9)")
    project.run("--until", "choose_patches", *SLURM)
    first, second = since()
    assert [job["JobState"] for job in (first, second)] == ["FAILED", "COMPLETED"]
    assert [job["MinMemoryNode"] for job in (first, second)] == ["500M", "1000M"]
    assert [job["TimeLimit"] for job in (first, second)] == ["00:20:00", "00:40:00"]
    assert list(project.path.glob("results/patches/tiny/*/harbour.csv"))


def test_training_at_its_time_limit_continues_from_its_checkpoint(finished, copy_of, since):
    project = copy_of(finished)
    project.replace("rules/train.smk", "runtime=growing(240)", "runtime=growing(1)")
    hang = """
import time
from pathlib import Path
from deepsr.train import checkpoint
save = checkpoint.save
first = not Path(snakemake.output.model).with_name("checkpoint.npz").exists()
def save_and_hang(*arguments):
    save(*arguments)
    while first:
        time.sleep(1)
checkpoint.save = save_and_hang
"""
    prepend(project, "train_network", hang)
    folder = "results/experiments/single"
    project.run(f"{folder}/model.keras", *SLURM)
    *limited, last = since()
    assert [job["JobState"] for job in limited] == ["TIMEOUT"] * len(limited) and limited
    assert last["JobState"] == "COMPLETED"
    assert [job["TimeLimit"] for job in (limited[0], last)] == ["00:01:00", f"00:0{2 ** len(limited)}:00"]
    log = (project.path / "results/logs/train_network/single.log").read_text()
    assert "training continues at step" in log
    history = [pd.read_csv(p.path / folder / "history.csv").drop(columns="patches_per_s") for p in (finished, project)]
    pd.testing.assert_frame_equal(*history, check_exact=True)
    weights = [zipfile.ZipFile(p.path / folder / "model.keras").read("model.weights.h5") for p in (finished, project)]
    assert weights[0] == weights[1]


def test_interrupted_runs_end_with_the_same_table(finished, copy_of, since):
    project = copy_of(finished)
    hang = project.path / "hang"
    prepend(project, "evaluate_clip", 'import os, time\nwhile os.path.exists("hang"):\n    time.sleep(0.2)')
    models = {path: path.stat().st_mtime_ns for path in project.path.glob("results/experiments/*/model.*")}
    table = (project.path / "results/psnr.csv").read_bytes()
    (project.path / "results/psnr.csv").unlink()
    command = project.command("results/psnr.csv", *SLURM)
    log = project.path / "head.log"

    def start():
        """Run in the background, as from a terminal; returns once a job is at work."""
        known = len(since())
        with open(log, "w") as file:
            head = subprocess.Popen(
                command,
                cwd=project.path,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell's children ignore it
            )
        wait_for(lambda: [job for job in since()[known:] if job["JobState"] == "RUNNING"])
        return head

    # Ctrl-C cancels the jobs and leaves no lock.
    hang.touch()
    head = start()
    time.sleep(3)
    head.send_signal(signal.SIGINT)
    assert head.wait(60) != 0
    wait_for(lambda: not active(), 30)
    assert not list(project.path.glob(".snakemake/locks/*"))

    # A job that somebody cancels is submitted again.
    head = start()
    cancelled = active()
    subprocess.run(["scancel", *cancelled], check=True)
    wait_for(lambda: set(active()) - set(cancelled))

    # The head node dies: its job goes on. The same command says in one sentence what to do, and then finishes.
    os.killpg(head.pid, signal.SIGKILL)
    head.wait()
    assert active()
    hang.unlink()
    wait_for(lambda: not active())
    refused = project.run("results/psnr.csv", *SLURM, check=False)
    assert refused.returncode != 0 and "--unlock" in refused.stdout
    project.run("--unlock", *SLURM)
    project.run("results/psnr.csv", *SLURM)
    assert (project.path / "results/psnr.csv").read_bytes() == table
    assert models == {path: path.stat().st_mtime_ns for path in models}, "what was finished was made again"


def test_generic_profile_submits_and_notices_a_killed_job(project, since):
    prepend(project, "index_clip", 'import os, time\nwhile os.path.exists("hang"):\n    time.sleep(0.2)')
    (project.path / "hang").touch()
    command = project.command("--until", "index_clip", *GENERIC)
    with open(project.path / "head.log", "w") as log:
        head = subprocess.Popen(
            command, cwd=project.path, stdout=log, stderr=log, env={**os.environ, "KERAS_BACKEND": "jax"}
        )
    (job,) = wait_for(lambda: [job for job in since() if job["JobState"] == "RUNNING"])
    assert [job[key] for key in ("NumCPUs", "MinMemoryNode", "TimeLimit")] == ["2", "1000M", "00:10:00"]
    environment = Path(f"/proc/{_process_of(job['JobId'])}/environ").read_text()
    assert "KERAS_BACKEND=jax" in environment.split("\0")
    (project.path / "hang").unlink()
    subprocess.run(["scancel", job["JobId"]], check=True)
    assert head.wait(120) == 0, (project.path / "head.log").read_text()
    assert [job["JobState"] for job in since()] == ["CANCELLED", "COMPLETED"]
    assert len(list(project.path.glob("results/clips/tiny/*.json"))) == 2


def _process_of(job):
    """Process id of a job's shell. The controller calls a job running a moment before its node knows it."""

    def found():
        listed = subprocess.run(["scontrol", "listpids", job], capture_output=True, text=True)
        return listed.returncode == 0 and listed.stdout.splitlines()[1:]

    return wait_for(found)[0].split()[0]

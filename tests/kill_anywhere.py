"""Kill a run of the workflow at random moments, give the same command again, and compare what it ends with.

    python tests/kill_anywhere.py --kills 30 --seed 7

Each kill starts from a finished project in which the output of one job, chosen in turn from all rules, is missing. The
signal goes to snakemake, to one of its jobs or to all at once, some time after that job has started. Then the same command
is given until it succeeds. The table and the networks must be, byte for byte, those of a run that nobody has disturbed.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from conftest import Project

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGKILL
TARGETS = "snakemake", "job", "all"
PLANNING = "planning"  # the moments before the first job
START = re.compile(r"^(?:local)?rule (\w+):$")
OUTPUT = re.compile(r"^    output: (.*)$")


class Run:
    """The workflow's command at work, in a session of its own, as from a terminal."""

    def __init__(self, project, log):
        self.log, self.began = Path(log), time.monotonic()
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                project.command(),
                cwd=project.path,
                env={**os.environ, "PYTHONPATH": ""},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell's children ignore it
            )

    def wait(self, timeout=1800):
        return self.process.wait(timeout)

    def wait_for(self, output):
        """Wait until the job that makes `output` has started; False if the run ends without it."""
        while self.process.poll() is None:
            if any(output in files for _, files in started(self.log)):
                return True
            time.sleep(0.02)
        return False

    def kill(self, number, target, chance):
        """Send a signal; returns what it went to."""
        jobs = psutil.Process(self.process.pid).children()
        if target == "all":
            os.killpg(self.process.pid, number)
        elif target == "job" and jobs:
            chance.choice(sorted(jobs, key=lambda job: job.pid)).send_signal(number)
        else:
            target = "snakemake"
            self.process.send_signal(number)
        return target


def started(log):
    """(rule, output files) of the jobs that a log says have started."""
    jobs = []
    for line in Path(log).read_text(errors="replace").splitlines():
        if match := START.match(line):
            jobs.append((match[1], []))
        elif jobs and (match := OUTPUT.match(line)):
            jobs[-1][1].extend(match[1].split(", "))
    return [job for job in jobs if job[1]]


def seconds(project):
    """{log of a job's benchmark: its duration} of a finished project."""
    return {
        path.relative_to(project.path / "results/benchmarks").parts[0]: float(path.read_text().split("\n")[1].split("\t")[0])
        for path in (project.path / "results/benchmarks").rglob("*.tsv")
    }


def outcome(project):
    """The files that must not depend on what happened on the way: {name: bytes}."""
    results = project.path / "results"
    names = ["psnr.csv", *(path.relative_to(results) for path in results.glob("experiments/*/model.onnx"))]
    return {str(name): (results / name).read_bytes() for name in names}


def kill_anywhere(finished, jobs, folder, kills, seed, tell=print):
    """Kill `kills` times, in copies of a finished project; returns one sentence for each kill that did not end well.

    finished: a Project; jobs: (rule, outputs) of its jobs; folder: for the copies.
    """
    chance, failures = random.Random(seed), []
    durations, expected = seconds(finished), outcome(finished)
    rules = sorted({rule for rule, _ in jobs}) + [PLANNING]
    order = []
    for i in range(kills):
        order = order or chance.sample(rules, len(rules))
        rule = order.pop()
        outputs = chance.choice([outputs for name, outputs in jobs if rule in (name, PLANNING)])
        number, target = chance.choice(SIGNALS), chance.choice(TARGETS)
        share = chance.uniform(0, 1.1)

        project = finished.copy(Path(folder) / "project")
        for output in outputs:
            (project.path / output).unlink()
        log = Path(folder) / "log"
        run = Run(project, log)
        if rule == PLANNING:
            time.sleep(share * 4)
        elif run.wait_for(outputs[0]):
            time.sleep(share * durations.get(rule, 1))
        hit = run.kill(number, target, chance) if run.process.poll() is None else "nobody, it had ended"
        status, again = run.wait(), 0
        while status and again < 3:
            again += 1
            run = Run(project, log)
            status = run.wait()
        left = [str(path) for path in (project.path / "results").rglob(".*.part*")]
        wrong = [name for name, data in expected.items() if outcome(project).get(name) != data] if not status else []
        problem = f"does not end: {log.read_text()[-2000:]}" if status else ""
        problem = problem or (f"other bytes in {wrong}" if wrong else f"leaves {left}" if left else "")
        about = f"kill {i + 1} of {kills}: {rule}, {share:.2f} of its time, {number.name} to {hit}; {again} more runs"
        tell(f"{about}: {problem or 'same bytes'}", flush=True)
        if problem:
            failures.append(f"seed {seed}, {about}: {problem}")
        else:
            shutil.rmtree(project.path)
    return failures


def finish(project, folder):
    """Run a project undisturbed; returns its jobs as `started` does."""
    run = Run(project, Path(folder) / "undisturbed")
    assert run.wait() == 0, run.log.read_text()
    return started(run.log)


def one_experiment(project):
    """Leave a project one experiment, so that no rule has more than two jobs; returns the project."""
    project.config["experiments"] = {"deepsr": project.config["experiments"]["deepsr"]}
    project.config["defaults"]["training"]["epochs"] = 4
    return project


def main():
    """The full form."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        project = one_experiment(Project(Path(folder) / "finished"))
        jobs = finish(project, folder)
        print(f"seed {options.seed}; undisturbed run of {len(jobs)} jobs in {time.monotonic() - began:.0f} s", flush=True)
        failures = kill_anywhere(project, jobs, folder, options.kills, options.seed)
    print(
        f"{options.kills - len(failures)} of {options.kills} kills ended with the same bytes; {time.monotonic() - began:.0f} s"
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

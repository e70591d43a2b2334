"""Kill the workflow at random moments, give the same command again, and compare what it ends with.

    python tests/kill_anywhere.py --kills 30 --seed 7

A round begins with a project of which nothing has been run, and kills the run several times before it lets it end. A
moment lies some time after the start of a job of a rule; all rules take their turns, and so does the planning before the
first job. The signal goes to snakemake, to one of its jobs or to all at once. At the end, the table and the networks must
be, byte for byte, those of a run that nobody has disturbed.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from conftest import ROOT, Project

sys.path.insert(0, str(ROOT))

from deepsr.report.page import read_usage

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGKILL
TARGETS = "snakemake", "job", "all"
PLANNING = "planning"
KILLS_A_ROUND = 5
STARTED = re.compile(r"^(?:local)?rule (\w+):$", re.MULTILINE)


class Run:
    """The workflow's command at work, in a session of its own, as from a terminal."""

    def __init__(self, project, *targets):
        self.log = project.path / "log"
        with open(self.log, "wb") as file:
            self.process = subprocess.Popen(
                project.command("--quiet=host", *targets),
                cwd=project.path,
                env={**os.environ, "PYTHONPATH": ""},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell's children ignore it
            )

    @property
    def rules(self):
        """Rules whose jobs have started, in the order of their first."""
        return list(dict.fromkeys(STARTED.findall(self.log.read_text(errors="replace"))))

    def wait_for(self, rule):
        """Wait until a job of `rule` has started, or the run has ended."""
        while rule not in self.rules and self.process.poll() is None:
            time.sleep(0.02)

    def rest(self, seconds):
        """Let the run work for some time, or until it says something new."""
        deadline, said = time.monotonic() + seconds, self.log.stat().st_size
        while time.monotonic() < deadline and self.log.stat().st_size == said:
            time.sleep(0.01)

    def end(self, timeout=300):
        """The exit status. A snakemake that hangs is killed: its handler of SIGTERM can wait for itself for ever."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(timeout)
        self.process.kill()
        return self.process.wait()

    def kill(self, number, target, chance):
        """Send a signal; returns whom it went to."""
        jobs = psutil.Process(self.process.pid).children()
        if target == "job" and jobs:
            chance.choice(sorted(jobs, key=lambda job: job.pid)).send_signal(number)
        elif target == "all":
            os.killpg(self.process.pid, number)
        else:
            target = "snakemake"
            self.process.send_signal(number)
        return target


def durations(project):
    """{rule: seconds of one of its jobs} of a finished project."""
    return read_usage(project.path / "results/logs").groupby("rule")["seconds"].first().to_dict()


def outcome(project, experiment="deepsr"):
    """What must not depend on what happened on the way: the network, and the experiment's rows of the table."""
    results = project.path / "results"
    rows = [row for row in (results / "psnr.csv").read_bytes().splitlines() if row.startswith(f"{experiment},".encode())]
    return rows, (results / f"experiments/{experiment}/model.onnx").read_bytes()


def kill_anywhere(undisturbed, rules, kills, seed, folder, targets=(), tell=print):
    """Kill runs `kills` times; returns a list of sentences, one for each round that did not end well.

    undisturbed: a finished Project with the experiment deepsr; rules: its rules in their order; folder: for new projects;
    targets: what is asked for.
    """
    chance, failures, expected, taken = random.Random(seed), [], outcome(undisturbed), durations(undisturbed)
    moments, turns, done = [PLANNING, *rules], [], 0
    while done < kills:
        project = Project(Path(tempfile.mkdtemp(dir=folder)) / "project")
        project.config = undisturbed.config | {"experiments": {"deepsr": undisturbed.config["experiments"]["deepsr"]}}
        turns = turns or chance.sample(moments, len(moments))
        share = min(KILLS_A_ROUND, kills - done)
        story, turn, turns = [], sorted(turns[:share], key=moments.index), turns[share:]
        for moment in turn:
            run = Run(project, *targets)
            if moment == PLANNING:
                time.sleep(chance.uniform(0, 3))
            else:
                run.wait_for(moment)
                run.rest(chance.uniform(0, taken.get(moment, 1)))
            number, target = chance.choice(SIGNALS), chance.choice(TARGETS)
            if run.process.poll() is None:
                hit = run.kill(number, target, chance)
                story.append(f"{number.name} to {hit} in {moment}, exit {run.end()}")
                tell(f"  {story[-1]}", flush=True)
        done += len(story)
        statuses = []
        while len(statuses) < 2 and not (statuses and statuses[-1] == 0):
            run = Run(project, *targets)
            statuses.append(run.process.wait())
        litter = [path.name for path in (project.path / "results").rglob(".*.part*")]
        if len(statuses) > 1 or statuses[-1]:
            failures.append(f"the command fails after it: {run.log.read_text()[-2000:]}")
        elif outcome(project) != expected:
            failures.append("other numbers")
        elif litter:
            failures.append(f"left behind: {litter}")
        else:
            tell(f"after {len(story)} kills, {done} in all, it ends with the same bytes", flush=True)
            continue
        failures[-1] = f"seed {seed}, {'; '.join(story)}: {failures[-1]}"
        tell(failures[-1], flush=True)
    return failures


def main():
    """The full form."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder) / "undisturbed")
        project.config["experiments"] = {"deepsr": project.config["experiments"]["deepsr"]}
        project.config["defaults"]["training"]["epochs"] = 4
        run = Run(project)
        assert run.process.wait() == 0, run.log.read_text()
        print(f"seed {options.seed}; rules: {' '.join(run.rules)}; {time.monotonic() - began:.0f} s undisturbed", flush=True)
        failures = kill_anywhere(project, run.rules, options.kills, options.seed, folder)
    print(f"{options.kills} kills, {len(failures)} rounds failed, {time.monotonic() - began:.0f} s")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

"""All that the workflow uses of Snakemake's internals, because Snakemake documents no other way.

Each function says which hole in the documented interface it fills, and what to do if a new Snakemake no longer has what it
uses.
tests/test_snakemake_internals.py runs each with the oldest and the newest Snakemake that the workflow allows.
"""

import fcntl
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
from short_log import ShortLog
from snakemake.logging import logger

FOLDER = Path(".snakemake")
SUBMITTING = FOLDER / "submitting"
# File systems that no other machine can write to, so that every process that may hold a lock is on this one.
LOCAL = {"apfs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "overlay", "tmpfs", "xfs", "zfs"}
_held = []  # files whose lock this process holds until it ends


def config_files(workflow):
    """Paths of the config files that have been read.

    Hole: of two equal keys Snakemake silently keeps the last, while our own reader refuses the file. Documented is only the
    result, `config`. If it goes away: leave the check out; such files are then no longer refused.
    """
    return workflow.configfiles


def note_submission(workflow):
    """Called when a run starts: one that submits jobs to a scheduler leaves a note until it ends (`forget_submission`).

    Hole: jobs of a killed run still wait in the queue, so its locks must stay (`release_stale_locks`). No documented way
    tells a workflow whether it submits jobs. If it goes away: leave the note in every run.
    """
    if not workflow.local_exec:
        SUBMITTING.touch()


def forget_submission():
    """Called when a run has ended by itself, with or without an error."""
    SUBMITTING.unlink(missing_ok=True)


def is_dry_run(workflow):
    """Whether this run only plans.

    Hole: no way is documented. If it goes away: let dry runs remove stale locks, too.
    """
    return workflow.output_settings.dryrun


def is_main_process(workflow):
    """Whether this process plans and runs the workflow, and is not one of its jobs, which read the Snakefile, too.

    Hole: no way is documented. If it goes away: let jobs print again what the run has printed.
    """
    return workflow.is_main_process


def release_stale_locks(hooks=True):
    """Remove the locks that a killed run has left in Snakemake's folder, where it is certain that no run is alive.

    Hole: after a kill or a power failure every run stops until somebody gives --unlock, which can just as well unlock a
    run that is alive. Snakemake's locks are files, which outlive their run. Each run therefore also holds a shared lock of
    the operating system, which ends with its process. A run that gets this lock for itself knows that the files are stale.
    Nothing is removed, so that Snakemake asks for --unlock, in three cases: on file systems of other machines, where such a
    lock may not be seen; after a run that submitted jobs, which may still be queued; and without hooks, as in a module of
    another workflow, since Snakemake does not call `note_submission` there.
    This is called before the rules are read; Snakemake locks later.
    If the locks' folder gets another name: nothing is removed, and --unlock is needed.
    """
    with suppress(OSError):
        FOLDER.mkdir(exist_ok=True)
        file = open(FOLDER / "alive", "a")  # noqa: SIM115 (held until this process ends)
        _held.append(file)
        if hooks and file_system(FOLDER) in LOCAL and not SUBMITTING.exists():
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(FOLDER / "locks", ignore_errors=True)
        fcntl.flock(file, fcntl.LOCK_SH)


def file_system(path):
    """Type of the file system that a path is on, such as ext4 or nfs; "" if it cannot be told."""
    path = Path(path).resolve()
    mounts = [mount for mount in psutil.disk_partitions(all=True) if path.is_relative_to(mount.mountpoint)]
    # Of several mounts on one folder, the last one is seen.
    return max(reversed(mounts), key=lambda mount: len(mount.mountpoint)).fstype if mounts else ""


def has_records():
    """Whether Snakemake's record of what results were made with is there.

    Hole: without the record (results/ copied without .snakemake/), edits of config and code are silently not noticed. Only
    the table of --summary is documented. If the record moves: the warning appears where it should not; change the path.
    """
    return any((FOLDER / "metadata").glob("*"))


def planned_files(workflow, kind):
    """Paths of the "output" or "log" files of all jobs that this run plans to make; a set of text.

    Hole: after an error, files of an earlier run are still there where this run did not get to, and with `quiet: rules`
    Snakemake does not say which job failed. Documented hooks get only Snakemake's own log, which does not say it, either.
    If it goes away: leave out results/psnr_incomplete.csv, and the ends of the logs of failed jobs.
    """
    return {str(file) for job in workflow.dag.needrun_jobs() for file in getattr(job, kind)}


def shorten_log(workflow):
    """Called when a run starts: with `quiet: rules`, from a profile or the user, lines of our own tell how far the run is.

    Hole: a run prints ten lines for each job, and only `quiet: all`, which also hides errors, leaves out "Select jobs to
    execute...". Documented are plugins, which are packages that each user would have to install. If it goes away: leave this
    out, and a run prints more.
    """
    if any(kind.name == "RULES" for kind in workflow.output_settings.quiet or ()):
        jobs = list(workflow.dag.needrun_jobs())
        one_of = {job.rule.name: job for job in jobs}  # resources are computed when they are asked for: not of all jobs
        minutes = {rule: job.resources.get("runtime", 1) for rule, job in one_of.items()}
        logger.addFilter(ShortLog(Counter(job.rule.name for job in jobs), minutes))


def lift_job_rate(workflow):
    """Called when a run starts: Snakemake's default limit of 100 new jobs a second is lifted; another one is kept.

    Hole: with a limit, Snakemake starts a timer whenever it has looked for jobs to begin, and looks again when the timer
    ends, so each finished job leaves one that never stops. While the last jobs of 302 ran and one waited, Snakemake used a
    whole CPU for this, and none without the limit (8.1 s and 0.0 s of CPU in 8 s). There is no documented way to have no
    limit. If it goes away: leave this out, and long runs take more time.
    """
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def mark_followers_unfinished(workflow):
    """Called when a run starts: outputs that are made again only because other jobs run count as unfinished until then.

    Hole: if one of those other jobs fails, its output is gone. In the next run, Snakemake takes the files that an earlier
    run made from it for up to date, since they are newer than all inputs that are left. Documented is only --forcerun, for
    single files. If it goes away: say in the README that after a failure results/psnr.csv may be old until a run succeeds.
    """
    for job in workflow.dag.needrun_jobs():
        reason = workflow.dag.reason(job)
        if reason.updated_input_run and not reason.is_provenance_triggered():
            workflow.persistence.started(job)

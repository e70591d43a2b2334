"""
What all stages share: the checked config, the clips of each data set, and the fingerprint of the code.

Needs: config (config/config.schema.yaml describes it).
Makes: EXPERIMENTS, DATASETS, and functions that answer "which clips" and "which code".
"""

import re
import sys
from functools import cache
from pathlib import Path

import deepsr
from deepsr import settings
from deepsr.fingerprint import fingerprint
from deepsr.data import reds
from deepsr.data import chains
from deepsr.data.contents import contents
from deepsr.data.datasets import open_data_set
from deepsr.data.lengths import check_scored, check_trained
from deepsr.data.overlap import check_clips, training_clips
from deepsr.drafts.ensemble import label
from deepsr.errors import InputError
from deepsr.names import digest
from deepsr.registry import named_modules
import snakemake_internals


def checked(function, *args):
    """Call a function of deepsr; what is wrong with the input ends the run in one sentence."""
    try:
        return function(*args)
    except InputError as error:
        sys.exit(f"Error: {error}")
    except OSError as error:
        sys.exit(f"Error: {error.filename}: cannot be read ({error.strerror}); make it readable.")


ROOT = Path(deepsr.__file__).parents[1]  # of the workflow's own files; the data and results of a run may lie elsewhere
if not snakemake_internals.is_dry_run(workflow):
    # Of a module Snakemake does not call the hooks; basedir is the folder of the workflow that uses it.
    snakemake_internals.release_stale_locks(hooks=Path(workflow.basedir) == ROOT)

DEFAULT_CONFIG = "config/config.yaml" if Path("config/config.yaml").exists() else str(ROOT / "config/config.yaml")
# A config file that names its own data sets or experiments (--configfile) is used alone.
if config.keys().isdisjoint({"datasets", "experiments"}):
    checked(settings.load_yaml, DEFAULT_CONFIG)  # names the line of an error, which Snakemake does not

    configfile: DEFAULT_CONFIG


for path in snakemake_internals.config_files(workflow):
    checked(settings.load_yaml, path)
config = checked(settings.complete, config, settings.load_schema(ROOT / "config/config.schema.yaml"))
EXPERIMENTS = config["experiments"]
DATASETS = {name: checked(open_data_set, name, keys) for name, keys in config["datasets"].items()}
for name, data in DATASETS.items():
    is_scored = any(name in experiment["score"] for experiment in EXPERIMENTS.values())
    if is_scored and (remark := checked(data.remark)):
        print(remark, file=sys.stderr)
    if is_scored and data.absent:
        print(data.absent, file=sys.stderr)
        for experiment in EXPERIMENTS.values():
            experiment["score"] = [dataset for dataset in experiment["score"] if dataset != name]
ARCHIVES = checked(reds.archive_facts, config["datasets"])
TRAINED = {name: experiment for name, experiment in EXPERIMENTS.items() if not experiment["model"]}


def evaluation_of(experiment, dataset):
    """How a data set's frames are scored for an experiment; what the data set itself says comes first."""
    return experiment["evaluation"] | config["datasets"][dataset].get("evaluation", {})


for name, experiment in EXPERIMENTS.items():
    checked(check_clips, name, EXPERIMENTS, DATASETS)
    for dataset in experiment["score"]:
        checked(check_scored, name, DATASETS[dataset], evaluation_of(experiment, dataset))
    for dataset in [*experiment["train"], *experiment["score"]]:
        degradation = chains.shrinking(experiment["degradation"])
        checked(DATASETS[dataset].check_degradation, degradation, f"experiments.{name}.degradation")
for name, experiment in TRAINED.items():
    checked(check_trained, name, experiment, DATASETS)


if Path("results/psnr.csv").exists() and not snakemake_internals.has_records():
    print(
        "results/psnr.csv is there, but not .snakemake/, which records what it was made with: what you have edited since then "
        "is not noticed. If you have, delete results/.",
        file=sys.stderr,
    )


# A repeat is an experiment once more with another seed. It is trained and scored, and joins the experiment in the table.
REPEATS = settings.repeats(EXPERIMENTS)


def experiment_name(run):
    """The experiment that a run belongs to; a run is an experiment or a repeat of one."""
    return REPEATS[run][0] if run in REPEATS else run


def settings_of(wildcards):
    return EXPERIMENTS[experiment_name(wildcards.experiment)]


def model_of(run):
    """The file of a run's network."""
    return EXPERIMENTS[experiment_name(run)]["model"] or f"results/experiments/{run}/model.onnx"


def trained_on(wildcards):
    """[(data set, clip)] of all that a run's network has seen."""
    return training_clips(experiment_name(wildcards.experiment), EXPERIMENTS, DATASETS)


def seed_of(wildcards):
    run = wildcards.experiment
    return REPEATS[run][1] if run in REPEATS else EXPERIMENTS[run]["seeds"][0]


@cache
def code(script, *modules):
    """Fingerprints of a script and of the deepsr modules that it imports: a change of what they do re-runs what it makes.

    This takes the place of Snakemake's own look at a script's time, which the profiles switch off: what a script does
    decides, not when its file was written. scripts/job.py, which logs and passes on the threads, does not count.
    """
    return fingerprint(ROOT / "scripts" / f"{script}.py", *modules)


def training_code(wildcards):
    """The same for a training, which imports the experiment's network and loss by their names."""
    named = named_modules(settings_of(wildcards))
    return code("train_network", named["network"], named["loss"])


def drafts_code(script, *experiments):
    """The same for a script that makes these experiments' drafts, whose kinds it imports by their names."""
    return code(script, *sorted({named_modules(experiment)["drafts"] for experiment in experiments}))


# Experiments that want the same patches or drafts share them: the folder's name tells the settings they depend on.
def patches_name(experiment):
    keys = {"scale": experiment["scale"], **experiment["patches"]}
    return f"{keys['size']}px_{digest(keys)}"


def drafts_name(experiment, dataset):
    keys = {key: experiment[key] for key in ("scale", "drafts", "patches")}
    keys["degradation"] = chain_of(experiment, dataset)
    name = chains.file_name(keys["degradation"])
    return f"x{keys['scale']}_{name}_{keys['drafts']['kind']}_{digest(keys)}"


def chain_of(experiment, dataset):
    """How a data set's LR frames come about (deepsr.data.chains). If they are given, only what enlarges them counts."""
    degradation = config["datasets"][dataset].get("degradation", experiment["degradation"])
    return chains.shrinking(degradation) if DATASETS[dataset].has_lr else degradation


def training_chains(experiment):
    """The same of all data sets that an experiment is trained on; all of them begin alike."""
    return [chain_of(experiment, dataset) for dataset in experiment["train"]]


PATCHES = {patches_name(experiment): experiment for experiment in TRAINED.values()}
DRAFTS = {drafts_name(experiment, dataset): experiment for experiment in TRAINED.values() for dataset in experiment["train"]}


def scored(pattern):
    """`pattern` for each experiment, data set and clip that is scored."""
    return [pattern.format(experiment=name, dataset=dataset, clip=clip) for name, dataset, clip in scored_by(EXPERIMENTS)]


def scored_by(experiments):
    """(experiment, data set, clip) for each clip that is scored by these experiments or repeats."""
    return [
        (name, dataset, clip)
        for name in experiments
        for dataset in EXPERIMENTS[experiment_name(name)]["score"]
        for clip in DATASETS[dataset].test
    ]


def growing(amount, per_input_mb=0, per_pixel=0):
    """A resource that grows with the size of a job's input and of an experiment's patches, and doubles each time that the
    job is tried again.
    """

    def needed(wildcards, input, attempt):
        from_input = per_input_mb * input.size_mb if per_input_mb else 0
        from_patches = per_pixel * settings_of(wildcards)["patches"]["size"] ** 2 if per_pixel else 0
        return round((amount + from_input + from_patches) * 2 ** (attempt - 1))

    return needed


def shards(wildcards):
    experiment = settings_of(wildcards)
    return [
        f"results/drafts/{dataset}/{drafts_name(experiment, dataset)}/{clip}.npz"
        for dataset in experiment["train"]
        for clip in DATASETS[dataset].train
    ]


def contents_of(paths, name):
    """What the user's files and folders hold, as one hash: if it is another, what was made of them is made again.

    name: of the file in .snakemake/contents that remembers what has been read. What cannot be read is left to the job, which
    says so in its log.
    """
    try:
        return contents(paths, f".snakemake/contents/{name}.json")
    except InputError as error:
        return str(error)


# Snakemake compares the values of such functions with the last run's only if they take nothing but wildcards.
def clip_contents(wildcards):
    """Hash of the user's files that hold a clip; None for clips that the workflow fetches."""
    paths = DATASETS[wildcards.dataset].user_paths(wildcards.clip)
    return contents_of(paths, f"clips/{wildcards.dataset}/{wildcards.clip}") if paths else None


def start_weights(wildcards):
    """The weights that an experiment starts from: another experiment's or a file's."""
    start = settings_of(wildcards)["start"]
    return f"results/experiments/{start}/model.keras" if start in EXPERIMENTS else start or []


def start_contents(wildcards):
    """Hash of the file of weights that an experiment starts from; None if it starts from none of the user's files."""
    start = settings_of(wildcards)["start"]
    return contents_of([start], f"start/{wildcards.experiment}") if start and start not in EXPERIMENTS else None


# What has been fetched is a source file from then on: no change of an address or of a script fetches it again, and
# Snakemake has no rule by which it would delete it. A rule without an action for such files would make every run plan it.
def absent(pattern, names):
    """Regular expression of those names that have no file yet. pattern: of the files' paths, "data/demo/{}" for example."""
    return "|".join(re.escape(name) for name in names if not Path(pattern.format(name)).exists()) or "(?!)"


def text_digest(name):
    """Hash of a file of deepsr/report that is no code."""
    return digest((ROOT / "deepsr/report" / name).read_text(encoding="utf-8"))


def scored_on(wildcards):
    """The experiments that are scored on a clip."""
    return [name for name, experiment in EXPERIMENTS.items() if wildcards.dataset in experiment["score"]]


def row_of(run, dataset, clip):
    """What the table says of a scored clip, besides its scores. run: see `experiment_name`."""
    name = experiment_name(run)
    experiment = EXPERIMENTS[name]
    degradation = chains.text(degraded_chain(experiment, dataset, clip, "test"))
    if DATASETS[dataset].has_lr:
        kind = DATASETS[dataset].lr_kind
        degradation = f"given as {kind} ({degradation})" if kind else f"given ({degradation})"
    return {
        "experiment": name,
        "run": run,
        "dataset": dataset,
        "sequence": clip,
        **{key: experiment[key] for key in ("scale", "network")},
        "drafts": label(experiment["drafts"]),
        "train": experiment["trained_on"] if experiment["model"] else " + ".join(experiment["train"]),
        "evaluation": evaluation_of(experiment, dataset),
        "degradation": degradation,
    }


wildcard_constraints:
    experiment="|".join([*EXPERIMENTS, *REPEATS]),
    dataset="|".join(DATASETS),
    patches=r"[\w-]+",
    drafts=r"[\w-]+",
    clip=r"[^/]+",

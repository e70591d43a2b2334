"""
Which LR frames of a clip an experiment sees. If noise or a codec belongs to their degradation, they are in files.

Needs: EXPERIMENTS, DATASETS.
Makes: CHAINS, and functions that tell the rules of the other files which files they read.
"""


def degraded_chain(experiment, dataset, clip, role):
    """How a clip's LR frames are made, with a number in the place of each range. role: train or test."""
    degradation = chain_of(experiment, dataset)
    return chains.draw(degradation, f"{config['seed']} {clip}") if role == "train" else chains.middle(degradation)


def degraded_path(experiment, dataset, clip, role):
    """The path in results/degraded of a clip's LR frames, without suffix, or None if they are given or made when read."""
    degradation, scale = degraded_chain(experiment, dataset, clip, role), experiment["scale"]
    if not chains.steps_after(degradation):
        return None
    name = f"x{scale}_{chains.file_name(degradation)}_{digest([scale, degradation])}"
    return f"results/degraded/{name}/{dataset}/{clip}"


def clip_index(experiment, dataset, clip, role):
    """The index of a clip with the HR and LR frames that an experiment sees."""
    return f"{degraded_path(experiment, dataset, clip, role) or f'results/clips/{dataset}/{clip}'}.json"


def clip_zips(experiment, dataset, clip, role):
    """The zip files that the workflow has fetched or made and that hold these frames."""
    path = degraded_path(experiment, dataset, clip, role)
    return DATASETS[dataset].zips(clip) + ([f"{path}.zip"] if path else [])


CHAINS = {}  # name of a folder in results/degraded: the scale and the chain of degradations that it stands for
for experiment in EXPERIMENTS.values():
    trained = [(dataset, clip, "train") for dataset in experiment["train"] for clip in DATASETS[dataset].train]
    tested = [(dataset, clip, "test") for dataset in experiment["score"] for clip in DATASETS[dataset].test]
    for use in trained + tested:
        if path := degraded_path(experiment, *use):
            CHAINS[Path(path).parts[2]] = experiment["scale"], degraded_chain(experiment, *use)

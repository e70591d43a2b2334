"""Which clips a network is trained on, and that it is not scored on them."""

from deepsr.errors import InputError
from deepsr.names import some


def training_clips(name, experiments, datasets):
    """All clips that an experiment's network and those it starts from are trained on: [(data set, clip)]."""
    lineage = []
    while name in experiments and name not in lineage:
        lineage.append(name)
        name = experiments[name].get("start")
    trained_on = dict.fromkeys(dataset for each in lineage for dataset in experiments[each]["train"])
    return [(dataset, clip) for dataset in trained_on for clip in datasets[dataset].train]


def check_not_seen(rows, seen, hashes):
    """Refuse a score on frames that the network was trained on, even if they have other names there. Raises InputError.

    rows: dicts with experiment, dataset, sequence; seen: {experiment: {clip: sha256 of its frames}}, the clips that its
    network was trained on; hashes: {(data set, clip): sha256 of its frames}.
    """
    for row in rows:
        scored = row["dataset"], row["sequence"]
        for clip, sha256 in seen[row["experiment"]].items():
            if sha256 == hashes[scored]:
                raise InputError(
                    f"experiments.{row['experiment']} scores {'/'.join(scored)}, on whose frames its network was trained "
                    f"({clip}); take it out of the test list, or set allow_overlap: true to show what a leak does."
                )


def check_clips(name, experiments, datasets):
    """Refuse an experiment without clips, with LR frames of another scale, or scored on a clip that it is trained on.

    Clips that the networks it starts from are trained on count, too. Raises InputError.
    """
    experiment = experiments[name]
    if not experiment["score"]:
        raise InputError(f"config: experiments.{name}.score: none of its data sets is there; put one in its place.")
    for role, dataset in [
        *(("train", datasets[trained]) for trained in experiment["train"]),
        *(("test", datasets[scored]) for scored in experiment["score"]),
    ]:
        if not getattr(dataset, role):
            raise InputError(
                f"config: datasets.{dataset.name}.{role} has no clips, which experiments.{name} needs; name some, or check "
                "that the folder holds a folder of frames for each clip."
            )
        dataset.check_scale(experiment["scale"], f"experiments.{name}.scale")
    trained = {datasets[dataset].origin(clip) for dataset, clip in training_clips(name, experiments, datasets)}
    for dataset in experiment["score"]:
        both = [clip for clip in datasets[dataset].test if datasets[dataset].origin(clip) in trained]
        if both and not experiment["allow_overlap"]:
            raise InputError(
                f"config: experiments.{name} trains on and scores {some(both)}; take them out of one list, or set "
                "allow_overlap: true to show what such a leak does."
            )

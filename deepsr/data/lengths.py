"""Refuses clips that are too short or too small for what is asked of them, as far as planning can tell."""

import os
from pathlib import Path

from deepsr.data.frames import image_size, list_images
from deepsr.errors import InputError


def check_scored(name, dataset, evaluation):
    """Refuse an experiment that leaves out all frames, or all pixels, of a clip that it is scored on. Raises InputError.

    name: of the experiment; dataset: DataSet; evaluation: settings, of which skip_frames and border are used.
    """
    skipped, border = evaluation["skip_frames"], evaluation["border"]
    for clip in dataset.test:
        frames = dataset.length(clip)
        if frames is not None and frames <= 2 * skipped:
            raise InputError(
                f"config: experiments.{name}: evaluation.skip_frames leaves out {skipped} frames at each end of "
                f"{dataset.name}/{clip}, which has {frames}; leave out fewer, or take the clip out of the test list."
            )
        size = _size(dataset, clip) if border else None
        if size and 2 * border >= min(size):
            raise InputError(
                f"config: experiments.{name}: evaluation.border, {border} pixels at each side, leaves nothing of "
                f"{dataset.name}/{clip}, whose frames have {size[1]}x{size[0]}; make it smaller."
            )


def check_trained(name, experiment, datasets):
    """Refuse an experiment whose training clips are too short, or give fewer patches than it asks for. Raises InputError.

    name: of the experiment; experiment: its settings; datasets: {name: DataSet}.
    """
    settings, patches = experiment["patches"], 0
    held = settings["validation_frames"]
    for dataset in experiment["train"]:
        for clip in datasets[dataset].train:
            frames = datasets[dataset].length(clip)
            if frames is None:  # choose_patches and train_network see it when the clip is there
                return
            if frames <= held:
                raise InputError(
                    f"config: experiments.{name}.patches.validation_frames is {held}, which leaves no frame to train on in "
                    f"{dataset}/{clip}, which has {frames}; choose fewer, or take the clip out of the list `train`."
                )
            patches += min(frames - held, settings["frames"] or frames) * settings["per_frame"]
    wanted = experiment["training"]["patches"]
    if wanted is not None and wanted > patches:
        raise InputError(
            f"config: experiments.{name}.training.patches: {wanted} are asked for, but the training clips give {patches}; "
            "ask for fewer, or cut more patches per frame."
        )


def _size(dataset, clip):
    """Height and width of a clip's first frame, or None if the frames are not in a folder."""
    folder = dataset.location(clip)["container"]
    return image_size(Path(folder, list_images(folder)[0])) if os.path.isdir(folder) else None

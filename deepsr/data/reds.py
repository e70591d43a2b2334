"""The REDS data set: its archives, clips and splits, as plain data.

Source: Nah et al., NTIRE 2019 Challenge on Video Deblurring and Super-Resolution, CVPR Workshops 2019.
Licence: CC BY 4.0.
240 training and 30 validation clips of 100 frames of 1280x720 at 24 frames/s.
"""

from deepsr.errors import InputError

REVISION = "62dc25d16e6f43d2214f1b365023abda86f7a0ae"  # pinned, so that the files cannot change
URL = f"https://huggingface.co/datasets/snah/REDS/resolve/{REVISION}/{{archive}}.zip"  # the authors' own host
FRAMES = 100  # frames per clip
LR_SCALE = 4  # of the official low-resolution frames


def _archive(folder, clips, size, sha256=None):
    return {"size": size, "sha256": sha256, "prefix": folder, "clips": [f"{i:03d}" for i in range(clips)]}


# Clip c of an archive is the folder prefix + c; its frames are 00000000.png to 00000099.png.
# Where no sha256 is published, the byte count and the CRC-32 of every member are the check.
# "bicubic" are the low-resolution frames, 320x180 (MATLAB bicubic, x4).
ARCHIVES = {
    "train_sharp": _archive(
        "train/train_sharp/", 240, 34_261_573_976, "620294c1c3f23ed26c5ea228633770469c0b28e57d31eb41dc77deb401c6681b"
    ),
    "val_sharp": _archive("val/val_sharp/", 30, 4_273_865_704),
    "train_sharp_bicubic": _archive("train/train_sharp_bicubic/X4/", 240, 2_652_551_733),
    "val_sharp_bicubic": _archive("val/val_sharp_bicubic/X4/", 30, 330_490_885),
}

TRAIN, VAL = ([f"{part}_{clip}" for clip in ARCHIVES[f"{part}_sharp"]["clips"]] for part in ("train", "val"))
REDS4 = ["train_000", "train_011", "train_015", "train_020"]
OTHERS = [clip for clip in TRAIN if clip not in REDS4]
# split -> role -> clips. A network trained on the official training clips must not be scored on REDS4, which is among them:
# papers that score REDS4 train on the 266 others of both archives (Wang et al., EDVR, CVPR Workshops 2019).
SPLITS = {
    "official": {"train": TRAIN, "test": VAL},
    "reds4": {"train": OTHERS + VAL, "test": REDS4},
    "reds4_without_val": {"train": OTHERS, "test": REDS4},
}


def prefix(archive, clip):
    """The folder of a clip's frames in `archive`, such as "train/train_sharp/000/"."""
    return f"{ARCHIVES[archive]['prefix']}{clip}/"


def archive_facts(datasets):
    """Addresses, byte count and sha256 of every archive: the published ones, unless a data set of the config gives others.

    datasets: the config's. Returns {archive: {"url": [str], "size": int or None, "sha256": str or None}}.
    Raises InputError if two data sets, which share what is fetched, say different things.
    """
    facts = {
        name: {"url": [URL.format(archive=name)], "size": known["size"], "sha256": known["sha256"]}
        for name, known in ARCHIVES.items()
    }
    told_by = {}
    for dataset, keys in datasets.items():
        for archive, told in keys.get("archives", {}).items():
            first = told_by.setdefault(archive, dataset)
            if told != datasets[first]["archives"][archive]:
                raise InputError(
                    f"config: datasets.{first}.archives.{archive} and datasets.{dataset}.archives.{archive} differ, but "
                    f"both data sets read the same data/reds/{archive}.zip; say the same in both, or in one only."
                )
            facts[archive] |= told
    return facts

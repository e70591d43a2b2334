"""Where clips come from, behind one interface. Light: it is imported whenever the workflow is planned.

Sources: demo (shots of three small videos), folder (the user's frames, path/<clip>/*.png), reds (the REDS data set).
"""

import os
from functools import cached_property
from pathlib import Path

from deepsr.data import demo, reds
from deepsr.data.frames import list_images, natural_key
from deepsr.errors import InputError
from deepsr.settings import check_clip_name

KEYS = {  # beside source, train and test
    "demo": (set(), set()),  # needed, allowed
    "folder": ({"path"}, {"path", "lr"}),
    "reds": (set(), {"path", "lr", "split", "fetch", "archives"}),
}


class DataSet:
    """A named data set of the config; `train` and `test` are its clips' names.

    Raises InputError naming the key if a clip is named that is not there, or the source's keys are wrong.
    """

    def __new__(cls, name, keys):
        kind = {"demo": Demo, "folder": Folder, "reds": Reds}[keys["source"]]
        return super().__new__(kind)

    def __init__(self, name, keys):
        self.name, self.keys = name, keys
        needed, allowed = KEYS[keys["source"]]
        given = set(keys) - {"source", "train", "test"}
        for key in sorted((needed - given) | (given - allowed)):
            wrong = "is missing" if key in needed else f"does not go with source {keys['source']}"
            raise InputError(f"config: datasets.{name}.{key} {wrong}; add or remove it (config/README.md).")

    @cached_property
    def train(self):
        """Names of the clips to train on."""
        return self._clips("train")

    @cached_property
    def test(self):
        """Names of the clips to score."""
        return self._clips("test")

    def _clips(self, role):
        known, default = self.known(role), self.default(role)
        chosen = self.keys.get(role, default)
        key = f"config: datasets.{self.name}.{role}"
        names = known if chosen == "all" else [self.full_name(clip, role) for clip in chosen]
        for clip in names:
            check_clip_name(clip, key)
            if clip not in known:
                raise InputError(f"{key} names the clip {clip!r}, which is not there; there are {_some(known)}.")
        return list(names)

    def full_name(self, clip, role):
        """Name of a clip in paths and tables; `clip` is its name in the config."""
        return clip

    def lr_files(self, clip):
        """Files of given LR frames, if the data set has any."""
        return []

    def archives(self, clip):
        """Zip files, of this clip or of many, that are only read: a new time of theirs re-runs nothing."""
        return []

    def made(self, clip):
        """Zip files that must be there while the clip's frames are read; the workflow may have to make or fetch them."""
        return self.archives(clip)


class Demo(DataSet):
    """Shots of the demo videos (deepsr.data.demo)."""

    def known(self, role):
        return list(demo.SHOTS)

    def default(self, role):
        return {"train": ["city_a", "street", "bunny"], "test": ["city_b", "bicycle"]}[role]

    def files(self, clip):
        return self.made(clip)

    def made(self, clip):
        return [f"results/frames/demo/{clip}.zip"]

    def where(self, clip):
        return {"container": self.made(clip)[0]}

    def identity(self, clip):
        return "demo", clip


class Folder(DataSet):
    """A folder of the user's with a folder of frames for each clip. It is only ever read."""

    def known(self, role):
        return self._folders

    @cached_property
    def _folders(self):
        path = Path(self.keys["path"])
        if not path.is_dir():
            raise InputError(
                f"config: datasets.{self.name}.path: there is no folder {path}; name the folder that holds the clips."
            )
        return sorted((p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")), key=natural_key)

    def default(self, role):
        return {"train": [], "test": "all"}[role]

    def _clips(self, role):
        names = super()._clips(role)
        for clip in names:  # are they there?
            self.files(clip), self.lr_files(clip)
        return names

    def files(self, clip):
        return _images(Path(self.keys["path"]) / clip)

    def lr_files(self, clip):
        return _images(Path(self.keys["lr"]) / clip) if "lr" in self.keys else []

    def where(self, clip):
        lr = {"lr": {"container": f"{self.keys['lr']}/{clip}"}} if "lr" in self.keys else {}
        return {"container": f"{self.keys['path']}/{clip}", **lr}

    def identity(self, clip):
        return "folder", str((Path(self.keys["path"]) / clip).resolve())


class Reds(DataSet):
    """REDS (deepsr.data.reds). Clips are called train_000 or val_000, since both archives number theirs from 000."""

    def __init__(self, name, keys):
        super().__init__(name, keys)
        if keys.get("lr", "official") != "official":
            raise InputError(
                f"config: datasets.{name}.lr is {keys['lr']!r}; for source reds it must be official, or left out."
            )

    def known(self, role):
        archive, clips = reds.clips(self.split, role)
        return [f"{archive.removesuffix('_sharp')}_{clip}" for clip in clips]

    def default(self, role):
        return "all"

    @property
    def split(self):
        return self.keys.get("split", "official")

    def full_name(self, clip, role):
        archive, _ = reds.clips(self.split, role)
        part = archive.removesuffix("_sharp")
        return clip if clip.startswith(f"{part}_") else f"{part}_{clip}"

    def _archives(self, clip):
        """(archive, number of the clip) of the HR frames and, if the official LR frames are wanted, of these."""
        part, number = clip.split("_")
        hr = f"{part}_sharp"
        return [(hr, number)] + ([(reds.bicubic(hr), number)] if self.keys.get("lr") == "official" else [])

    def _place(self, archive, number):
        """Where the frames of a clip are: container and, in an archive of many clips, prefix."""
        prefix = reds.prefix(archive, number)
        if "path" in self.keys:
            path = Path(self.keys["path"])
            for folder in (path / prefix, path / prefix.split("/", 1)[1]):
                if folder.is_dir():
                    return {"container": str(folder)}
            container = path / f"{archive}.zip"
            if not container.is_file():
                raise InputError(
                    f"config: datasets.{self.name}.path: neither {container} nor {path / prefix} is there; name the "
                    "folder that holds REDS, or leave `path` out to have it fetched."
                )
            return {"container": str(container), "prefix": prefix}
        if self.keys.get("fetch", "archives") == "clips":
            return {"container": f"data/reds/{archive}/{number}.zip"}
        return {"container": f"data/reds/{archive}.zip", "prefix": prefix}

    def where(self, clip):
        hr, *lr = (self._place(*place) for place in self._archives(clip))
        return {**hr, "frames": reds.FRAMES, **({"lr": lr[0]} if lr else {})}

    def _clips(self, role):
        names = super()._clips(role)
        for clip in names:
            self.where(clip)  # is it there?
        return names

    def _files(self, archive, number):
        """Frames of an unpacked clip."""
        folder = Path(self._place(archive, number)["container"])
        return [] if folder.suffix == ".zip" else _images(folder)

    def files(self, clip):
        return self._files(*self._archives(clip)[0])

    def lr_files(self, clip):
        return [file for place in self._archives(clip)[1:] for file in self._files(*place)]

    def archives(self, clip):
        places = [self._place(*place)["container"] for place in self._archives(clip)]
        return [container for container in places if container.endswith(".zip")]

    def identity(self, clip):
        return "reds", clip


def learned(name, experiments, datasets):
    """Data set and clip of all that an experiment's network, or one it starts from, is trained on: [(str, str)]."""
    lineage = []
    while name in experiments and name not in lineage:
        lineage.append(name)
        name = experiments[name].get("start")
    return [(experiments[each]["train"], clip) for each in lineage for clip in datasets[experiments[each]["train"]].train]


def check_same_frames(rows, trained_on, hashes):
    """Refuse a score on frames that the network has seen, whatever their data set and clip are called there.

    rows: dicts with experiment, dataset, sequence; trained_on: {experiment: [(data set, clip)]};
    hashes: {(data set, clip): sha256 of the frames}.
    """
    for row in rows:
        scored = row["dataset"], row["sequence"]
        for clip in trained_on[row["experiment"]]:
            if hashes[tuple(clip)] == hashes[scored]:
                raise InputError(
                    f"experiments.{row['experiment']} trains on and scores the same frames, {'/'.join(clip)} and "
                    f"{'/'.join(scored)}; take one out of its list, or set allow_overlap: true to show what a leak does."
                )


def check_overlap(name, experiments, datasets):
    """Refuse an experiment without clips, and one scored on a clip that its network, or one it starts from, has seen."""
    experiment = experiments[name]
    trained = datasets[experiment["train"]]
    for role, dataset in [("train", trained), *(("test", datasets[scored]) for scored in experiment["score"])]:
        if not getattr(dataset, role):
            raise InputError(
                f"config: datasets.{dataset.name}.{role} has no clips, which experiments.{name} needs; name some, or check "
                "that the folder holds a folder of frames for each clip."
            )
    seen = {datasets[dataset].identity(clip) for dataset, clip in learned(name, experiments, datasets)}
    for dataset in experiment["score"]:
        both = [clip for clip in datasets[dataset].test if datasets[dataset].identity(clip) in seen]
        if both and not experiment["allow_overlap"]:
            raise InputError(
                f"config: experiments.{name} trains on and scores {_some(both)}; take them out of one list, or set "
                "allow_overlap: true to show what such a leak does."
            )


def _images(folder):
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name the folder that holds the clip's frames.")
    files = [str(folder / name) for name in list_images(folder)]
    for file in files:
        if not os.path.isfile(file):  # Snakemake would be content with what was made of it before
            raise InputError(f"{file}: is no file, or a link to one that is gone; put the frame back or remove it.")
    return files


def _some(names):
    shown = ", ".join(names[:8])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 8 else shown or "none"

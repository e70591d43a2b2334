"""Where clips come from, behind one interface. A source is one class here and one entry in SOURCES."""

import fnmatch
import os
from functools import cached_property
from pathlib import Path

from deepsr.data import benchmarks, demo, reds
from deepsr.data.frames import list_images, natural_key, pair_lr
from deepsr.errors import InputError
from deepsr.names import check_clip_name, some


class DataSet:
    """A named data set of the config. Every source of data sets is a subclass.

    keys: its keys in the config. Raises InputError that names the key if a key is wrong, or, as soon as `train` or `test` is
    asked for, if a clip or one of its frames is not there.
    """

    needed, allowed = (), ()  # keys in the config beside source, train and test
    default = {"train": "all", "test": "all"}  # the clips that are taken if the config names none
    absent = None  # if the data set is not there and experiments shall be scored without it: a sentence that says so

    def __init__(self, name, keys):
        self.name = name
        self.keys = keys | {key: os.path.expanduser(keys[key]) for key in ("path", "lr") if key in keys}
        given = set(keys) - {"source", "train", "test", "degradation", "evaluation"}
        for key in sorted((set(self.needed) - given) | (given - set(self.needed) - set(self.allowed))):
            wrong = "is missing" if key in self.needed else f"does not go with source {keys['source']}"
            raise InputError(f"config: datasets.{name}.{key} {wrong}; add or remove it (config/README.md).")
        if {"lr", "degradation"} <= set(keys):
            raise InputError(f"config: datasets.{name} has LR frames of its own, lr, and a degradation; remove one.")

    @cached_property
    def train(self):
        """Names of the clips to train on."""
        return self._chosen("train")

    @cached_property
    def test(self):
        """Names of the clips to score."""
        return self._chosen("test")

    @property
    def has_lr(self):
        """Whether LR frames come with the data."""
        return "lr" in self.keys

    def _chosen(self, role):
        known, chosen = list(self.known(role)), self.keys.get(role, self.default[role])
        key, names = f"config: datasets.{self.name}.{role}", []
        for clip in known if chosen == "all" else chosen:
            fitting = fnmatch.filter(known, clip) if "*" in clip else [self.full_name(clip, role)]
            if not fitting:
                raise InputError(f"{key}: no clip fits {clip!r}; there are {some(known)}.")
            names += fitting
        for clip in names:
            check_clip_name(clip, key)
            if clip not in known:
                raise InputError(f"{key} names the clip {clip!r}, which is not there; there are {some(known)}.")
            if names.count(clip) > 1:
                raise InputError(f"{key} names the clip {clip!r} more than once; name it once.")
            self.check_frames(clip)
        return names

    def known(self, role):
        """Names of all clips that may be chosen for `role`, "train" or "test"."""
        raise NotImplementedError

    def full_name(self, clip, role):
        """The name in paths and tables of a clip that the config calls `clip`."""
        return clip

    def location(self, clip):
        """Where a clip's frames are: a dict with the path `container` of a folder or zip file. If needed it also has
        `prefix`, the folder inside a zip file of many clips; `frames`, the number of frames to take; and `lr`, such a dict
        for given LR frames.
        """
        raise NotImplementedError

    def user_paths(self, clip):
        """The user's own folders or zip files with the clip's frames. They are only read; changes in them are noticed."""
        return []

    def check_frames(self, clip):
        """Raise InputError if a folder or a frame of the user's is missing, or an LR frame has no HR frame of its name."""
        places = [Path(path) for path in self.user_paths(clip)]
        wanted = self.keys.get("frames")
        names = [_frame_names(place)[:wanted] for place in places if not place.is_file()]
        if wanted and len(names[0]) < wanted:
            raise InputError(f"config: datasets.{self.name}.frames: {places[0]} holds only {len(names[0])}; ask for fewer.")
        if len(names) == 2:
            pair_lr(*names, places[1])

    def fetched(self, clip):
        """Paths of the zip files that the workflow fetches for the clip, once. They are checked when they are fetched."""
        return []

    def extracted(self, clip):
        """Paths of the zip files that the workflow makes for the clip."""
        return []

    def zips(self, clip):
        """Paths of all files that the workflow must have fetched or made before the clip's frames can be read."""
        return self.fetched(clip) + self.extracted(clip)

    def origin(self, clip):
        """A value that is equal for two clips, even of different data sets, exactly if they are the same piece of video."""
        raise NotImplementedError

    def check_scale(self, scale, key):
        """Raise InputError if given LR frames are known not to be of this scale, which `key` of the config asks for."""


class Demo(DataSet):
    """Shots of the demo videos (deepsr.data.demo)."""

    default = {"train": ["city_a", "street", "bunny"], "test": ["city_b", "bicycle"]}

    def known(self, role):
        return list(demo.SHOTS)

    def location(self, clip):
        return {"container": self.extracted(clip)[0]}

    def extracted(self, clip):
        return [f"results/frames/demo/{clip}.zip"]

    def origin(self, clip):
        return "demo", clip


class Folder(DataSet):
    """A folder of the user's with a folder of frames for each clip, and maybe another with their LR frames."""

    needed, allowed = ("path",), ("lr", "frames")
    default = {"train": [], "test": "all"}

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

    def location(self, clip):
        return self._location(f"{self.keys['path']}/{clip}", f"{self.keys['lr']}/{clip}" if self.has_lr else None)

    def _location(self, hr, lr):
        lr = {"lr": {"container": lr}} if lr else {}
        frames = {"frames": self.keys["frames"]} if "frames" in self.keys else {}
        return {"container": hr, **lr, **frames}

    def user_paths(self, clip):
        return _containers(self.location(clip))

    def origin(self, clip):
        return "folder", str(Path(self.location(clip)["container"]).resolve())


class Benchmark(Folder):
    """A published test set (deepsr.data.benchmarks) in one of the layouts in which it is passed on.

    The ground truth is in SET/GT/<clip>/ or SET/<clip>/GT/, where GT may be any name in HR_FOLDERS. LR frames, if the config
    names their folder, are in a folder of that name in the place of GT. Capital letters count as small ones.
    """

    needed, allowed = ("path", "set"), ("lr", "frames")

    @cached_property
    def _root(self):
        path = Path(self.keys["path"])
        return _subfolder(path, benchmarks.SETS[self.keys["set"]]) if path.is_dir() else None

    @property
    def absent(self):
        names = " or ".join(benchmarks.SETS[self.keys["set"]])
        return None if self._root else f"datasets.{self.name} is left out, since {self.keys['path']} has no folder {names}."

    @cached_property
    def _folders(self):
        if self.absent:
            raise InputError(f"config: {self.absent}")
        place = _subfolder(self._root, benchmarks.HR_FOLDERS)
        folders = [path for path in (place or self._root).iterdir() if path.is_dir() and not path.name.startswith(".")]
        return sorted((path.name for path in folders if place or _subfolder(path, benchmarks.HR_FOLDERS)), key=natural_key)

    def location(self, clip):
        lr = self._folder(clip, [self.keys["lr"].lower()]) if self.has_lr else None
        return self._location(self._folder(clip, benchmarks.HR_FOLDERS), lr)

    def _folder(self, clip, names):
        """The clip's folder of frames in SET/NAME/<clip>/ or SET/<clip>/NAME/."""
        place = _subfolder(self._root, names)
        folder = place / clip if place else _subfolder(self._root / clip, names)
        if folder is None or not folder.is_dir():
            raise InputError(
                f"config: datasets.{self.name}: {self._root} has neither {names[0]}/{clip} nor {clip}/{names[0]}; name the "
                "folder of LR frames as it is called, or leave `lr` out to have them made."
            )
        return str(folder)


class Reds(DataSet):
    """REDS (deepsr.data.reds). Clips are called train_000 or val_000, since both archives number theirs from 000."""

    allowed = ("path", "lr", "split", "fetch", "archives")

    def __init__(self, name, keys):
        super().__init__(name, keys)
        if keys.get("lr", "official") != "official":
            raise InputError(
                f"config: datasets.{name}.lr is {keys['lr']!r}; for source reds it must be official, or left out."
            )

    def known(self, role):
        return reds.SPLITS[self.keys.get("split", "official")][role]

    def full_name(self, clip, role):
        """A number alone, such as 011, is a clip of the archive that the first of the role's clips is in."""
        return f"{self.known(role)[0].split('_')[0]}_{clip}" if clip.isdecimal() else clip

    def _place(self, archive, number):
        """Where the frames of a clip of an archive are: in a folder, in the whole archive, or in a zip file of their own."""
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
        whole, alone = Path(f"data/reds/{archive}.zip"), Path(f"data/reds/{archive}/{number}.zip")
        if self.keys.get("fetch", "archives") == "clips" and (alone.exists() or not whole.exists()):
            return {"container": str(alone)}
        return {"container": str(whole), "prefix": prefix}

    def location(self, clip):
        part, number = clip.split("_")
        location = {**self._place(f"{part}_sharp", number), "frames": reds.FRAMES}
        return location | ({"lr": self._place(f"{part}_sharp_bicubic", number)} if self.has_lr else {})

    def user_paths(self, clip):
        return _containers(self.location(clip)) if "path" in self.keys else []

    def fetched(self, clip):
        return _containers(self.location(clip)) if "path" not in self.keys else []

    def origin(self, clip):
        return "reds", clip

    def check_scale(self, scale, key):
        if self.has_lr and scale != reds.LR_SCALE:
            raise InputError(
                f"config: {key} is {scale}, but datasets.{self.name}.lr is official, and REDS' LR frames are of scale "
                f"{reds.LR_SCALE}; set {key} to {reds.LR_SCALE} or leave `lr` out."
            )


SOURCES = {"demo": Demo, "folder": Folder, "benchmark": Benchmark, "reds": Reds}


def open_data_set(name, keys):
    """The DataSet of a name and its keys in the config. Raises InputError if they are wrong."""
    if keys["source"] not in SOURCES:
        raise InputError(f"config: datasets.{name}.source is {keys['source']!r}; it must be one of {', '.join(SOURCES)}.")
    return SOURCES[keys["source"]](name, keys)


def _subfolder(folder, names):
    """The folder in `folder` that has one of these names, which are in small letters; None if there is none."""
    if not folder.is_dir():
        return None
    return next((path for path in sorted(folder.iterdir()) if path.name.lower() in names and path.is_dir()), None)


def _containers(location):
    return [place["container"] for place in (location, location.get("lr")) if place]


def _frame_names(folder):
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name the folder that holds the clip's frames.")
    names = list_images(folder)
    for name in names:
        if not os.path.isfile(folder / name):
            raise InputError(f"{folder / name}: is no file, or a link to one that is gone; put the frame back or remove it.")
    return names

"""What a data set of the config is. Every source of data sets (deepsr.data.datasets) is a subclass."""

import fnmatch
import os
from functools import cached_property
from pathlib import Path

from deepsr.data.frames import list_images, list_members, pair_lr
from deepsr.errors import InputError
from deepsr.names import check_clip_name, some


class DataSet:
    """A named data set of the config. Every source of data sets is a subclass.

    keys: its keys in the config. Raises InputError that names the key if a key is wrong, or, as soon as `train` or `test` is
    asked for, if a clip or one of its frames is not there.
    """

    needed, allowed = (), ()  # keys in the config beside source, train and test
    default = {"train": "all", "test": "all"}  # the clips that are taken if the config names none
    lr_kind = None  # BI (bicubic) or BD (blur), as papers say, if it is known how given LR frames were made
    absent = None  # if the data set is not there and experiments shall be scored without it: a sentence that says so

    def __init__(self, name, keys):
        self.name = name
        self.keys = keys | {key: os.path.expanduser(keys[key]) for key in ("path", "lr") if key in keys}
        given = set(keys) - {"source", "train", "test", "degradation", "evaluation"}
        for key in sorted((set(self.needed) - given) | (given - set(self.needed) - set(self.allowed))):
            missing = key in self.needed
            wrong = "is missing; add it" if missing else f"does not go with source {keys['source']}; remove it"
            raise InputError(f"config: datasets.{name}.{key} {wrong} (config/README.md).")
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
        known = list(self.known(role))
        chosen = self.keys.get(role, self.default[role])
        key = f"config: datasets.{self.name}.{role}"
        names = []
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

    def length(self, clip):
        """The number of a clip's frames, or None if it is known only when the clip has been fetched."""
        location = self.location(clip)
        if not os.path.isdir(location["container"]):
            return location.get("frames")
        return len(list_images(location["container"])[: location.get("frames")])

    def remark(self):
        """A sentence on what the user should know of the data set, or None."""
        return None

    def user_paths(self, clip):
        """The user's own folders or zip files with the clip's frames. They are only read; changes in them are noticed."""
        return []

    def check_frames(self, clip):
        """Raise InputError if a clip of the user's has no frames, or fewer than the key `frames` says, if one is missing, or
        if an LR frame has no HR frame of its name.
        """
        places = [Path(path) for path in self.user_paths(clip)]
        wanted = self.keys.get("frames")
        names = [_frame_names(place)[:wanted] for place in places if not place.is_file()]
        if wanted and len(names[0]) < wanted:
            found = f"{places[0]} holds {len(names[0])} frames, not {wanted}"
            raise InputError(f"config: datasets.{self.name}.frames: {found}; ask for fewer, or leave the clip out.")
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

    def check_degradation(self, degradation, key):
        """Raise InputError if given LR frames are known to be blurred ones (BD) and `degradation`, which `key` of the config
        names, is not blur, or the other way round: their pixels lie elsewhere, and would be enlarged to the wrong places.
        """
        if self.has_lr and self.lr_kind and (self.lr_kind == "BD") != (degradation == "blur"):
            frames, right = ("blurred (BD)", "blur") if self.lr_kind == "BD" else ("bicubic (BI)", "bicubic")
            raise InputError(
                f"config: {key} is {degradation}, but the LR frames of datasets.{self.name} are {frames}, whose pixels lie "
                f"elsewhere; set it to {right}, or use a data set with other LR frames."
            )

    def check_scale(self, scale, key):
        """Raise InputError if given LR frames are known not to be of this scale, which `key` of the config asks for."""


def _frame_names(folder):
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name the folder that holds the clip's frames.")
    names = list_members(folder)
    for name in names:
        if not os.path.isfile(folder / name):
            raise InputError(f"{folder / name}: is no file, or a link to one that is gone; put the frame back or remove it.")
    return names

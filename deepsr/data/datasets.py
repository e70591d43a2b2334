"""Where clips come from, behind one interface. A source is one class here and one entry in SOURCES."""

from functools import cached_property
from pathlib import Path

from deepsr.data import benchmarks, demo, reds
from deepsr.data.dataset import DataSet
from deepsr.data.frames import image_size, list_images, natural_key
from deepsr.errors import InputError


class Demo(DataSet):
    """Shots of the demo videos (deepsr.data.demo)."""

    default = {"train": ["city_a", "street", "bunny"], "test": ["city_b", "bicycle"]}

    def known(self, role):
        return list(demo.SHOTS)

    def location(self, clip):
        return {"container": self.extracted(clip)[0]}

    def extracted(self, clip):
        return [f"results/frames/demo/{clip}.zip"]

    def length(self, clip):
        shot = demo.SHOTS[clip]
        return len(range(shot.start, shot.stop + 1, shot.step))

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

    def check_scale(self, scale, key):
        for clip in dict.fromkeys([*self.train, *self.test] if self.has_lr else []):
            folders = self.user_paths(clip)
            (height, width), (lr_height, lr_width) = (image_size(Path(f, list_images(f)[0])) for f in folders)
            if (lr_height, lr_width) != (height // scale, width // scale):
                raise InputError(
                    f"config: datasets.{self.name}.lr: the frames in {folders[1]} have {lr_width}x{lr_height} pixels, but "
                    f"{key} is {scale}, and those in {folders[0]} have {width}x{height}; name the right folder, or change "
                    f"{key}."
                )


class Benchmark(Folder):
    """A published test set (deepsr.data.benchmarks) in one of the layouts in which it is passed on.

    The ground truth is in SET/GT/<clip>/ or SET/<clip>/GT/, where GT may be any name in HR_FOLDERS. LR frames, if the config
    names their folder, are in a folder of that name in the place of GT. Capital letters count as small ones.
    """

    needed, allowed = ("path", "set"), ("lr", "frames")

    @cached_property
    def _root(self):
        path = Path(self.keys["path"])
        names = benchmarks.SETS[self.keys["set"]]
        return _subfolder(path, names) or (path if path.name.lower() in names and path.is_dir() else None)

    @property
    def absent(self):
        names, path = " or ".join(benchmarks.SETS[self.keys["set"]]), self.keys["path"]
        missing = f"{path} has no folder {names}" if Path(path).is_dir() else f"there is no folder {path}"
        return None if self._root else f"datasets.{self.name} is left out, since {missing}."

    @cached_property
    def _folders(self):
        if self.absent:
            raise InputError(f"config: {self.absent}")
        place = _subfolder(self._root, benchmarks.HR_FOLDERS)
        folders = [path for path in (place or self._root).iterdir() if path.is_dir() and not path.name.startswith(".")]
        found = [path.name for path in folders if place or _subfolder(path, benchmarks.HR_FOLDERS)]
        if not found:
            kinds = ", ".join(benchmarks.HR_FOLDERS)
            raise InputError(
                f"config: datasets.{self.name}: {self._root} holds no clips; their ground truth is looked for in folders "
                f"called {kinds} (in capital or small letters), which hold the clips or lie in each of them."
            )
        return sorted(found, key=natural_key)

    def remark(self):
        usual = benchmarks.FRAMES.get(self.keys["set"])
        if self.absent or not usual or "frames" in self.keys or "test" in self.keys:
            return None
        found = sum(map(self.length, self.test))
        told = f"datasets.{self.name}: its clips have {found} frames, and {usual} where papers score {self.keys['set']}"
        return None if found == usual else f"{told}; so no published score stands beside it."

    @property
    def lr_kind(self):
        return benchmarks.LR_FOLDERS.get(self._lr_folder)

    @property
    def _lr_folder(self):
        return self.keys.get("lr", "").lower().strip("/")

    def location(self, clip):
        lr = self._folder(clip, [self._lr_folder]) if self.has_lr else None
        return self._location(self._folder(clip, benchmarks.HR_FOLDERS), lr)

    def _folder(self, clip, names):
        """The clip's folder of frames in SET/NAME/<clip>/ or SET/<clip>/NAME/."""
        place = _subfolder(self._root, names)
        folder = place / clip if place else _subfolder(self._root / clip, names)
        if folder is None or not folder.is_dir():
            wanted = place.name if place else self.keys["lr"]
            raise InputError(
                f"config: datasets.{self.name}.lr: {self._root} has neither {wanted}/{clip} nor {clip}/{wanted}; name the "
                "folder of LR frames as it is called, add the clip to it, or leave `lr` out to have LR frames made."
            )
        return str(folder)


class Reds(DataSet):
    """REDS (deepsr.data.reds). Clips are called train_000 or val_000, since both archives number theirs from 000."""

    allowed = ("path", "lr", "split", "fetch", "archives")
    lr_kind = "BI"  # the official frames are bicubic ones

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

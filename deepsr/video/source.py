"""Which file and which experiment are meant when an enlarged video is asked for by name. Planning imports this module."""

from pathlib import Path
from unicodedata import normalize

from deepsr.data.frames import SUFFIXES
from deepsr.drafts.ensemble import is_oracle
from deepsr.errors import InputError

SIDECARS = (".srt", ".ass", ".ssa", ".sub", ".idx", ".vtt", ".nfo", ".txt", ".json", ".xml", ".log")  # lie beside videos


def find_source(name, folder, files, still):
    """Path of the video, still image or folder of frames that is called `name`.

    files: dict of names and paths, which is looked up first. Then `folder` is searched for a folder called `name`, or a file
    called so without its ending, which is none of SIDECARS. still: whether a still image is wanted rather than a video or a
    folder of frames. Raises InputError if there is none, more than one, or one of the other kind.
    """
    if name in files:
        found = [Path(files[name]).expanduser()]
    else:
        folder = Path(folder).expanduser()
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        entries = [path for path in entries if path.is_dir() or path.suffix.lower() not in SIDECARS]
        names = [path.name if path.is_dir() else path.stem for path in entries]
        # Accents may be characters of their own in one name and not in the other, as macOS writes them.
        found = [path for path, its in zip(entries, names, strict=True) if normalize("NFC", its) == normalize("NFC", name)]
    if not found:
        raise InputError(f"{folder}: holds no video called {name}; put it there, or name its path under videos.files.")
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError(
            f"{folder}: {names} have the same name but for the ending; rename one, or name one's path under videos.files."
        )
    if found[0].exists() and not (found[0].is_file() or found[0].is_dir()):
        raise InputError(f"{found[0]}: is neither a file nor a folder; put the video itself there.")
    if still != (found[0].suffix.lower() in SUFFIXES and not found[0].is_dir()):
        kind, ending = ("a video", "mp4") if still else ("a still image", "png")
        raise InputError(f"{found[0]}: is {kind}; ask for {name}_x2.{ending} (or x3, x4), without comparison.")
    return found[0]


def choose_experiment(experiments, wanted, scale=None):
    """Name of the experiment whose network enlarges videos: the first of the wanted ones with this scale, or with any.

    experiments: dict of names and settings. wanted: names to choose among.
    Raises InputError if none has the scale, and for an oracle, whose drafts no video has.
    """
    for name in wanted:
        if name not in experiments:
            raise InputError(f"config: videos.experiments names {name!r}, which is none of {', '.join(experiments)}.")
        if is_oracle(experiments[name]["drafts"]):
            raise InputError(
                f"config: videos.experiments: {name} is an oracle, its drafts are blurred ground truth, which a video that "
                "is yet to be enlarged does not have; name an experiment with motion, recurrent or bicubic drafts."
            )
    for name in wanted:
        if scale in (None, experiments[name]["scale"]):
            return name
    raise InputError(f"config: videos.experiments: none has scale {scale}; add one, or ask for another scale.")

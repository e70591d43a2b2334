"""Large inputs: how long the workflow plans and runs, and how much memory it takes.

python benchmarks/load.py                 # everything, about 15 minutes on 2 processors
python benchmarks/load.py clips --run 50  # plan 2,000 clips, run 50 of them
python benchmarks/load.py frames          # a clip of 200 and one of 20,000 frames: memory must not follow the length
python benchmarks/load.py hd 4k           # 5 frames of 1280x720, 3840x2160: the one in the middle has all its neighbours
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from deepsr.report.page import read_usage  # noqa: E402


def make_clip(folder, frames, width, height):
    """A clip of a camera that moves over a picture; uint8 PNG files."""
    folder.mkdir(parents=True)
    picture = cv2.imread(str(ROOT / "tests/clips/tower/00.png"))
    picture = cv2.resize(picture, (width + 16, height + 16), interpolation=cv2.INTER_CUBIC)
    for i in range(frames):
        left, top = i % 16, i // 16 % 16
        cv2.imwrite(str(folder / f"{i:05d}.png"), picture[top : top + height, left : left + width])


def snakemake(folder, clips, *arguments):
    """Score `clips` (names, or "all") of `folder`/clips; returns seconds and peak MB of the largest process."""
    motion = {"kind": "motion", "settings": [{"iterations": 0}, {"iterations": 6}]}
    config = {
        "datasets": {
            "tiny": {"source": "folder", "path": str(ROOT / "tests/clips"), "train": ["harbour"]},
            "load": {"source": "folder", "path": "clips", "test": clips},
        },
        "experiments": {
            "deepsr": {
                "train": "tiny",
                "score": ["load"],
                "drafts": motion,
                "patches": {"size": 32, "per_frame": 6},
                "training": {"epochs": 0},
            }
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "results/psnr.csv", "--cores", "2", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", folder / "config.yaml", *arguments]
    began = time.monotonic()
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "log").read_text()[-3000:])
    return time.monotonic() - began, usage.ru_maxrss / 1024


def jobs(folder, rule):
    """Seconds and peak MB of the largest job of a rule."""
    used = read_usage(folder / "results/logs")
    return used.loc[used["rule"] == rule, ["seconds", "peak_mb"]].max()


def clips(folder, number, run):
    """Many clips of two frames."""
    for i in range(number):
        make_clip(folder / f"clips/{i:04d}", 2, 32, 24)
    took, memory = snakemake(folder, "all", "--dry-run", "--quiet")
    print(f"{number} clips: planned in {took:.1f} s, {memory:.0f} MB", flush=True)
    names = [f"{i:04d}" for i in range(run)]
    took, memory = snakemake(folder, names)
    print(f"{run} of them: planned and run in {took:.0f} s, {memory:.0f} MB (largest process)", flush=True)


def scored(folder, name, frames, width, height):
    """One clip, and what its jobs took."""
    make_clip(folder / "clips" / name, frames, width, height)
    took, memory = snakemake(folder, [name], "--dry-run", "--quiet")
    print(f"{frames} frames of {width}x{height}: planned in {took:.1f} s, {memory:.0f} MB", flush=True)
    snakemake(folder, [name])
    for rule in ("index_clip", "evaluate_clip"):
        seconds, memory = jobs(folder, rule)
        print(f"  {rule}: {seconds:.1f} s, {memory:.0f} MB", flush=True)


def main():
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", default=["clips", "frames", "hd", "4k"], help="clips, frames, hd, 4k")
    parser.add_argument("--run", type=int, default=50, help="clips that are run, not only planned")
    options = parser.parse_args()
    for what in options.what:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if what == "clips":
                clips(folder, 2000, options.run)
            elif what == "frames":
                for part, frames in (("short", 200), ("long", 20_000)):
                    (folder / part).mkdir()
                    scored(folder / part, part, frames, 32, 24)
            elif what == "hd":
                scored(folder, "hd", 5, 1280, 720)
            elif what == "4k":
                scored(folder, "large", 5, 3840, 2160)
            else:
                parser.error(f"unknown: {what}")


if __name__ == "__main__":
    main()

"""What is measured of enlarging (process.py): experiments, by name, on videos that prepare.py made.

`fast` and `deepsr` are compared with `windows`, which was `deepsr` before (experiments.yaml).
"""

import shutil
import subprocess
import sys
from dataclasses import replace

import yaml
from article import prediction
from process import CPUS, ROOT, config, experiment, steady, timed

EXPERIMENTS = "windows", "deepsr", "fast", "windows_x2", "fast_x2"
CLIP_FRAMES = 96  # of lr.mp4, 320x180: three blocks of recurrent drafts, so that the one in the middle has both run-ins
BLOCK = range(32, 64)  # that block
VIDEO_FRAMES = 50  # of pal.mp4, 720x576: two seconds


def network(folder, name):
    """The network of a 720p frame."""
    from deepsr.drafts.ensemble import n_drafts

    return {"seconds": steady(*prediction(folder / f"{name}.onnx", n_drafts(experiment(name)["drafts"])))}


def drafts(folder, name):
    """The drafts of a 720p frame: a block's time divided by its frames, since recurrent drafts are made block by block."""
    import cv2

    from deepsr.drafts.ensemble import Drafts
    from deepsr.video.decode import planes, read_frames

    cv2.setNumThreads(CPUS)
    frames = [planes(frame, full_range=True)[0] for frame in read_frames(folder / "lr.mp4")]
    found = Drafts(experiment(name)["drafts"], 4, "bicubic", frames.__getitem__, len(frames))
    return {"seconds": timed(lambda: [found[t].shape for t in BLOCK]) / len(BLOCK)}


def frame(folder, name, frames):
    """A frame of a video of 320x180 to 720p: decoded, drafts, network, colour and encoded, by the function of a video job.

    frames: how many are enlarged, from the first of BLOCK on; for recurrent drafts all of it. The time is divided by it.
    """
    import cv2

    from deepsr.networks.inference import frame_predictor
    from deepsr.video.enlarge import upscale_part
    from deepsr.video.examine import plan_video

    cv2.setNumThreads(CPUS)
    settings = {key: experiment(name)[key] for key in ("scale", "degradation", "drafts")}
    settings["predict"] = frame_predictor(folder / f"{name}.onnx", CPUS)
    plan = replace(plan_video(folder / "lr.mp4"), cuts=())
    if int(frames) < len(BLOCK):  # the second part, which is the last, is then as short as this
        plan = replace(plan, pts=plan.pts[: BLOCK.start + int(frames)])
    parts = -(-plan.frames // len(BLOCK))
    output = folder / f"{name}.mp4"
    seconds = timed(lambda: upscale_part(folder / "lr.mp4", plan, 1, parts, output, **settings))
    return {"seconds": seconds / len(plan.part(1, parts))}


def video(folder, name, frames):
    """Two seconds of 720x576 to x2 through the workflow, in two parts; memory is the largest job's.

    Parts of 32 and 18 frames stand for ten seconds in the default's eight parts of 32. frames: how many are really enlarged,
    from the first on. If fewer than all, as one part; the time of its job is then multiplied by what is missing, that of
    Snakemake, of the plan and of joining is not.
    """
    from deepsr.report.page import read_usage

    frames = int(frames)
    project = folder / f"video_{name}"
    shutil.rmtree(project, ignore_errors=True)
    model = project / "results" / "experiments" / name / "model.onnx"
    model.parent.mkdir(parents=True)
    shutil.copy(folder / f"{name}.onnx", model)
    settings = config()
    parts = 2 if frames == VIDEO_FRAMES else 1
    settings["videos"] = {"files": {"pal": str(folder / f"pal_{frames}.mp4")}, "experiments": [name], "parts": parts}
    (project / "config.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", "results/videos/pal_x2.mp4", "--cores", str(CPUS)]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", project, "--configfile", project / "config.yaml"]
    command += ["--allowed-rules", "plan_video", "upscale_part", "join_parts"]  # the network is there, and not trained
    seconds = timed(lambda: subprocess.run(command, stdout=sys.stderr, check=True))
    jobs = read_usage(project / "results" / "logs")
    enlarging = jobs[jobs["rule"] == "upscale_part"]
    seconds += enlarging["seconds"].sum() * (VIDEO_FRAMES / frames - 1)
    return {"seconds": seconds, "peak_mb": enlarging["peak_mb"].max()}

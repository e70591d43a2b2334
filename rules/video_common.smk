"""
Which video, image or folder is meant by a name, and which experiment enlarges it.

Needs: config["videos"], EXPERIMENTS
Makes: functions for video.smk
"""

from deepsr.data.frames import list_images
from deepsr.files import sha256
from deepsr.video.source import choose_experiment, find_source

VIDEOS = config["videos"]
PARTS = range(VIDEOS["parts"])


def source_of(wildcards, still=False):
    return str(checked(find_source, wildcards.video, VIDEOS["folder"], VIDEOS["files"], still))


def image_of(wildcards):
    return source_of(wildcards, still=True)


def files_of(wildcards):
    """What the source consists of: one file, or the frames in a folder."""
    source = Path(source_of(wildcards))
    return [str(source / name) for name in list_images(source)] if source.is_dir() else str(source)


def replaced_video(wildcards):
    """What tells a video from an older one that has been put in its place."""
    plan, files = f"results/videos/{wildcards.video}.json", files_of(wildcards)
    return replaced(plan, files) if isinstance(files, list) else replaced(plan, [files], digest=sha256)


def frame_rate_of(wildcards):
    """Only a folder of frames needs to be told one."""
    return VIDEOS["frame_rate"] if Path(source_of(wildcards)).is_dir() else 25


def enlarging(wildcards):
    """Name of the experiment that enlarges, of the scale asked for if there is one."""
    scale = int(wildcards.scale) if "scale" in wildcards.keys() else None
    return checked(choose_experiment, EXPERIMENTS, VIDEOS["experiments"], scale)


def enlarging_settings(wildcards):
    return {key: EXPERIMENTS[enlarging(wildcards)][key] for key in ("scale", "degradation", "drafts")}


def enlarging_model(wildcards):
    return f"results/experiments/{enlarging(wildcards)}/model.onnx"


def comparable(wildcards):
    return f"results/videos/{wildcards.video}_x{EXPERIMENTS[enlarging(wildcards)]['scale']}.mp4"

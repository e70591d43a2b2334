"""
Which video, image or folder is meant by a name, and which experiment enlarges it.

Needs: config["videos"], EXPERIMENTS
Makes: functions for video.smk
"""

import os

from deepsr.video.source import choose_experiment, find_source

VIDEOS = config["videos"] | {
    "folder": os.path.expanduser(config["videos"]["folder"]),
    "files": {name: os.path.expanduser(path) for name, path in config["videos"]["files"].items()},
}
PARTS = range(VIDEOS["parts"])


def source_of(wildcards, still=False):
    checked(settings.check_file_name, wildcards.video, "video", "results/videos")
    return str(checked(find_source, wildcards.video, VIDEOS["folder"], VIDEOS["files"], still))


def image_of(wildcards):
    return source_of(wildcards, still=True)


def files_of(wildcards):
    """The source, if it is one file. Frames in a folder may be called as they like, and count by what they hold, below."""
    source = source_of(wildcards)
    return [] if Path(source).is_dir() else source


def video_contents(wildcards):
    """Hash of the video, or of the frames in the folder."""
    return contents_of([source_of(wildcards)], f"videos/{wildcards.video}")


def frame_rate_of(wildcards):
    """Only a folder of frames needs to be told one."""
    return VIDEOS["frame_rate"] if Path(source_of(wildcards)).is_dir() else 25


def enlarging(wildcards):
    """Name of the experiment that enlarges, of the scale asked for if there is one."""
    scale = int(wildcards.scale) if "scale" in wildcards.keys() else None
    return checked(choose_experiment, EXPERIMENTS, VIDEOS["experiments"], scale)


def enlarging_settings(wildcards):
    experiment = EXPERIMENTS[enlarging(wildcards)]
    degradation = chains.shrinking(chain_of(experiment, experiment["train"]))
    return {"degradation": degradation, **{key: experiment[key] for key in ("scale", "drafts")}}


def enlarging_model(wildcards):
    return f"results/experiments/{enlarging(wildcards)}/model.onnx"


def comparable(wildcards):
    return f"results/videos/{wildcards.video}_x{EXPERIMENTS[enlarging(wildcards)]['scale']}.mp4"

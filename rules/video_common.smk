"""
Which video, image or folder is meant by a name, and which experiment enlarges it.

Needs: config["videos"], EXPERIMENTS
Makes: functions for video.smk
"""

from deepsr.names import check_file_name
from deepsr.networks.model_file import experiment_of
from deepsr.registry import check_modules
from deepsr.video.encode import CODECS, check_container
from deepsr.video.estimate import planned_estimate
from deepsr.video.source import choose_experiment, find_source

VIDEOS = config["videos"]
PARTS = range(VIDEOS["parts"])
PART_THREADS = 8 if config["gpus"] else 2  # beside a GPU they make drafts
H264 = {key: VIDEOS[key] for key in ("crf", "preset")}
ENCODING = H264 | {"codec": VIDEOS["codec"]}


def source_of(wildcards, still=False):
    checked(check_file_name, wildcards.video, "video", "results/videos")
    return str(checked(find_source, wildcards.video, VIDEOS["folder"], VIDEOS["files"], still))


def image_of(wildcards):
    return source_of(wildcards, still=True)


def files_of(wildcards):
    """The source, if it is a file. A folder is no input: `video_contents` tells whether its frames have changed."""
    source = source_of(wildcards)
    return [] if Path(source).is_dir() else source


def video_contents(wildcards):
    """Hash of the video, or of the frames in the folder."""
    return contents_of([source_of(wildcards)], f"videos/{wildcards.video}")


def frame_rate_of(wildcards):
    """The config's frame rate for a folder of frames. A file has its own, so that the key is no reason to run again."""
    return VIDEOS["frame_rate"] if Path(source_of(wildcards)).is_dir() else 25


@cache
def enlargers():
    """{name: settings} of all experiments and of the .onnx files of trained networks that may enlarge."""
    files = [name for name in VIDEOS["experiments"] if name.endswith(".onnx")]
    trained = {name: checked(experiment_of, name) for name in files}
    for experiment in trained.values():
        checked(check_modules, experiment)
    return EXPERIMENTS | trained


def enlarging(wildcards):
    """Name of the experiment or file that enlarges, with the scale that is asked for, if one is."""
    scale = int(wildcards.scale) if "scale" in wildcards.keys() else None
    return checked(choose_experiment, enlargers(), VIDEOS["experiments"], scale)


def enlarging_settings(wildcards):
    experiment = enlargers()[enlarging(wildcards)]
    chain = experiment["degradation"] if experiment["model"] else training_chains(experiment)[0]
    return {"degradation": chains.shrinking(chain), **{key: experiment[key] for key in ("scale", "drafts")}}


def enlarging_model(wildcards):
    name = enlarging(wildcards)
    return enlargers()[name]["model"] or model_of(name)


def encoding_of(wildcards):
    """How a part is encoded. PNG images are not encoded further."""
    return ENCODING if wildcards.form == "mp4" else {}


@cache
def tell_estimate(video, scale, ending):
    """Print once what enlarging a video will take. Jobs, which read this file, too, print nothing."""
    if snakemake_internals.is_main_process(workflow) and not Path(f"results/videos/{video}_x{scale}.{ending}").exists():
        print(planned_estimate("results/videos", video, scale, len(PARTS)), file=sys.stderr)


def parts_of(wildcards):
    """The parts of an enlarged video: zip files of images for a zip file, otherwise mp4 files of any codec."""
    checked(check_container, VIDEOS["codec"], wildcards.ending)
    tell_estimate(wildcards.video, int(wildcards.scale), wildcards.ending)
    form = "zip" if wildcards.ending == "zip" else "mp4"
    return [f"results/videos/parts/{wildcards.video}_x{wildcards.scale}/{part}.{form}" for part in PARTS]


def enlarged_video(wildcards):
    ending = "mp4" if CODECS[VIDEOS["codec"]].in_mp4 else "mkv"
    return f"results/videos/{wildcards.video}_x{enlarging_settings(wildcards)['scale']}.{ending}"

"""How long a minute of video takes with the networks of models/: `python benchmarks/video_times.py` prints a table.

Let nothing else run. A block of drafts of each size is cut out of a demo video, and enlarged and encoded as a video job does
it, on all processors.
"""

import json
import tempfile
from pathlib import Path

from prepare import write_video
from process import CPUS, run, timed

from deepsr.data import demo

SIZES = {"PAL, 720x576": (720, 576), "HD, 1280x720": (1280, 720)}
MODELS = ["fast_x2", "fast_x4"]
FRAMES, BLOCK = 40, 32  # a block of recurrent drafts and its run-in; the block is timed
MINUTE = 25 * 60  # frames


def enlarge(folder, name, size):
    """A measurement (process.py): seconds per frame, and the peak memory of the process."""
    import cv2

    from deepsr.networks.inference import frame_predictor
    from deepsr.networks.model_file import experiment_of
    from deepsr.video.encode import enlarged_size, video_writer
    from deepsr.video.enlarge import enlarged_frames
    from deepsr.video.examine import plan_video

    cv2.setNumThreads(CPUS)
    video, model = folder / f"{size}.mp4", experiment_of(f"models/{name}.onnx")
    settings = {key: model[key] for key in ("scale", "degradation", "drafts")}
    plan = plan_video(video)
    frames = enlarged_frames(video, plan, range(BLOCK), predict=frame_predictor(model["model"], CPUS), **settings)
    shape = enlarged_size(video, plan.width, plan.height, model["scale"])
    with video_writer(folder / "out.mp4", plan, shape, model["scale"], crf=16, preset="medium", codec="h264") as write:

        def block():
            for frame in frames:
                write(*frame)

        return {"seconds": timed(block) / BLOCK}


def table(measured):
    """Markdown; measured: {(size, model): result of `enlarge`}. A minute is 25 frames a second."""
    lines = [
        f"| a minute of video, on {CPUS} cores | {' | '.join(f'`{name}`' for name in MODELS)} |",
        f"|---|{'--:|' * len(MODELS)}",
    ]
    for size in SIZES:
        cells = [f"{measured[size, name]['seconds'] * MINUTE / 60:.0f} min" for name in MODELS]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Measure, and print the table."""
    measured = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        video = demo.VIDEOS["bigbuckbunny.mp4"]
        demo.fetch_video(video, folder / "source.mp4")
        frames = list(demo.read_shot(folder / "source.mp4", demo.Shot("source.mp4", 0, FRAMES - 1, 1)))
        for width, height in SIZES.values():
            write_video(folder / f"{width}x{height}.mp4", [frame[:height, :width] for frame in frames])
        for size, (width, height) in SIZES.items():
            for name in MODELS:
                measured[size, name] = run(f"video_times.enlarge {name} {width}x{height}", folder)
                print(size, name, json.dumps(measured[size, name]), flush=True)
    print(table(measured))


if __name__ == "__main__":
    main()

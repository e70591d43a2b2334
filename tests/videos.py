"""Small videos, their enlargement, and what is in a file by a second opinion: what the tests of videos share."""

import json
import shutil
import subprocess
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from deepsr.errors import InputError
from deepsr.video.enlarge import upscale_part
from deepsr.video.examine import plan_video
from deepsr.video.join import join_parts, join_pictures
from deepsr.video.plan import read_plan, write_plan

SINGLE = {"kind": "bicubic"}


SETTING = {"flow": "dis", "alpha": 20, "radius": 2, "trust": 12, "iterations": 1}


MOTION = {"kind": "motion", "settings": [SETTING]}
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "1", "-flags", "+ildct+ilme")
MBAFF = ("-c:v", "libx264", "-qp", "0", "-flags", "+ildct+ilme")
PLAIN = ("-c:v", "libx264", "-qp", "0")


RECURRENCE = {"flow": "dis", "alpha": 20, "trust": 16, "cap": 16, "iterations": 1, "passes": 2}


RECURRENT = {"kind": "recurrent", "recurrence": RECURRENCE}


def scene(n, height=48, width=64, seed=0, step=1):
    """A smooth random picture in colour that moves to the left, `step` pixels a frame: n uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (height, width + n * step, 3)).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 1.5)[..., :1], cv2.GaussianBlur(noise, (0, 0), 12)
    picture = np.clip(128 + 40 * fine / fine.std() + 20 * coarse / coarse.std(), 20, 235).astype(np.uint8)
    return [np.ascontiguousarray(picture[:, i * step : i * step + width]) for i in range(n)]


def write(path, frames, codec="libx264", pixels="yuv420p", rate=25, pts=None, time_base=None, audio=(), **settings):
    """A video file of BGR frames, lossless where the codec can be, and of tones, a track for each codec in `audio`."""
    options = {"qp": "0"} if codec == "libx264" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if "rotation" in settings:
            stream.set_display_rotation(settings.pop("rotation"))
        if "matrix" in settings:
            stream.set_display_matrix(settings.pop("matrix"))
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if time_base:
            stream.codec_context.time_base = time_base
        tracks = [container.add_stream(name, rate=48000, layout="stereo") for name in audio]
        for i, bgr in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(bgr, "bgr24").reformat(
                format=pixels, dst_colorspace="ITU601", dst_color_range=settings.get("color_range", 1)
            )
            frame.pts, frame.time_base = (pts or range(len(frames)))[i], time_base or 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        for number, track in enumerate(tracks):
            time = np.arange(int(48000 * len(frames) / rate))
            tone = (8000 * np.sin(time * (0.05 + 0.02 * number))).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48000, 0, Fraction(1, 48000)
            container.mux(track.encode(sound))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return path


def bicubic(drafts):
    """A network that hands the enlarged target through."""
    return drafts[-1] / np.float32(255)


def enlarge(
    source, folder, scale=2, parts=3, drafts=SINGLE, predict=bicubic, codec="h264", crf=0, rate=25, deinterlace="auto",
    ending="mp4",
):  # fmt: skip
    """All steps on one video: the plan, by way of JSON, and the path of the enlarged video."""
    write_plan(plan_video(source, rate, deinterlace), folder / "plan.json")
    plan = read_plan(folder / "plan.json")
    settings = {"scale": scale, "degradation": "bicubic", "codec": codec, "crf": crf, "preset": "ultrafast"}
    pieces = [folder / f"part{part}.{'zip' if ending == 'zip' else 'mp4'}" for part in range(parts)]
    for part, piece in enumerate(pieces):
        upscale_part(source, plan, part, parts, piece, drafts=drafts, predict=predict, **settings)
    enlarged = folder / f"enlarged.{ending}"
    if ending == "zip":
        join_pictures(plan, pieces, enlarged)
    else:
        join_parts(source, plan, pieces, enlarged)
    return plan, enlarged


def decode(path):
    """Planes Y, Cb, Cr of all frames, by PyAV without deepsr."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
        height, width = container.streams.video[0].height, container.streams.video[0].width
    quarter = height * width // 4
    return [
        (
            frame[:height],
            frame.ravel()[4 * quarter : 5 * quarter].reshape(height // 2, -1),
            frame.ravel()[5 * quarter :].reshape(height // 2, -1),
        )
        for frame in frames
    ]


def enlarged_in_parts(source, folder, numbers, **settings):
    """The planes of an enlarged video, which must not depend on the number of parts, one of several `numbers`."""
    first, *others = [decode(enlarge(source, folder, parts=parts, **settings)[1]) for parts in numbers]
    for result in others:
        for one, other in zip(first, result, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    return first


def sound(path):
    """Per audio track, its packets' bytes."""
    with av.open(str(path)) as container:
        tracks = {track.index: [] for track in container.streams.audio}
        for packet in container.demux(container.streams.audio) if tracks else ():
            if packet.size:
                tracks[packet.stream.index].append(bytes(packet))
    return list(tracks.values())


def probe(path, *entries):
    """What ffprobe says of the first video stream, every frame counted."""
    assert shutil.which("ffprobe"), "install ffmpeg: the tests ask ffprobe for a second opinion"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_frames", "-of", "json", "-show_streams"]
    told = json.loads(subprocess.run([*command, str(path)], check=True, capture_output=True).stdout)["streams"][0]
    return [told.get(entry) for entry in entries]


def times(path):
    """Seconds at which the video's frames are shown."""
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def refusal(source, **settings):
    with pytest.raises(InputError) as error:
        plan = plan_video(source)
        settings = {"scale": 2, "degradation": "bicubic", "drafts": SINGLE, "predict": bicubic} | settings
        upscale_part(source, plan, 0, 1, source.parent / "out.mp4", **settings)
    assert not list(source.parent.glob("*out*"))
    return str(error.value)


def first_times(path):
    """Seconds at which each kind of track starts."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
        return {packet.stream.type: float(packet.pts * packet.time_base) for packet in reversed(packets)}


def interlaced(path, frames, codec=MPEG2, order="top", told=None, audio=False):
    """A video file of 25 frames a second by FFmpeg: the fields of each are `frames` 2i and 2i+1, the first in its top lines
    or its bottom lines. told: what the file says (tff, bff or prog), the truth if None.
    """
    height, width = frames[0].shape[:2]
    source = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", "50", "-i", "-"]
    tone = ["-f", "lavfi", "-i", f"sine=duration={len(frames) / 50}", "-c:a", "mp2"] if audio else []
    told = told or {"top": "tff", "bottom": "bff"}[order]
    filters = ["-vf", f"tinterlace=mode=interleave_{order},setfield={told},format=yuv420p"]
    command = ["ffmpeg", "-v", "error", "-y", *source, *tone, *filters, *codec, str(path)]
    subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), check=True)
    return path

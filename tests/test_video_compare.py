import subprocess
from fractions import Fraction

import numpy as np
import pytest
from videos import decode, enlarge, probe, scene, times, write

from deepsr.data.degradation import upscale
from deepsr.errors import InputError
from deepsr.video.compare import compare_video

# Display matrices: a point (x, y) is shown at (a x + c y, b x + d y) for [a, b, 0, c, d, 0, 0, 0, 1], which are counted
# in units of 1/65536, the 1 in units of 1/2^30.
TURNS = [
    (1, 0, 0, 1),
    (0, 1, -1, 0),
    (-1, 0, 0, -1),
    (0, -1, 1, 0),
    (-1, 0, 0, 1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, -1, -1, 0),
]


@pytest.mark.parametrize("a, b, c, d", TURNS)
def test_comparison_shows_both_upright(tmp_path, a, b, c, d):
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    source = write(tmp_path / "in.mp4", scene(10, 72, 128), matrix=matrix, sample_aspect_ratio=Fraction(4, 3), audio=["aac"])
    plan, enlarged = enlarge(source, tmp_path, predict=lambda drafts: np.zeros(drafts.shape[1:]))
    output = tmp_path / "compare.mp4"
    compare_video(source, plan, enlarged, output, scale=2, degradation="bicubic", crf=0, preset="ultrafast")
    upright = probe(output, "width", "height", "sample_aspect_ratio", "side_data_list", "nb_read_frames")
    size = [256, 144, "4:3"] if b == 0 else [144, 256, "3:4"]
    assert upright == [*size, None, "10"]
    assert times(output) == pytest.approx(times(source), abs=1e-4)
    # As a player shows it: FFmpeg itself turns the source.
    command = ["ffmpeg", "-v", "error", "-i", str(source), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    shown = np.frombuffer(raw, np.uint8).reshape(10, size[1] // 2, size[0] // 2)
    for before, (y, _, _) in zip(shown, decode(output), strict=True):
        line = round(size[0] * 0.55)  # 0.5 to 0.6 in the first 0.4 s
        rows = slice(0, size[1] * 3 // 4)  # above the names
        assert (y[rows, line + 25 :] == 16).all()  # the black that this network makes
        left = y[rows, : line - 25].astype(int)
        wide = upscale(before, 2, "bicubic")[rows, : line - 25]
        expected = 16 + wide * (219 / 255)
        assert min(np.abs(left - wide).mean(), np.abs(left - expected).mean()) < 2


def test_a_comparison_with_half_a_video_is_refused(tmp_path):
    plan, enlarged = enlarge(write(tmp_path / "in.mp4", scene(9)), tmp_path)
    for half, held in ((write(tmp_path / "half.mp4", scene(4, 96, 128)), 4), (tmp_path / "empty.mp4", None)):
        half.touch()
        message = f"holds {held} of 9 frames; delete it" if held else "cannot be opened"
        with pytest.raises(InputError, match=message):
            compare_video(tmp_path / "in.mp4", plan, half, tmp_path / "x.mp4", scale=2, degradation="bicubic")
    assert not (tmp_path / "x.mp4").exists()

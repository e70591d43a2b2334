import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsr.data.degradation import degrade
from deepsr.data.frames import index_images, list_members, luma
from deepsr.data.sequence import Sequence, read_index
from deepsr.errors import InputError

HARBOUR = Path(__file__).parent / "clips/harbour"


def index_of(folder):
    return index_images(folder, list_members(folder))


def written(folder, frames):
    folder.mkdir()
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{i}.png"), frame)
    return index_of(folder)


@pytest.mark.parametrize("degradation", ["bicubic", "cv2"])
@pytest.mark.parametrize("scale, size", [(2, (98, 122)), (3, (96, 120)), (4, (96, 120))])
def test_frames_and_what_is_made_of_them(scale, size, degradation):
    clip = Sequence(index_of(HARBOUR), scale, degradation)
    assert (len(clip), clip.height, clip.width) == (10, *size)
    hr = cv2.imread(str(HARBOUR / "04.png"))[: size[0], : size[1]]
    assert np.array_equal(clip.hr(4), hr) and np.array_equal(clip.lr(4), degrade(hr, scale, degradation))
    assert np.array_equal(clip.hr_luma(4), luma(hr)) and np.array_equal(clip.lr_luma(4), luma(clip.lr(4)))


def test_a_crop_is_said(caplog):
    with caplog.at_level(logging.INFO, "deepsr"):
        Sequence(index_of(HARBOUR), 4, "bicubic")
        assert "harbour: frames are cropped from 122x98 to 120x96, whose sides are divisible by 4" in caplog.text
        caplog.clear()
        Sequence(index_of(HARBOUR), 2, "bicubic")
        assert not caplog.text


def test_given_lr_frames_are_used_as_they_are(tmp_path):
    given = [np.full((24, 30, 3), 10 * i, np.uint8) for i in range(10)]
    clip = Sequence({**index_of(HARBOUR), "lr": written(tmp_path / "lr", given)}, 4, "bicubic")
    assert np.array_equal(clip.lr(7), given[7]) and clip.lr_luma(7).shape == (24, 30)


@pytest.mark.parametrize("number, size, scale", [(9, (24, 30), 4), (10, (24, 31), 4), (10, (25, 30), 4), (10, (24, 30), 2)])
def test_lr_frames_that_do_not_fit(tmp_path, number, size, scale):
    lr = written(tmp_path / "lr", [np.zeros((*size, 3), np.uint8)] * number)
    sentence = f"lr: {number} LR frames of {size[1]}x{size[0]} do not belong to 10 HR frames of 122x98 at scale {scale}"
    with pytest.raises(InputError, match=sentence):
        Sequence({**index_of(HARBOUR), "lr": lr}, scale, "bicubic")


def test_frames_smaller_than_the_scale(tmp_path):
    index = written(tmp_path / "tiny", [np.zeros((3, 9, 3), np.uint8)])
    with pytest.raises(InputError, match="tiny: frames of 9x3 are smaller than the scale"):
        Sequence(index, 4, "bicubic")
    assert Sequence(index, 3, "bicubic").lr(0).shape == (1, 3, 3)


def test_memory_does_not_grow_with_the_clip(tmp_path):
    clip = Sequence(written(tmp_path / "long", [np.zeros((8, 8, 3), np.uint8)] * 40), 4, "bicubic")
    for i in range(40):
        clip.lr(i)
    assert clip.hr.cache_info().currsize <= 2 and clip.lr.cache_info().currsize <= 9


def test_an_index_reads_back(tmp_path):
    index = {**index_of(HARBOUR), "lr": index_of(HARBOUR)}
    (tmp_path / "clip.json").write_text(json.dumps(index))
    assert read_index(tmp_path / "clip.json") == index


@pytest.mark.parametrize(
    "text", ["", '{"container": ', "[]", "1", "null", "{}", '{"container": "a", "members": []}', "\x00"]
)
def test_a_damaged_index_is_named(tmp_path, text):
    (tmp_path / "clip.json").write_text(text)
    with pytest.raises(InputError, match="clip.json: is damaged .*delete it and run again"):
        read_index(tmp_path / "clip.json")

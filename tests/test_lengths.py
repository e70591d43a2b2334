"""What planning can tell of the length and size of clips."""

from pathlib import Path

import pytest
from test_datasets import clips, folder

from deepsr.data.datasets import open_data_set
from deepsr.data.lengths import check_scored, check_trained
from deepsr.errors import InputError


def training(patches=None, frames=None, validation_frames=2, train=("a",)):
    cut = {"validation_frames": validation_frames, "frames": frames, "per_frame": 3}
    return {"train": list(train), "patches": cut, "training": {"patches": patches}}


def test_the_length_of_a_clip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder(clips(tmp_path, a=12)).length("a") == 12
    assert folder(tmp_path, frames=5).length("a") == 5
    demo = open_data_set("demo", {"source": "demo"})
    assert (demo.length("bicycle"), demo.length("city_a")) == (27, 39)  # frames 215 to 241, and every third of 0 to 115
    assert open_data_set("reds", {"source": "reds"}).length("val_000") == 100


def test_a_clip_whose_frames_are_all_left_out_is_refused(tmp_path):
    data = folder(clips(tmp_path, long=9, short=4))
    check_scored("mine", data, {"skip_frames": 1, "border": 0})
    with pytest.raises(
        InputError, match="experiments.mine: evaluation.skip_frames leaves out 2 frames .* mine/short, .* 4;"
    ):
        check_scored("mine", data, {"skip_frames": 2, "border": 0})


def test_a_border_that_leaves_no_pixel_is_refused():
    data = folder(Path(__file__).parent / "clips", test=["tower"])
    check_scored("mine", data, {"skip_frames": 0, "border": 48})
    with pytest.raises(InputError, match="border, 49 pixels .* leaves nothing of mine/tower, .* 122x98;"):
        check_scored("mine", data, {"skip_frames": 0, "border": 49})


def test_a_clip_without_a_frame_to_train_on_is_refused(tmp_path):
    data = {"a": folder(clips(tmp_path, long=9, short=3), train=["long", "short"])}
    check_trained("mine", training(), data)
    sentence = "experiments.mine.patches.validation_frames is 3, which leaves no frame to train on in a/short, which has 3;"
    with pytest.raises(InputError, match=sentence):
        check_trained("mine", training(validation_frames=3), data)


@pytest.mark.parametrize("frames, there", [(None, 3 * (7 + 1)), (5, 3 * (5 + 1))])
def test_more_patches_than_there_are_is_refused(tmp_path, frames, there):
    """Three patches of each frame to train on: of nine and three frames, two are held out."""
    data = {"a": folder(clips(tmp_path, long=9, short=3), train=["long", "short"])}
    check_trained("mine", training(patches=there, frames=frames), data)
    with pytest.raises(
        InputError, match=f"training.patches: {there + 1} are asked for, but the training clips give {there};"
    ):
        check_trained("mine", training(patches=there + 1, frames=frames), data)


def test_clips_of_unknown_length_are_left_to_the_jobs(tmp_path):
    data = {"a": folder(clips(tmp_path, one=3), train=["one"]), "b": folder(tmp_path, train=["one"])}
    data["b"].length = lambda clip: None
    check_trained("mine", training(patches=1000, train=["b", "a"]), data)

import os
from pathlib import Path

import pytest

from deepsr.data import demo, reds
from deepsr.data.datasets import DataSet, check_overlap, check_same_frames, learned
from deepsr.errors import InputError

EXPERIMENT = {"train": "a", "score": ["b"], "allow_overlap": False}


def clips(path, **frames):
    for clip, number in frames.items():
        (path / clip).mkdir(parents=True)
        for i in range(number):
            (path / clip / f"{i}.png").write_bytes(b"")
    return path


def folder(path, **keys):
    return DataSet("mine", {"source": "folder", "path": str(path), **keys})


def test_the_demo():
    data = DataSet("demo", {"source": "demo"})
    assert data.train and data.test and set(data.train + data.test) <= set(demo.SHOTS)
    assert not {data.identity(clip) for clip in data.train} & {data.identity(clip) for clip in data.test}
    assert DataSet("demo", {"source": "demo", "train": "all"}).train == list(demo.SHOTS)
    assert data.where("street") == {"container": "results/frames/demo/street.zip"}


def test_shots_of_the_demo_do_not_overlap():
    for name, shot in demo.SHOTS.items():
        assert shot.video in demo.VIDEOS and 0 <= shot.start < shot.stop
        for other, its in demo.SHOTS.items():
            assert name == other or shot.video != its.video or shot.stop < its.start or its.stop < shot.start


def test_a_folder_is_read_from_disk_in_natural_order(tmp_path):
    clips(tmp_path, clip10=2, clip9=1, **{".hidden": 1, "Clip 1": 3})
    (tmp_path / "notes.txt").write_text("no clip")
    data = folder(tmp_path)
    assert data.train == [] and data.test == ["Clip 1", "clip9", "clip10"]
    assert data.files("Clip 1") == [str(tmp_path / "Clip 1" / f"{i}.png") for i in range(3)]
    assert data.where("clip9") == {"container": f"{tmp_path}/clip9"}
    assert data.lr_files("clip9") == []


def test_clips_may_be_chosen(tmp_path):
    data = folder(clips(tmp_path, a=1, b=1, c=1), train=["c", "a"], test=["b"])
    assert data.train == ["c", "a"] and data.test == ["b"]


def test_given_lr_frames(tmp_path):
    data = folder(clips(tmp_path / "hr", a=2), lr=str(clips(tmp_path / "lr", a=2, b=2)))
    assert data.where("a")["lr"] == {"container": f"{tmp_path}/lr/a"}
    assert data.lr_files("a") == [str(tmp_path / "lr/a" / f"{i}.png") for i in range(2)]
    (tmp_path / "hr/c").mkdir()
    with pytest.raises(InputError, match="lr/c: there is no such folder; name the folder"):
        data.lr_files("c")


def test_a_clip_that_is_not_there(tmp_path):
    data = folder(clips(tmp_path, **{f"clip{i}": 0 for i in range(12)}), test=["clip3", "nope"])
    sentence = (
        r"config: datasets.mine.test names the clip 'nope', which is not there; there are clip0, clip1, .*\(12 in all\)"
    )
    with pytest.raises(InputError, match=sentence):
        _ = data.test


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="config: datasets.mine.path: there is no folder .*/nowhere; name the folder"):
        _ = folder(tmp_path / "nowhere").test


@pytest.mark.parametrize("name", ["a{b}", "a\nb", "-rf", "$HOME", "a*", "mean", os.fsdecode(b"\xff")])
def test_names_on_disk_that_are_unsafe(tmp_path, name):
    clips(tmp_path, good=1, **{name: 1})
    with pytest.raises(InputError, match="config: datasets.mine.test: .*rename the clip"):
        _ = folder(tmp_path).test
    assert folder(tmp_path, test=["good"]).test == ["good"]  # it need not be used


@pytest.mark.parametrize("clip", ["../secret", "/etc", "..", "a/../../b"])
def test_names_that_lead_out_of_the_folder(tmp_path, clip):
    with pytest.raises(InputError, match="config: datasets.mine.test: the clip name"):
        _ = folder(clips(tmp_path, a=1), test=[clip]).test


@pytest.mark.parametrize(
    "keys, sentence",
    [
        ({"source": "folder"}, "datasets.x.path is missing"),
        ({"source": "demo", "path": "p"}, "datasets.x.path does not go with source demo"),
        ({"source": "folder", "path": "p", "split": "reds4"}, "datasets.x.split does not go with source folder"),
        ({"source": "reds", "lr": "offical"}, "datasets.x.lr is 'offical'; for source reds it must be official"),
    ],
)
def test_keys_that_do_not_go_with_the_source(keys, sentence):
    with pytest.raises(InputError, match=f"config: {sentence}"):
        DataSet("x", keys)


def test_reds_clips_have_the_names_of_their_archives():
    official, four = (
        DataSet("reds", {"source": "reds", "fetch": "clips", "split": split}) for split in ("official", "reds4")
    )
    assert (len(official.train), official.train[0], len(official.test), official.test[-1]) == (
        240,
        "train_000",
        30,
        "val_029",
    )
    assert four.test == ["train_000", "train_011", "train_015", "train_020"] and len(four.train) == 236
    assert not set(four.train) & set(four.test)
    assert official.where("val_007") == {"container": "data/reds/val_sharp/007.zip", "frames": reds.FRAMES}


@pytest.mark.parametrize("name", ["011", "train_011"])
def test_reds_clips_go_by_number_or_full_name(name):
    assert DataSet("reds", {"source": "reds", "split": "reds4", "test": [name]}).test == ["train_011"]


def test_a_reds_clip_that_is_not_there():
    data = DataSet("reds", {"source": "reds", "test": ["030"]})
    with pytest.raises(
        InputError, match="datasets.reds.test names the clip 'val_030', which is not there; there are val_000"
    ):
        _ = data.test


# Training and scoring on one clip.


def test_a_clip_trained_on_and_scored(tmp_path):
    clips(tmp_path, one=1, two=1)
    both = {"a": folder(tmp_path, train=["one"]), "b": folder(tmp_path, test=["one", "two"])}
    with pytest.raises(InputError, match="config: experiments.mine trains on and scores one; .*allow_overlap: true"):
        check_overlap("mine", {"mine": EXPERIMENT}, both)
    check_overlap("mine", {"mine": {**EXPERIMENT, "allow_overlap": True}}, both)
    both["b"] = folder(tmp_path, test=["two"])
    check_overlap("mine", {"mine": EXPERIMENT}, both)


def test_the_same_frames_under_two_names(tmp_path):
    rows = [{"experiment": "mine", "dataset": "b", "sequence": "two"}]
    hashes = {("a", "one"): "x", ("b", "two"): "x", ("a", "three"): "y"}
    check_same_frames(rows, {"mine": [("a", "three")]}, hashes)
    check_same_frames(rows, {"mine": []}, hashes)  # as with allow_overlap
    with pytest.raises(
        InputError, match="experiments.mine trains on and scores the same frames, a/one and b/two; .*allow_overlap"
    ):
        check_same_frames(rows, {"mine": [("a", "three"), ("a", "one")]}, hashes)


def test_a_network_has_learned_what_the_one_it_starts_from_has(tmp_path):
    data = {name: folder(clips(tmp_path / name, **{name: 1}), train=[name]) for name in ("a", "b")}
    experiments = {"first": {"train": "a"}, "second": {"train": "b", "start": "first"}}
    assert learned("first", experiments, data) == [("a", "a")]
    assert learned("second", experiments, data) == [("b", "b"), ("a", "a")]


@pytest.mark.parametrize("way", ["link", "dots", "relative"])
def test_one_clip_under_two_paths_is_one_clip(tmp_path, way, monkeypatch):
    clips(tmp_path / "clips", one=1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "clips")
    path = {"link": tmp_path / "link", "dots": tmp_path / "clips/../clips", "relative": Path("clips")}[way]
    both = {"a": folder(tmp_path / "clips", train=["one"]), "b": folder(path)}
    with pytest.raises(InputError, match="trains on and scores one"):
        check_overlap("mine", {"mine": EXPERIMENT}, both)


def test_equal_names_in_two_folders_are_two_clips(tmp_path):
    both = {"a": folder(clips(tmp_path / "a", one=1), train=["one"]), "b": folder(clips(tmp_path / "b", one=1))}
    check_overlap("mine", {"mine": EXPERIMENT}, both)


def test_reds4_is_not_for_networks_of_the_official_split():
    data = {
        "a": DataSet("a", {"source": "reds"}),
        "b": DataSet("b", {"source": "reds", "split": "reds4", "fetch": "clips"}),
    }
    with pytest.raises(InputError, match="trains on and scores train_000, train_011, train_015, train_020"):
        check_overlap("mine", {"mine": EXPERIMENT}, data)


@pytest.mark.parametrize("role", ["train", "test"])
def test_an_experiment_without_clips(tmp_path, role):
    full, empty = folder(clips(tmp_path / "full", a=1, b=1), train=["a"], test=["b"]), tmp_path / "empty"
    empty.mkdir()
    data = {"a": full, "b": full, {"train": "a", "test": "b"}[role]: folder(empty)}
    with pytest.raises(InputError, match=f"config: datasets.mine.{role} has no clips, which experiments.x needs"):
        check_overlap("x", {"x": EXPERIMENT}, data)


def test_clips_that_the_network_it_starts_from_has_seen_are_not_scored():
    data = {
        "official": DataSet("official", {"source": "reds"}),
        "reds4": DataSet("reds4", {"source": "reds", "split": "reds4"}),
    }
    experiments = {
        "all": {"train": "official", "score": ["official"], "allow_overlap": False, "start": None},
        "few": {"train": "reds4", "score": ["reds4"], "allow_overlap": False, "start": "all"},
    }
    check_overlap("all", experiments, data)
    with pytest.raises(InputError, match="train_000, train_011, train_015, train_020"):
        check_overlap("few", experiments, data)
    check_overlap("few", {**experiments, "few": {**experiments["few"], "start": None}}, data)

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsr.data import demo, reds
from deepsr.data.datasets import open_data_set
from deepsr.data.overlap import check_clips, check_not_seen, training_clips
from deepsr.errors import InputError

EXPERIMENT = {"train": ["a"], "score": ["b"], "scale": 4, "allow_overlap": False}


def clips(path, **frames):
    for clip, number in frames.items():
        (path / clip).mkdir(parents=True)
        for i in range(number):
            (path / clip / f"{i}.png").write_bytes(b"")
    return path


def folder(path, **keys):
    return open_data_set("mine", {"source": "folder", "path": str(path), **keys})


def test_the_demo():
    data = open_data_set("demo", {"source": "demo"})
    assert data.train and data.test and set(data.train + data.test) <= set(demo.SHOTS)
    assert not {data.origin(clip) for clip in data.train} & {data.origin(clip) for clip in data.test}
    assert open_data_set("demo", {"source": "demo", "train": "all"}).train == list(demo.SHOTS)
    assert data.location("street") == {"container": "results/frames/demo/street.zip"}


def test_shots_of_the_demo_do_not_overlap():
    for name, shot in demo.SHOTS.items():
        assert shot.video in demo.VIDEOS and 0 <= shot.start < shot.stop
        for other, its in demo.SHOTS.items():
            assert name == other or shot.video != its.video or shot.stop < its.start or its.stop < shot.start


def test_no_shot_of_the_film_is_in_the_piece_of_it_that_is_a_video_of_its_own():
    for name, start in demo.FILM.items():
        assert demo.SHOTS[name].start == start and (demo.SHOTS[name].stop < 1140 or start > 1280)


def test_a_folder_is_read_from_disk_in_natural_order(tmp_path):
    clips(tmp_path, clip10=2, clip9=1, **{".hidden": 1, "Clip 1": 3})
    (tmp_path / "notes.txt").write_text("no clip")
    data = folder(tmp_path)
    assert data.train == [] and data.test == ["Clip 1", "clip9", "clip10"]
    assert data.user_paths("Clip 1") == [f"{tmp_path}/Clip 1"]
    assert data.location("clip9") == {"container": f"{tmp_path}/clip9"}


def test_clips_may_be_chosen(tmp_path):
    data = folder(clips(tmp_path, a=1, b=1, c=1), train=["c", "a"], test=["b"])
    assert data.train == ["c", "a"] and data.test == ["b"]


def test_a_pattern_means_all_clips_that_fit(tmp_path):
    data = folder(clips(tmp_path, walk10=1, walk9=1, run=1), train=["run", "walk*"], test=["walk1*"])
    assert data.train == ["run", "walk9", "walk10"] and data.test == ["walk10"]
    assert open_data_set("film", {"source": "demo", "train": ["film_*"]}).train == list(demo.FILM)
    assert open_data_set("reds", {"source": "reds", "test": ["val_00*"]}).test == [f"val_{i:03}" for i in range(10)]
    with pytest.raises(InputError, match=r"datasets.mine.test: no clip fits 'ru_\*'; there are run, walk9, walk10\."):
        _ = folder(tmp_path, test=["ru_*"]).test
    with pytest.raises(InputError, match="names the clip 'run' more than once"):
        _ = folder(tmp_path, test=["run", "r*"]).test


def test_given_lr_frames(tmp_path):
    data = folder(clips(tmp_path / "hr", a=2), lr=str(clips(tmp_path / "lr", a=2, b=2)))
    assert data.location("a")["lr"] == {"container": f"{tmp_path}/lr/a"} and data.has_lr
    assert data.user_paths("a") == [f"{tmp_path}/hr/a", f"{tmp_path}/lr/a"]
    clips(tmp_path / "hr", c=1)
    with pytest.raises(InputError, match="lr/c: there is no such folder; name the folder"):
        data.check_frames("c")


def test_lr_frames_without_an_hr_frame_of_their_name_are_refused_while_planning(tmp_path):
    data = folder(clips(tmp_path / "hr", a=3), lr=str(clips(tmp_path / "lr", a=3)))
    (tmp_path / "lr/a/0.png").rename(tmp_path / "lr/a/zz.png")
    with pytest.raises(InputError, match="lr/a: the names of 3 LR and 3 HR frames do not match one to one .see 0.png."):
        _ = data.test


def test_only_the_first_frames_of_a_clip_may_be_used(tmp_path):
    data = folder(clips(tmp_path / "hr", a=12), lr=str(clips(tmp_path / "lr", a=11)), frames=11)
    assert data.test == ["a"] and data.location("a")["frames"] == 11  # the twelfth frame needs no LR frame
    clips(tmp_path / "hr", b=10)
    with pytest.raises(InputError, match=r"config: datasets.mine.frames: .*hr/b holds 10 frames, not 11; ask for fewer"):
        _ = folder(tmp_path / "hr", frames=11).test
    assert benchmark(clips(tmp_path, **{"vid4/GT/city": 3}), frames=2).location("city")["frames"] == 2


def test_a_clip_without_frames_is_refused_while_planning(tmp_path):
    """A folder that an archive for macOS leaves beside the clips, for example."""
    with pytest.raises(InputError, match="__MACOSX: holds no frames"):
        _ = folder(clips(tmp_path, walk=1, __MACOSX=0)).test


@pytest.mark.parametrize("size, scale", [((32, 24), 4), ((64, 48), 2), ((63, 48), 2)])
def test_lr_frames_of_another_scale_are_refused_while_planning(tmp_path, size, scale):
    for name, (width, height) in [("hr", (128, 97)), ("lr", size)]:
        (tmp_path / name / "a").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / name / "a/0.png"), np.zeros((height, width, 3), np.uint8))
    data = {"b": folder(tmp_path / "hr", lr=str(tmp_path / "lr"))}
    if size == (128 // scale, 97 // scale):
        check_clips("mine", {"mine": EXPERIMENT | {"train": [], "scale": scale}}, data)
    with pytest.raises(InputError, match=f"lr: the frames in .*lr/a have {size[0]}x{size[1]} pixels, but .*scale is 3"):
        check_clips("mine", {"mine": EXPERIMENT | {"train": [], "scale": 3}}, data)


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(clips(tmp_path, **{"mine/a": 1, "lr/a": 1})))
    data = open_data_set("mine", {"source": "folder", "path": "~/mine", "lr": "~/lr"})
    assert data.test == ["a"]
    assert data.location("a") == {"container": f"{tmp_path}/mine/a", "lr": {"container": f"{tmp_path}/lr/a"}}


def test_a_clip_that_is_not_there(tmp_path):
    data = folder(clips(tmp_path, **{f"clip{i}": 1 for i in range(12)}), test=["clip3", "nope"])
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
        open_data_set("x", keys)


def benchmark(path, name="vid4", **keys):
    return open_data_set("set", {"source": "benchmark", "set": name, "path": str(path), **keys})


@pytest.mark.parametrize("hr", ["GT", "truth", "Original", "HR"])
def test_a_benchmark_is_found_in_both_layouts(tmp_path, hr):
    """As BasicSR has Vid4 (kinds, then clips), and as PFNL has UDM10 (clips, then kinds)."""
    for lr in ("BIx4", "BDx4"):
        clips(tmp_path / "one/Vid4" / lr, calendar=2, city=2)
    clips(tmp_path / "one/Vid4" / hr, calendar=2, city=2)
    for clip in ("000", "010", "009"):
        clips(tmp_path / "two/udm10" / clip, **{hr: 2, "blur4": 2})
    (tmp_path / "two/udm10/results").mkdir()
    assert benchmark(tmp_path / "two/udm10", "udm10").test == ["000", "009", "010"]  # the set's own folder
    one, two = benchmark(tmp_path / "one", lr="BIx4/"), benchmark(tmp_path / "two", "udm10", lr="blur4")
    assert (one.train, one.test, two.test) == ([], ["calendar", "city"], ["000", "009", "010"])
    assert one.location("city") == {
        "container": f"{tmp_path}/one/Vid4/{hr}/city",
        "lr": {"container": f"{tmp_path}/one/Vid4/BIx4/city"},
    }
    assert two.location("009")["container"] == f"{tmp_path}/two/udm10/009/{hr}"
    assert two.user_paths("009")[1] == f"{tmp_path}/two/udm10/009/blur4" and two.has_lr
    assert (one.lr_kind, two.lr_kind) == ("BI", "BD")
    plain = benchmark(tmp_path / "two", "udm10")
    assert plain.location("009") == {"container": f"{tmp_path}/two/udm10/009/{hr}"} and plain.absent is None
    assert plain.origin("009") == two.origin("009") != plain.origin("010")


@pytest.mark.parametrize(
    "lr, degradation, right", [("BIx4", "blur", "bicubic"), ("BDx4", "bicubic", "blur"), ("BDx4", "cv2", "blur")]
)
def test_frames_whose_pixels_lie_elsewhere_are_refused(tmp_path, lr, degradation, right):
    data = benchmark(tmp_path, lr=lr)
    data.check_degradation(right, "experiments.a.degradation")
    sentence = f"experiments.a.degradation is {degradation}, but the LR frames of datasets.set .* set it to {right},"
    with pytest.raises(InputError, match=sentence):
        data.check_degradation(degradation, "experiments.a.degradation")
    for free in (benchmark(tmp_path, lr="mine"), benchmark(tmp_path), folder(tmp_path, lr=str(tmp_path))):
        free.check_degradation(degradation, "experiments.a.degradation")


def test_a_benchmark_of_other_frames_than_papers_score_is_told(tmp_path):
    vid4 = {"calendar": 41, "city": 34, "foliage": 49, "walk": 47}
    clips(tmp_path / "whole/Vid4/GT", **vid4)
    clips(tmp_path / "part/Vid4/GT", **vid4 | {"walk": 46})
    assert benchmark(tmp_path / "whole").remark() is None and benchmark(tmp_path / "nowhere").remark() is None
    assert benchmark(tmp_path / "part").remark().startswith("datasets.set: its clips have 170 frames, and 171 where papers")
    for asked in ({"frames": 31}, {"test": ["city"]}):
        assert benchmark(tmp_path / "part", **asked).remark() is None


def test_a_benchmark_without_clips_says_where_they_are_looked_for(tmp_path):
    clips(tmp_path / "Vid4/ground_truth", city=2)
    with pytest.raises(InputError, match="Vid4 holds no clips; .* folders called gt, truth, original, hr"):
        _ = benchmark(tmp_path).test


def test_a_benchmark_that_is_not_there_says_so(tmp_path):
    (tmp_path / "Vid4").mkdir()
    for path, name in [(tmp_path / "nowhere", "vid4"), (tmp_path, "spmcs")]:
        data = benchmark(path, name)
        missing = f"{path} has no folder {name}" if path.is_dir() else f"there is no folder {path}"
        assert data.absent == f"datasets.set is left out, since {missing}{' or spmc' if name == 'spmcs' else ''}."
        with pytest.raises(InputError, match="datasets.set is left out"):
            _ = data.test
    assert benchmark(tmp_path).absent is None


@pytest.mark.parametrize("keys", [{"lr": "BDx4"}, {"lr": "GT2"}])
def test_lr_frames_of_a_benchmark_that_are_not_there(tmp_path, keys):
    clips(tmp_path / "vid4/GT", city=2)
    clips(tmp_path / "vid4/BIx4", city=2)
    with pytest.raises(InputError, match=f"datasets.set.lr: .*vid4 has neither {keys['lr']}/city nor city/"):
        _ = benchmark(tmp_path, **keys).test


def test_nothing_to_score():
    with pytest.raises(InputError, match="experiments.mine.score: none of its data sets is there"):
        check_clips("mine", {"mine": EXPERIMENT | {"score": []}}, {})


def test_reds_clips_have_the_names_of_their_archives():
    official, four = (
        open_data_set("reds", {"source": "reds", "fetch": "clips", "split": split}) for split in ("official", "reds4")
    )
    assert (official.train[0], official.test[-1], four.train[-1]) == ("train_000", "val_029", "val_029")
    assert four.location("val_007") == official.location("val_007")
    assert official.location("val_007") == {"container": "data/reds/val_sharp/007.zip", "frames": reds.FRAMES}


@pytest.mark.parametrize("name", ["011", "train_011"])
def test_reds_clips_go_by_number_or_full_name(name):
    assert open_data_set("reds", {"source": "reds", "split": "reds4", "test": [name]}).test == ["train_011"]


def test_a_number_never_stands_for_a_clip_of_the_second_archive():
    """000 is a test clip of REDS4; as a training clip it does not quietly become val_000."""
    keys = {"source": "reds", "split": "reds4"}
    with pytest.raises(InputError, match="names the clip 'train_000', which is not there"):
        _ = open_data_set("reds", {**keys, "train": ["000"]}).train
    assert open_data_set("reds", {**keys, "train": ["001", "val_000"]}).train == ["train_001", "val_000"]


@pytest.mark.parametrize("names", [["000", "val_000", "001"], ["001", "001"]])
def test_a_clip_is_named_once(names):
    with pytest.raises(
        InputError, match=f"datasets.reds.test names the clip 'val_{names[0][-3:]}' more than once; name it once"
    ):
        _ = open_data_set("reds", {"source": "reds", "test": names}).test


def test_a_source_that_nobody_knows():
    with pytest.raises(
        InputError, match="config: datasets.x.source is 'vimeo'; it must be one of demo, folder, benchmark, reds"
    ):
        open_data_set("x", {"source": "vimeo"})


def test_official_lr_frames_are_of_one_scale():
    data = {"a": open_data_set("a", {"source": "reds"}), "b": open_data_set("b", {"source": "reds", "lr": "official"})}
    check_clips("mine", {"mine": EXPERIMENT}, data)
    sentence = "config: experiments.mine.scale is 2, but datasets.b.lr is official, and REDS' LR frames are of scale 4"
    with pytest.raises(InputError, match=sentence):
        check_clips("mine", {"mine": EXPERIMENT | {"scale": 2}}, data)
    data["b"] = data["a"]
    check_clips("mine", {"mine": EXPERIMENT | {"scale": 2}}, data | {"b": open_data_set("b", {"source": "reds"})})


def test_files_of_reds(tmp_path, monkeypatch):
    """Fetched archives are what the workflow fetches; archives and folders under path are the user's."""
    monkeypatch.chdir(tmp_path)
    fetched = open_data_set("reds", {"source": "reds", "lr": "official"})
    archives = ["data/reds/val_sharp.zip", "data/reds/val_sharp_bicubic.zip"]
    assert fetched.fetched("val_000") == fetched.zips("val_000") == archives and fetched.user_paths("val_000") == []
    for name in archives:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    packed = open_data_set("reds", {"source": "reds", "lr": "official", "path": "data/reds"})
    assert packed.user_paths("val_000") == archives and packed.zips("val_000") == []
    clips(tmp_path / "tree/val/val_sharp", **{"000": 2})
    tree = open_data_set("reds", {"source": "reds", "path": "tree"})
    assert tree.user_paths("val_000") == ["tree/val/val_sharp/000"]
    assert tree.location("val_000") == {"container": "tree/val/val_sharp/000", "frames": 100}


def test_a_whole_archive_serves_for_single_clips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = open_data_set("reds", {"source": "reds", "fetch": "clips"})
    whole, alone = Path("data/reds/val_sharp.zip"), Path("data/reds/val_sharp/000.zip")
    assert data.fetched("val_000") == [str(alone)]
    alone.parent.mkdir(parents=True)
    whole.write_bytes(b"")
    assert data.fetched("val_000") == [str(whole)]
    assert data.location("val_000") == {"container": str(whole), "prefix": "val/val_sharp/000/", "frames": 100}
    alone.write_bytes(b"")  # has been fetched before
    assert data.fetched("val_000") == [str(alone)]


def test_archives_of_two_data_sets():
    other = {"train_sharp": {"url": ["http://127.0.0.1/x.zip"], "size": 5}}
    assert reds.archive_facts({"a": {}})["train_sharp"]["size"] == 34_261_573_976
    facts = reds.archive_facts({"a": {}, "b": {"archives": other}, "c": {"archives": dict(other)}})
    assert facts["train_sharp"] == reds.archive_facts({})["train_sharp"] | other["train_sharp"]
    assert facts["val_sharp"] == {"url": [reds.URL.format(archive="val_sharp")], "size": 4_273_865_704, "sha256": None}
    twice = {"b": {"archives": other}, "c": {"archives": {"train_sharp": {"size": 5}}}}
    with pytest.raises(InputError, match="datasets.b.archives.train_sharp and datasets.c.archives.train_sharp differ"):
        reds.archive_facts(twice)


def test_a_reds_clip_that_is_not_there():
    data = open_data_set("reds", {"source": "reds", "test": ["030"]})
    with pytest.raises(
        InputError, match="datasets.reds.test names the clip 'val_030', which is not there; there are val_000"
    ):
        _ = data.test


# Training and scoring on one clip.


def test_a_clip_trained_on_and_scored(tmp_path):
    clips(tmp_path, one=1, two=1)
    both = {"a": folder(tmp_path, train=["one"]), "b": folder(tmp_path, test=["one", "two"])}
    with pytest.raises(InputError, match="config: experiments.mine trains on and scores one; .*allow_overlap: true"):
        check_clips("mine", {"mine": EXPERIMENT}, both)
    check_clips("mine", {"mine": {**EXPERIMENT, "allow_overlap": True}}, both)
    both["b"] = folder(tmp_path, test=["two"])
    check_clips("mine", {"mine": EXPERIMENT}, both)


def test_the_same_frames_under_two_names(tmp_path):
    rows = [{"experiment": "mine", "dataset": "b", "sequence": "two"}]
    hashes = {("b", "two"): "x"}
    check_not_seen(rows, {"mine": {"a/three": "y"}}, hashes)
    check_not_seen(rows, {"mine": {}}, hashes)  # as with allow_overlap
    sentence = "experiments.mine scores b/two, on whose frames its network was trained .a/one.; .*allow_overlap"
    with pytest.raises(InputError, match=sentence):
        check_not_seen(rows, {"mine": {"a/three": "y", "a/one": "x"}}, hashes)


def test_a_network_has_learned_what_the_one_it_starts_from_has(tmp_path):
    data = {name: folder(clips(tmp_path / name, **{name: 1}), train=[name]) for name in ("a", "b")}
    experiments = {"first": {"train": ["a"]}, "second": {"train": ["b"], "start": "first"}}
    assert training_clips("first", experiments, data) == [("a", "a")]
    assert training_clips("second", experiments, data) == [("b", "b"), ("a", "a")]


@pytest.mark.parametrize("way", ["link", "dots", "relative"])
def test_one_clip_under_two_paths_is_one_clip(tmp_path, way, monkeypatch):
    clips(tmp_path / "clips", one=1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "clips")
    path = {"link": tmp_path / "link", "dots": tmp_path / "clips/../clips", "relative": Path("clips")}[way]
    both = {"a": folder(tmp_path / "clips", train=["one"]), "b": folder(path)}
    with pytest.raises(InputError, match="trains on and scores one"):
        check_clips("mine", {"mine": EXPERIMENT}, both)


def test_equal_names_in_two_folders_are_two_clips(tmp_path):
    both = {"a": folder(clips(tmp_path / "a", one=1), train=["one"]), "b": folder(clips(tmp_path / "b", one=1))}
    check_clips("mine", {"mine": EXPERIMENT}, both)


def test_reds4_is_not_for_networks_of_the_official_split():
    data = {
        "a": open_data_set("a", {"source": "reds"}),
        "b": open_data_set("b", {"source": "reds", "split": "reds4", "fetch": "clips"}),
    }
    with pytest.raises(InputError, match="trains on and scores train_000, train_011, train_015, train_020"):
        check_clips("mine", {"mine": EXPERIMENT}, data)


@pytest.mark.parametrize("role", ["train", "test"])
def test_an_experiment_without_clips(tmp_path, role):
    full, empty = folder(clips(tmp_path / "full", a=1, b=1), train=["a"], test=["b"]), tmp_path / "empty"
    empty.mkdir()
    data = {"a": full, "b": full, {"train": "a", "test": "b"}[role]: folder(empty)}
    with pytest.raises(InputError, match=f"config: datasets.mine.{role} has no clips, which experiments.x needs"):
        check_clips("x", {"x": EXPERIMENT}, data)


def test_clips_that_the_network_it_starts_from_has_seen_are_not_scored():
    data = {
        "official": open_data_set("official", {"source": "reds"}),
        "reds4": open_data_set("reds4", {"source": "reds", "split": "reds4"}),
    }
    experiments = {
        "all": {"train": ["official"], "score": ["official"], "scale": 4, "allow_overlap": False, "start": None},
        "few": {"train": ["reds4"], "score": ["reds4"], "scale": 4, "allow_overlap": False, "start": "all"},
    }
    check_clips("all", experiments, data)
    with pytest.raises(InputError, match="train_000, train_011, train_015, train_020"):
        check_clips("few", experiments, data)
    check_clips("few", {**experiments, "few": {**experiments["few"], "start": None}}, data)

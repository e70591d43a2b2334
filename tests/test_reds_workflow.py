"""REDS through the real workflow: fetched from a server on the loopback interface, trained on and scored.

The archives have the trees of the real ones, and tiny real frames. A clip has FRAMES of them instead of 100.
"""

import hashlib
import os
import shutil
import socket
import zipfile
from pathlib import Path
from unittest import mock

import cv2
import pandas as pd
import pytest
from conftest import ROOT, Project, mostly_slow
from reds_server import Fault, RedsServer

from deepsr.data import reds
from deepsr.data.degradation import degrade
from deepsr.report.page import read_usage

FRAMES = 4
HR, LR = "train_sharp", "train_sharp_bicubic"
SINGLE = {
    "drafts": {"kind": "bicubic"},
    "patches": {"size": 16, "per_frame": 2, "validation_frames": 1},
    "training": {"epochs": 1, "batch_size": 8, "border": 2},
}


def frames_of(clip):
    """FRAMES small real frames, other ones for each clip."""
    folder = ROOT / "tests/clips" / ("harbour" if clip % 2 else "tower")
    for i in range(FRAMES):
        frame = cv2.imread(str(folder / f"{i:02d}.png"))
        top, left = clip % 7, clip % 11
        yield frame[top : top + 48, left : left + 64]


def members_of(archive, clips):
    """{name: bytes} of an archive of REDS."""
    members = {}
    for clip in clips:
        for i, frame in enumerate(frames_of(clip)):
            frame = frame[::-1] if archive.startswith("val") else frame
            frame = degrade(frame, 4, "bicubic") if archive.endswith("bicubic") else frame
            members[f"{reds.prefix(archive, f'{clip:03d}')}{i:08d}.png"] = cv2.imencode(".png", frame)[1].tobytes()
    return members


def zipped(path, members):
    """Write an archive in the format that archives above 4 GB have (ZIP64)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mock.patch("zipfile.ZIP64_LIMIT", 100), zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                member.write(data)
    return path


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """A folder with the four archives, of few clips."""
    folder = tmp_path_factory.mktemp("REDS")
    for archive in reds.ARCHIVES:
        zipped(folder / f"{archive}.zip", members_of(archive, [0, 1, 2] if archive.startswith("train") else [0, 1]))
    return folder


@pytest.fixture
def server(archives):
    with RedsServer({path.name: path for path in archives.iterdir()}) as server:
        yield server


def facts(server):
    """The config's `archives` that lead to the server."""
    return {
        name.removesuffix(".zip"): {
            "url": [server.url(name)],
            "size": len(file.data),
            "sha256": hashlib.sha256(file.data).hexdigest(),
        }
        for name, file in server.files.items()
    }


def on_reds(project, dataset, frames=FRAMES, **experiments):
    """Set a project to one data set of REDS, with clips of few frames, and to cheap experiments."""
    project.replace("deepsr/data/reds.py", "FRAMES = 100", f"FRAMES = {frames}")
    for module in ("remote", "download", "remote_zip"):
        project.replace(f"deepsr/fetch/{module}.py", "retries=5, sleep=time.sleep", "retries=1, sleep=lambda s: None")
    defaults = {"train": "reds", "score": ["reds"], **SINGLE}
    project.config = {
        "seed": 1,
        "datasets": {"reds": {"source": "reds", **dataset}},
        "defaults": defaults,
        "experiments": experiments or {"single": {}},
    }
    return project


def run(project, *arguments, **options):
    return project.run("results/psnr.csv", *arguments, no_proxy="127.0.0.1", **options)


def table(project, name="psnr"):
    return pd.read_csv(project.path / f"results/{name}.csv")


def snapshot(folder):
    """Everything that could change in a folder: {file: (bytes' hash, time)}."""
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def peaks(project):
    """Largest memory of each rule's jobs in MB, and their number."""
    jobs = read_usage(project.path / "results/logs").groupby("rule")["peak_mb"]
    return {rule: (len(values), values.max()) for rule, values in jobs}


@pytest.fixture(scope="module")
def whole(archives, tmp_path_factory):
    """A project whose archives were fetched and whose table was made, with our LR frames and with the official ones."""
    project = on_reds(
        Project(tmp_path_factory.mktemp("whole") / "project"), {}, single={}, given={"train": "given", "score": ["given"]}
    )
    with RedsServer({path.name: path for path in archives.iterdir()}) as server:
        lists = {"archives": facts(server), "train": ["001", "002"], "test": ["000", "001"]}
        project.config["datasets"] = {
            "reds": {"source": "reds", **lists},
            "given": {"source": "reds", "lr": "official", "train": ["002"], "test": ["001"]},
        }
        run(project)
        project.sent, project.requests = dict(server.sent), list(server.requests)
    return project


@pytest.mark.slow
def test_archives_are_fetched_once_and_read_in_place(whole, archives):
    for path in archives.iterdir():
        assert whole.sent[f"/cdn/{path.name}"] == path.stat().st_size
        assert (whole.path / "data/reds" / path.name).read_bytes() == path.read_bytes()
    assert sorted(path.name for path in (whole.path / "data/reds").iterdir()) == sorted(p.name for p in archives.iterdir())
    scores = table(whole).set_index(["experiment", "sequence"])
    assert set(scores.index) == {
        ("single", "val_000"), ("single", "val_001"), ("single", "mean"), ("given", "val_001"), ("given", "mean"),
    }  # fmt: skip
    assert set(scores["frames"]) == {FRAMES, 2 * FRAMES}
    # The official frames of this test are our own: what is computed from them without a network is the same.
    ours, official = scores.loc[("single", "val_001")], scores.loc[("given", "val_001")]
    assert ours["psnr_bicubic"] == official["psnr_bicubic"]
    assert (ours["degradation"], official["degradation"]) == ("bicubic", "given as BI (bicubic)")


@pytest.mark.slow
def test_what_has_been_fetched_is_never_fetched_again(whole, copy_of):
    project = copy_of(whole)
    for path in (project.path / "data/reds").iterdir():
        path.touch()
    project.replace("scripts/fetch_reds.py", "with job", "print()\nwith job")
    project.config["datasets"]["reds"]["archives"]["train_sharp"] = {"url": ["http://127.0.0.1:9/other.zip"], "size": 1}
    assert project.planned("results/psnr.csv") == {}
    assert "fetch_reds" not in project.planned("results/psnr.csv", "--forceall")
    project.config["experiments"]["single"]["training"] = {"epochs": 2}
    assert project.planned("results/psnr.csv") == {
        "train_network": 1, "export_network": 1, "evaluate_clip": 2, "collect_psnr": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_lr_frames_are_compared(whole, copy_of):
    project = copy_of(whole)
    project.run("results/lr/given_x4/val_001.csv")
    compared = pd.read_csv(project.path / "results/lr/given_x4/val_001.csv")
    assert len(compared) == FRAMES
    assert (compared["largest_bicubic"] == 0).all()
    assert (compared["psnr_cv2"] < 40).all()
    assert "set its key lr" in project.run("results/lr/reds_x4/val_001.csv", check=False).stdout


@pytest.mark.slow
def test_single_clips_transfer_nothing_else(project, server):
    """Members are as long as in the archives; all else is the directory and the server's redirects."""
    for archive in ("train_sharp", "val_sharp"):  # a third of a megabyte of padding that nobody asks for
        members = {f"{reds.prefix(archive, f'{clip:03d}')}00000000.png": os.urandom(3 << 20) for clip in range(3, 6)}
        path = zipped(project.path / "big.zip", members_of(archive, [0, 1, 2]) | members)
        server.put(f"{archive}.zip", path.read_bytes())
    on_reds(project, {"fetch": "clips", "lr": "official", "train": ["001"], "test": ["000"], "archives": facts(server)})
    run(project)
    assert list(table(project)["sequence"]) == ["val_000", "mean"]
    fetched = {str(path.relative_to(project.path / "data/reds")) for path in (project.path / "data/reds").rglob("*.*")}
    wanted = {"train_sharp/001", "train_sharp_bicubic/001", "val_sharp/000", "val_sharp_bicubic/000"}
    assert fetched == {f"{clip}.zip" for clip in wanted}
    for name in ("train_sharp.zip", "val_sharp.zip"):
        assert server.sent[f"/cdn/{name}"] < 3 << 20 < len(server.files[name].data) / 3
    server.files.clear()  # from here on there is no network
    for path in (project.path / "data/reds").rglob("*.zip"):
        path.touch()
    assert project.planned("results/psnr.csv") == {}


@pytest.mark.slow
def test_path_is_only_read(project, archives, tmp_path):
    """An archive and an unpacked tree of the same clips give the same scores, and stay as they are."""
    (tmp_path / "packed").mkdir()
    for name in ("train_sharp.zip", "val_sharp.zip"):
        shutil.copy(archives / name, tmp_path / "packed")
        zipfile.ZipFile(archives / name).extractall(tmp_path / "tree")
    before = snapshot(tmp_path / "packed") | snapshot(tmp_path / "tree")
    on_reds(project, {"path": str(tmp_path / "packed"), "train": ["001"], "test": ["000"]})
    project.config["datasets"]["tree"] = {"source": "reds", "path": str(tmp_path / "tree"), "train": [], "test": ["000"]}
    project.config["defaults"]["score"] = ["reds", "tree"]
    run(project)
    scores = table(project).set_index("dataset").drop(columns="sequence")
    assert (scores.loc["reds"].to_numpy() == scores.loc["tree"].to_numpy()).all()
    assert not (project.path / "data").exists()
    assert snapshot(tmp_path / "packed") | snapshot(tmp_path / "tree") == before
    # What an archive holds decides, not its time.
    packed = tmp_path / "packed/val_sharp.zip"
    os.utime(packed)
    assert project.planned("results/psnr.csv") == {}
    names, data = members_of("val_sharp", [0]), members_of("val_sharp", [1]).values()
    zipped(tmp_path / "other.zip", dict(zip(names, data, strict=True)))
    os.utime(tmp_path / "other.zip", (10**9, 10**9))
    packed.rename(tmp_path / "kept.zip")
    (tmp_path / "other.zip").rename(packed)
    assert project.planned("results/psnr.csv") == {"index_clip": 1, "evaluate_clip": 1, "collect_psnr": 1}
    (tmp_path / "kept.zip").rename(packed)
    assert project.planned("results/psnr.csv") == {}
    before = snapshot(tmp_path / "packed") | snapshot(tmp_path / "tree")
    project.run("--delete-all-output", "results/psnr.csv")
    assert snapshot(tmp_path / "packed") | snapshot(tmp_path / "tree") == before


def refuse(project, *arguments):
    """Run what must fail; returns the last line of each failed job's log, by the name of the log."""
    done = project.run(*arguments, "--keep-going", check=False, no_proxy="127.0.0.1")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    logs = (project.path / "results/logs").rglob("*.log")
    return {str(log.relative_to(project.path / "results/logs")): log.read_text().splitlines()[-1] for log in logs}


@pytest.mark.slow
def test_bad_downloads_are_refused_in_a_sentence(project, server, archives):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # never listens
        addresses = facts(server)
        addresses["train_sharp"]["size"] += 1
        addresses["val_sharp"]["sha256"] = "0" * 64
        addresses["train_sharp_bicubic"]["url"] = [f"http://127.0.0.1:{closed.getsockname()[1]}/train_sharp_bicubic.zip"]
        server.put("page", b"<!DOCTYPE html><title>Quota exceeded</title>")
        addresses["val_sharp_bicubic"] = {"url": [server.url("page")], "size": len(server.files["page"].data)}
        on_reds(project, {"archives": addresses})
        said = refuse(project, *(f"data/reds/{archive}.zip" for archive in reds.ARCHIVES))
    size = (archives / "train_sharp.zip").stat().st_size
    assert f"is {size:,} bytes long, but {size + 1:,} are expected" in said["fetch_reds/train_sharp.log"]
    assert "sha256 is" in said["fetch_reds/val_sharp.log"] and "delete" in said["fetch_reds/val_sharp.log"]
    assert "refused" in said["fetch_reds/train_sharp_bicubic.log"].lower()
    assert "the server sent a web page instead of the file" in said["fetch_reds/val_sharp_bicubic.log"]
    assert list((project.path / "data/reds").glob("*.zip")) == []


@pytest.mark.slow
def test_failed_download_goes_on_where_it_stopped(project, server):
    on_reds(project, {"archives": facts(server)})
    size = len(server.files["train_sharp.zip"].data)
    server.faults.extend([Fault(cut=size // 2), Fault(status=404)])
    said = refuse(project, "data/reds/train_sharp.zip")
    assert "404" in said["fetch_reds/train_sharp.log"]
    part = project.path / "data/reds/train_sharp.zip.part"
    assert part.stat().st_size == size // 2
    project.run("data/reds/train_sharp.zip", no_proxy="127.0.0.1")
    assert not part.exists()
    assert server.ranges("train_sharp.zip") == [None, f"bytes={size // 2}-", f"bytes={size // 2}-"]


def damaged(members, name):
    """Turn a byte of the member's pixels, in the archive's bytes."""
    return lambda data: data.replace(
        members[name], members[name][:-30] + bytes([members[name][-30] ^ 1]) + members[name][-29:]
    )


def spoiled(folder):
    """A folder of archives, each with something wrong in it."""
    members = members_of("train_sharp", [0, 1, 2])
    del members["train/train_sharp/001/00000003.png"]  # too few frames
    del members["train/train_sharp/000/00000000.png"]
    for frame in range(FRAMES):  # a missing clip
        members.pop(f"train/train_sharp/000/{frame:08d}.png", None)
    path = zipped(folder / "train_sharp.zip", members)
    path.write_bytes(damaged(members, "train/train_sharp/002/00000001.png")(path.read_bytes()))  # fails its CRC-32
    zipped(folder / "val_sharp.zip", members_of("val_sharp", [0]) | {"../evil.png": b"x"})
    return folder


WRONG = {
    "train_sharp/000": "no clip",
    "train_sharp/001": "3 frames",
    "train_sharp/002": "00000001.png",
    "val_sharp/000": "'../evil.png' would be written outside of its folder",
}


@pytest.mark.slow
def test_bad_clips_are_refused_in_a_sentence(project, tmp_path):
    folder = spoiled(tmp_path / "spoiled")
    with RedsServer({path.name: path for path in folder.iterdir()}) as server:
        on_reds(project, {"fetch": "clips", "archives": facts(server)})
        said = refuse(project, *(f"data/reds/{clip}.zip" for clip in WRONG))
    for clip, words in WRONG.items():
        assert words in said[f"fetch_reds/{clip}.log"]
    assert list(project.path.rglob("evil*")) == []
    kept = project.path / "data/reds/train_sharp/002.zip.part"
    assert [path.name for path in kept.iterdir()] == ["00000000.png"]


@pytest.mark.slow
def test_bad_archives_are_refused_in_place(project, tmp_path):
    folder = spoiled(tmp_path / "spoiled")
    before = snapshot(folder)
    on_reds(project, {"path": str(folder)})
    said = refuse(project, *(f"results/clips/reds/{clip.replace('_sharp/', '_')}.json" for clip in WRONG))
    for clip, words in (WRONG | {"train_sharp/000": "holds no frames"}).items():
        assert words in said[f"index_clip/reds/{clip.replace('_sharp/', '_')}.log"]
    assert snapshot(folder) == before


@pytest.mark.slow
def test_a_failed_clip_is_missing_from_the_table_and_no_other(project, archives, tmp_path):
    folder = tmp_path / "REDS"
    shutil.copytree(archives, folder)
    members = members_of("val_sharp", [0, 1])
    whole = (folder / "val_sharp.zip").read_bytes()
    (folder / "val_sharp.zip").write_bytes(damaged(members, "val/val_sharp/001/00000002.png")(whole))
    on_reds(project, {"path": str(folder), "train": ["001"], "test": ["000", "001"]})
    done = run(project, "--keep-going", check=False)
    assert done.returncode != 0
    assert "results/psnr_incomplete.csv: 1 of 2 clips are missing: single/reds/val_001." in done.stdout
    assert not (project.path / "results/psnr.csv").exists()
    rows = table(project, "psnr_incomplete").set_index("sequence")
    assert rows["status"].to_dict() == {"val_000": "scored", "val_001": "missing", "mean": "incomplete"}
    numbers = rows.filter(regex="psnr|ssim|gain")
    assert numbers.loc["val_000"].notna().all()
    assert numbers.loc[["val_001", "mean"]].isna().all(axis=None)
    (folder / "val_sharp.zip").write_bytes(whole)
    assert "train_network" not in project.planned("results/psnr.csv")
    run(project)
    full = table(project).set_index("sequence")
    assert (full.loc["val_000", numbers.columns] == numbers.loc["val_000"]).all()
    assert not (project.path / "results/psnr_incomplete.csv").exists()
    # A training that fails takes with it the scores of the training before.
    (project.path / "damaged.keras").write_bytes(b"no weights")
    project.config["experiments"] = {"single": {"start": "damaged.keras"}, "other": {"training": {"epochs": 0}}}
    assert "4 of 4" not in run(project, "--keep-going", check=False).stdout
    rows = table(project, "psnr_incomplete").set_index(["experiment", "sequence"])
    assert list(rows.loc["single", "status"]) == ["missing", "missing", "incomplete"]
    assert list(rows.loc["other", "status"]) == ["scored", "scored", "scored"]


@pytest.mark.parametrize(
    ("dataset", "words"),
    mostly_slow([
        ({"train": [11]}, "write it in quotes, as '011'"),
        ({"path": "nowhere"}, "neither nowhere/train_sharp.zip nor nowhere/train/train_sharp/000 is there"),
        ({"split": "reds4", "test": ["000"], "train": ["000", "001"]}, "train names the clip 'train_000'"),
        ({"split": "reds4", "train": ["001"], "test": ["001"]}, "test names the clip 'train_001'"),
        ({"train": ["240"]}, "train names the clip 'train_240', which is not there"),
        ({"train": ["001"], "test": ["000", "val_000"]}, "test names the clip 'val_000' more than once"),
    ], 2),
)  # fmt: skip
def test_bad_lists_are_refused(project, dataset, words):
    on_reds(project, dataset)
    done = project.run("-n", check=False)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert words in done.stdout


def test_a_clip_trained_on_is_not_scored_in_another_data_set(project):
    """REDS4's test clips are among the official training clips."""
    on_reds(project, {})
    project.config["datasets"]["reds4"] = {"source": "reds", "split": "reds4"}
    project.config["defaults"]["score"] = ["reds4"]
    done = project.run("-n", check=False)
    assert "experiments.single trains on and scores train_000, train_011, train_015, train_020" in done.stdout
    project.config["experiments"]["single"] = {"allow_overlap": True}
    assert project.planned()["evaluate_clip"] == 4


@pytest.mark.parametrize(
    ("split", "train", "test"), mostly_slow([("reds4_without_val", 236, 4), ("official", 240, 30), ("reds4", 266, 4)])
)
def test_all_of_reds_is_planned(project, split, train, test):
    on_reds(project, {"split": split})
    planned = project.planned("results/psnr.csv")
    assert (planned["make_drafts"], planned["evaluate_clip"], planned["index_clip"]) == (train, test, train + test)
    assert planned["fetch_reds"] == len({"reds4_without_val": ["train"]}.get(split, ["train", "val"]))


@pytest.mark.parametrize(
    ("train", "test"), [pytest.param(6, 3, marks=pytest.mark.slow), pytest.param(240, 30, marks=pytest.mark.long)]
)
def test_all_of_a_simulated_reds_runs_in_little_memory(project, tmp_path, train, test):
    zipped(tmp_path / "REDS/train_sharp.zip", members_of("train_sharp", range(train)))
    zipped(tmp_path / "REDS/val_sharp.zip", members_of("val_sharp", range(test)))
    lists = {} if train == 240 else {"train": [f"{i:03d}" for i in range(train)], "test": [f"{i:03d}" for i in range(test)]}
    with RedsServer({path.name: path for path in (tmp_path / "REDS").iterdir()}) as server:
        on_reds(project, {"archives": facts(server), **lists})
        run(project)
    assert len(table(project)) == test + 1
    found = peaks(project)
    print(*(f"{rule}: {number} jobs, at most {peak:.0f} MB" for rule, (number, peak) in sorted(found.items())), sep="\n")
    assert found["index_clip"][0] == train + test
    assert all(found[rule][1] < 1000 for rule in ("index_clip", "choose_patches", "make_drafts", "evaluate_clip"))

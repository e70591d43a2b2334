"""The real workflow at test size: what it makes, what an edit re-runs, and what it says about bad input."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Project, mostly_slow

from config import describe
from deepsr.data.sequence import Sequence, read_index
from deepsr.drafts.ensemble import Drafts
from deepsr.drafts.patches import open_shard

SHIPPED = sorted(path.relative_to(ROOT) for path in (ROOT / "config").glob("*.yaml") if "schema" not in path.name)


def test_makes_the_table(finished):
    table = pd.read_csv(finished.path / "results/psnr.csv")
    first = "experiment dataset scale drafts sequence frames psnr_bicubic psnr_deepsr gain ssim_bicubic ssim_deepsr"
    assert list(table)[:11] == first.split()
    assert list(table["sequence"]) == ["tower", "mean"] * 3
    assert set(table.loc[table["experiment"] == "article", "drafts"]) == {"gaussian (oracle)"}
    assert not table.loc[table["experiment"] != "article", "drafts"].str.contains("oracle").any()
    # Blurred ground truth gains a lot, low-resolution frames a little: the warm start sees to it even in this short run.
    gain = table[table["sequence"] == "mean"].set_index("experiment")["gain"]
    assert gain["article"] > 3
    assert gain["deepsr"] > 0.2
    assert gain["single"] > 0.1


def test_the_log_of_a_whole_run_is_short_and_ends_with_the_table(finished):
    lines = finished.said.splitlines()
    assert len(lines) <= 80
    assert any(re.match(r"\d\d:\d\d:\d\d  train_network begins, 3 in all; \d+ of \d+ jobs done", line) for line in lines)
    end = lines.index("Results: results/psnr.csv, results/report.html")
    assert lines[end - 7].split()[-3:] == ["psnr_bicubic", "psnr_deepsr", "gain"]
    assert [line.split()[0] for line in lines[end - 6 : end : 2]] == ["article", "deepsr", "single"]
    assert not any("index_clip tiny" in line for line in lines)  # what a job says of its own work is in its log


def test_every_job_notes_what_it_used(finished):
    used = pd.read_csv(finished.path / "results/benchmarks.csv").set_index("rule")
    assert {"index_clip", "train_network", "evaluate_clip", "collect_psnr", "plot_chart"} <= set(used.index)
    assert (used["cpu_seconds"] > 0).all() and used["peak_mb"].between(10, 3000).all()
    assert used.loc["train_network", "peak_mb"].min() > 300 > used.loc["index_clip", "peak_mb"].max()  # TensorFlow in it


def test_makes_figures_and_pictures(finished):
    results = finished.path / "results"
    assert list(results.glob("figures/*.png")) and list(results.glob("figures/*.svg"))
    for name in ("hr", "lr", "bicubic", "deepsr"):
        assert (results / f"experiments/deepsr/tiny/tower/best_{name}.png").stat().st_size > 0


def test_shards_hold_the_drafts_of_the_chosen_patches(finished, monkeypatch):
    """With the neighbours that the clip has, or with none where the table says alone."""
    monkeypatch.chdir(finished.path)
    clip = Sequence(read_index("results/clips/tiny/harbour.json"), 4, "bicubic")
    spec = json.loads(Path("results/provenance.json").read_text())["config"]["experiments"]["deepsr"]["drafts"]
    drafts = Drafts(spec, 4, "bicubic", clip.lr_luma, len(clip))
    (path,) = Path("results/drafts/tiny").glob("x4_bicubic_motion*/harbour.npz")
    (table,) = Path("results/patches/tiny").glob("*/harbour.csv")
    rows, shard = pd.read_csv(table).to_numpy(), open_shard(path)
    assert 0 < rows[:, 4].sum() < len(rows) / 2
    for row, patch, target, validation in zip(rows, *shard, strict=True):
        frame, top, left, held_out, alone = row
        seen = Drafts(spec, 4, "bicubic", lambda _: clip.lr_luma(frame), 1)[0] if alone else drafts[frame]  # noqa: B023
        there = np.s_[..., top : top + patch.shape[-1], left : left + patch.shape[-1]]
        assert np.array_equal(patch, seen[there]) and np.array_equal(target, clip.hr_luma(frame)[there])
        assert validation == held_out


@pytest.mark.slow
def test_frames_that_were_trained_on_are_not_scored_under_another_name(finished, copy_of):
    project = copy_of(finished)
    shutil.copytree(ROOT / "tests/clips/harbour", project.path / "mine/holiday")
    project.config["datasets"]["mine"] = {"source": "folder", "path": "mine", "test": "all"}
    project.config["experiments"]["single"]["score"] = ["tiny", "mine"]
    done = project.run("results/psnr.csv", check=False)
    assert done.returncode and "Traceback" not in done.stdout
    assert "experiments.single scores mine/holiday, on whose frames its network was trained (tiny/harbour)" in done.stdout
    project.config["experiments"]["single"]["allow_overlap"] = True
    project.run("results/psnr.csv")


def test_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished.run("results/psnr.csv").stdout
    assert finished.planned() == {}


@pytest.mark.slow
def test_fresh_copy_gives_the_same_bytes(finished, project):
    project.run("results/psnr.csv", "--cores", "1")
    for file in ("results/psnr.csv", "results/experiments/deepsr/model.onnx"):
        assert (project.path / file).read_bytes() == (finished.path / file).read_bytes()


LATER = {"export_network", "evaluate_clip", "collect_psnr"}
TRAINED = {"train_network"} | LATER


DRAWN = ("measure_speed", "plot_", "make_report", "write_provenance", "all")


def rules(project):
    """Rules that a dry run would run, but those that only draw what has changed."""
    return {rule for rule in project.planned() if not rule.startswith(DRAWN)}


def edit_config(*keys, value):
    def edit(project):
        node = project.config
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = value

    return edit


def edit_code(file, old, new):
    return lambda project: project.replace(file, old, new)


def edit_code_into_an_older_file(file, old, new):
    """As rsync and tar bring it."""

    def edit(project):
        project.replace(file, old, new)
        os.utime(project.path / file, (10**9, 10**9))

    return edit


def touch(pattern):
    """Give files a new time, as a `git checkout` of equal content does."""

    def edit(project):
        files = list(project.path.glob(pattern))
        assert files
        for file in files:
            file.touch()

    return edit


def swap_folder(project):
    """Another folder is moved into a clip's place, with files of the same names that are older."""
    clip, other = project.path / "tests/clips/tower", project.path / "v2"
    shutil.copytree(clip, other)
    shutil.copy(other / "05.png", other / "06.png")
    clip.rename(project.path / "elsewhere")
    other.rename(clip)
    for path in clip.iterdir():
        os.utime(path, (10**9, 10**9))


def turn_a_link(project):
    """A clip's folder becomes a link to another one."""
    swap_folder(project)
    clip = project.path / "tests/clips/tower"
    clip.rename(project.path / "v2")
    clip.symlink_to(project.path / "v2")


def replace_frame_by_older(project):
    replace_frame(project)
    for path in project.path.glob("tests/clips/tower/*.png"):
        os.utime(path, (10**9, 10**9))


def replace_frame(project):
    """One frame of the test clip is replaced by another."""
    clip = project.path / "tests/clips/tower"
    shutil.copy(clip / "05.png", clip / "06.png")


EDITS = {
    "epochs": (edit_config("defaults", "training", "epochs", value=3), TRAINED),
    "seed": (edit_config("seed", value=2), {"choose_patches", "make_drafts"} | TRAINED),
    "sigma": (
        edit_config("experiments", "article", "drafts", "sigmas", value=[1.0, 1.8, 2.1]),
        {"make_drafts"} | TRAINED,
    ),
    "plot style": (edit_config("figures", value={"dpi": 60}), set()),
    "evaluation": (edit_config("defaults", "evaluation", value={"border": 4}), {"evaluate_clip", "collect_psnr"}),
    "model code": (edit_code("deepsr/networks/deepsr.py", "256", "128"), TRAINED),
    "loss code": (edit_code("deepsr/train/losses/relative.py", "SMOOTH / 255**2", "1e-3"), TRAINED),
    "predictor code": (
        edit_code("deepsr/networks/chain_tiles.py", "ROWS = 24", "ROWS = 32"),
        {"evaluate_clip", "collect_psnr"},
    ),
    "draft code": (
        edit_code("deepsr/drafts/ensemble.py", "np.stack([", "np.array(["),
        {"make_drafts", "evaluate_clip"} | TRAINED,
    ),
    "degradation added": (
        edit_code("deepsr/data/degradation.py", "DEGRADATIONS = {", 'DEGRADATIONS = {"mine": None, '),
        {"index_clip", "choose_patches", "make_drafts"} | TRAINED,
    ),
    "metric code": (
        edit_code("deepsr/evaluate/metrics.py", "0.03**2", "0.04**2"),
        {"evaluate_clip", "collect_psnr"},
    ),
    "script": (
        edit_code("scripts/evaluate_clip.py", "with job", "import math\n\nwith job"),
        {"evaluate_clip", "collect_psnr"},
    ),
    "script, older": (
        edit_code_into_an_older_file("scripts/evaluate_clip.py", "with job", "import math\n\nwith job"),
        {"evaluate_clip", "collect_psnr"},
    ),
    "copied": (lambda project: None, set()),  # with other inodes and times of change
    "folder swapped": (swap_folder, {"index_clip", "evaluate_clip", "collect_psnr"}),
    "link turned": (turn_a_link, {"index_clip", "evaluate_clip", "collect_psnr"}),
    "frame replaced": (replace_frame, {"index_clip", "evaluate_clip", "collect_psnr"}),
    "frame replaced by an older file": (replace_frame_by_older, {"index_clip", "evaluate_clip", "collect_psnr"}),
}


HARMLESS = [  # to all of which nothing runs again
    edit_code("deepsr/networks/srcnn.py", "64, 9", "32, 9"),
    edit_code("deepsr/drafts/recurrent.py", "BLOCK = 32", "BLOCK = 16"),
    edit_code("deepsr/train/losses/charbonnier.py", "1e-6", "1e-5"),
    edit_code("deepsr/evaluate/metrics.py", "import cv2", "# a comment\nimport cv2"),
    edit_code("deepsr/drafts/ensemble.py", '"""SR drafts', '"""The SR drafts'),
    edit_code("scripts/index_clip.py", "with job", "# a comment\nwith job"),
    touch("scripts/*.py"),
    touch("deepsr/**/*.py"),
    touch("rules/*.smk"),
    touch("tests/clips/*/*.png"),
]


def test_edits_that_change_no_result_rerun_nothing(finished, copy_of):
    copy = copy_of(finished)
    for change in HARMLESS:
        change(copy)
    assert rules(copy) == set()


@pytest.mark.slow
def test_frames_replaced_by_older_files_are_noticed_once(finished, copy_of):
    copy = copy_of(finished)
    replace_frame_by_older(copy)
    copy.run("results/psnr.csv")
    assert (copy.path / "results/psnr.csv").read_bytes() != (finished.path / "results/psnr.csv").read_bytes()
    assert copy.planned("results/psnr.csv") == {}


@pytest.mark.slow
def test_frames_may_be_called_as_people_like(finished, copy_of):
    copy = copy_of(finished)
    for i, path in enumerate(sorted((copy.path / "tests/clips/tower").iterdir())):
        path.rename(path.with_name(f"fr{{{i}}} 100% $(x) ü' \".png"))
    assert copy.planned("results/psnr.csv") == {"index_clip": 1, "evaluate_clip": 3, "collect_psnr": 1}
    copy.run("results/psnr.csv")
    assert (copy.path / "results/psnr.csv").read_bytes() == (finished.path / "results/psnr.csv").read_bytes()


@pytest.mark.slow
def test_a_video_replaced_by_an_older_file_is_noticed_once(project):
    video, plan = project.path / "videos/holiday.avi", "results/videos/holiday.json"
    video.parent.mkdir()
    for clip in ("harbour", "tower"):
        source = ["-i", str(ROOT / f"tests/clips/{clip}/%02d.png")]
        subprocess.run(["ffmpeg", "-v", "error", "-y", *source, "-c:v", "mpeg4", str(video)], check=True)
        os.utime(video, (10**9, 10**9))
        assert project.planned(plan) == {"plan_video": 1}
        project.run(plan)
        assert project.planned(plan) == {}


@pytest.mark.slow
def test_a_video_is_enlarged_and_a_gpu_that_is_not_there_is_missed(finished, copy_of):
    """By the network that is there: a GPU, had or not, is no reason to train again."""
    copy = copy_of(finished)
    shutil.copytree(ROOT / "tests/clips/tower", copy.path / "videos/tower")
    copy.config |= {"gpus": 1, "videos": {"parts": 2}}
    target = "results/videos/tower_x4.mp4"
    assert copy.planned(target) == {"plan_video": 1, "upscale_part": 2, "join_parts": 1}
    plan = copy.run("-n", "--quiet", "host", "--", target).stdout
    assert len(re.findall(r"^rule upscale_part:\n(?:    .*\n)*    resources: .*gpu=1,", plan, re.M)) == 2
    copy.run(target)
    with av.open(str(copy.path / target)) as video:
        sizes = [(frame.width, frame.height) for frame in video.decode(video=0)]
    height, width = cv2.imread(str(ROOT / "tests/clips/tower/00.png")).shape[:2]
    assert sizes == [(4 * width, 4 * height)] * len(list((ROOT / "tests/clips/tower").iterdir()))
    log = (copy.path / "results/logs/upscale_part/tower_x4/0.mp4.log").read_text()
    assert "A GPU was asked for, but the CPU computes: onnxruntime finds none" in log


@pytest.mark.parametrize(
    "keys, value, words",
    mostly_slow([
        (("experiments", "single", "start"), "deepsrr", "start is deepsrr, neither an experiment nor a file; did you mean"),
        (("experiments", "single", "start"), "gone.keras", "experiments.single.start is gone.keras, neither"),
        (("experiments", "single", "start"), "single", "experiments.single.start goes in a circle (single from single)"),
        (("datasets", "tiny", "lr"), "gone", "gone/harbour: there is no such folder"),
    ]),
)  # fmt: skip
def test_what_is_missing_is_named_when_there_are_results_too(finished, copy_of, keys, value, words):
    """Snakemake would take what an earlier run made for source files, and have nothing to do."""
    copy = copy_of(finished)
    edit_config(*keys, value=value)(copy)
    done = copy.run("-n", check=False)
    assert done.returncode and words in done.stdout and "Traceback" not in done.stdout


@pytest.mark.slow
def test_a_link_to_a_frame_that_is_gone_is_named(finished, copy_of):
    copy = copy_of(finished)
    frame = copy.path / "tests/clips/tower/03.png"
    frame.unlink()
    frame.symlink_to("gone.png")
    done = copy.run("-n", check=False)
    assert done.returncode and "tests/clips/tower/03.png: is no file, or a link" in done.stdout


@pytest.mark.parametrize(
    "target", mostly_slow(["experiments/nope/model.keras", "clips/nope/tower.json", "lr/nope_x4/tower.csv"])
)
def test_names_that_nobody_knows(finished, target):
    done = finished.run("-n", f"results/{target}", check=False)
    assert done.returncode and "Traceback" not in done.stdout and f"No rule to produce results/{target}" in done.stdout


@pytest.mark.slow
def test_deleted_pictures_are_made_again_for_the_report(finished, copy_of):
    copy = copy_of(finished)
    shutil.rmtree(copy.path / "results/experiments/single/tiny/tower")
    (copy.path / "results/report.html").unlink()
    assert {"evaluate_clip", "make_report"} <= set(copy.planned("results/report.html"))


@pytest.mark.slow
def test_results_without_snakemakes_record_are_told(finished, copy_of):
    copy = copy_of(finished)
    shutil.rmtree(copy.path / ".snakemake")
    assert "but not .snakemake/, which records" in copy.run("-n").stdout


ALWAYS = ("epochs", "evaluation", "draft code", "script, older", "folder swapped")


@pytest.mark.parametrize("edit", mostly_slow(sorted(EDITS, key=lambda edit: edit not in ALWAYS), len(ALWAYS)))
def test_an_edit_reruns_what_depends_on_it(finished, copy_of, edit):
    change, expected = EDITS[edit]
    copy = copy_of(finished)
    change(copy)
    assert rules(copy) == expected


@pytest.mark.slow
def test_plot_style_redraws_the_figures_only(finished, copy_of):
    copy = copy_of(finished)
    copy.config["figures"] = {"dpi": 60}
    planned = set(copy.planned()) - {"all"}
    assert planned
    assert all(rule.startswith(DRAWN) for rule in planned)


@pytest.mark.parametrize(
    "change",
    [
        edit_code("deepsr/drafts/motion.py", "np.ones_like(total)", "2 * np.ones_like(total)"),
        edit_config("experiments", "mine", value={"drafts": {"kind": "recurrent"}, "training": {"loss": "mse"}}),
    ],
    ids=["file of a draft kind", "experiment of another kind"],
)
def test_a_draft_kind_concerns_only_the_experiments_that_use_it(finished, copy_of, change):
    copy = copy_of(finished)
    change(copy)
    assert copy.planned("results/psnr.csv") == dict.fromkeys(["make_drafts", *TRAINED], 1)


def test_a_clip_added_runs_its_jobs_and_the_table(finished, copy_of):
    copy = copy_of(finished)
    shutil.copytree(copy.path / "tests/clips/tower", copy.path / "tests/clips/bridge")
    copy.config["datasets"]["tiny"]["test"] = ["tower", "bridge"]
    jobs = {rule: number for rule, number in copy.planned("results/psnr.csv").items()}
    assert jobs == {"index_clip": 1, "evaluate_clip": 3, "collect_psnr": 1}
    copy.config["datasets"]["tiny"]["test"] = ["tower"]
    copy.config["datasets"]["tiny"]["train"] = ["harbour", "bridge"]
    jobs = copy.planned("results/psnr.csv")
    # The clips that were there keep their patches and drafts.
    assert (jobs["index_clip"], jobs["choose_patches"], jobs["make_drafts"], jobs["train_network"]) == (1, 1, 3, 3)


@pytest.mark.slow
def test_an_experiment_added_computes_nothing_twice(finished, copy_of):
    copy = copy_of(finished)
    copy.config["experiments"]["longer"] = {"drafts": {"kind": "bicubic"}, "training": {"epochs": 3}}
    assert copy.planned("results/psnr.csv") == {
        "train_network": 1,
        "export_network": 1,
        "evaluate_clip": 1,
        "collect_psnr": 1,
    }


@pytest.mark.slow
def test_a_data_set_added_scores_the_trained_network(finished, copy_of):
    copy = copy_of(finished)
    shutil.copytree(copy.path / "tests/clips/tower", copy.path / "mine/my clip ü")
    copy.config["datasets"]["mine"] = {"source": "folder", "path": "mine"}
    copy.config["experiments"]["single"]["score"] = ["tiny", "mine"]
    assert copy.planned("results/psnr.csv") == {"index_clip": 1, "evaluate_clip": 1, "collect_psnr": 1}
    copy.run("results/psnr.csv")
    table = pd.read_csv(copy.path / "results/psnr.csv").set_index(["experiment", "dataset", "sequence"])
    mine = table.loc[("single", "mine", "my clip ü")]
    assert mine["psnr_deepsr"] == table.loc[("single", "tiny", "tower")]["psnr_deepsr"]


def test_a_trained_network_is_scored_from_its_file_alone(finished, copy_of):
    copy = copy_of(finished)
    shutil.copy(copy.path / "results/experiments/deepsr/model.onnx", copy.path / "bought.onnx")
    copy.config["experiments"]["bought"] = {"model": "bought.onnx"}
    copy.config["defaults"] |= {"scale": 2, "network": "srcnn"}  # of what is trained
    for trained in ("article", "deepsr", "single"):
        copy.config["experiments"][trained] |= {"scale": 4, "network": "deepsr"}
    assert copy.planned("results/psnr.csv") == {"evaluate_clip": 1, "collect_psnr": 1}
    copy.run("results/psnr.csv")
    table = pd.read_csv(copy.path / "results/psnr.csv").set_index(["experiment", "sequence"])
    columns = ["scale", "trained_on", "drafts", "network", "psnr_bicubic", "psnr_deepsr", "ssim_deepsr"]
    assert table.loc["bought"][columns].equals(table.loc["deepsr"][columns])
    assert not (copy.path / "results/experiments/bought/model.onnx").exists()


@pytest.fixture
def bought(finished, copy_of):
    """A project that has no other network than one in a file, and scores the clip on which it was trained."""
    copy = copy_of(finished)
    shutil.copy(copy.path / "results/experiments/deepsr/model.onnx", copy.path / "bought.onnx")
    copy.config["datasets"]["tiny"]["test"] = ["harbour"]
    copy.config["experiments"] = {"bought": {"model": "bought.onnx", "allow_overlap": True}}
    return copy


def test_a_trained_network_is_not_scored_on_what_it_was_trained_on(bought):
    planned = bought.planned()
    assert not {"train_network", "export_network"} & set(planned)
    # The speeds are those of other experiments, although the table, an input, is made anew, too.
    assert planned["measure_speed"] == 1
    del bought.config["experiments"]["bought"]["allow_overlap"]
    done = bought.run("results/psnr.csv", check=False)
    assert done.returncode and "experiments.bought scores tiny/harbour, on whose frames its network" in done.stdout
    bought.config["datasets"]["tiny"]["frames"] = 5  # is a part of what it has seen
    done = bought.run("results/psnr.csv", check=False)
    assert done.returncode and "experiments.bought scores tiny/harbour, on whose frames its network" in done.stdout


@pytest.mark.slow
def test_a_trained_network_has_all_figures_but_those_of_a_training(bought):
    bought.run()
    assert not (bought.path / "results/experiments/bought/model.onnx").exists()


@pytest.mark.slow
def test_starting_from_another_experiment(finished, copy_of):
    copy = copy_of(finished)
    copy.config["experiments"]["more"] = {"drafts": {"kind": "bicubic"}, "start": "single", "training": {"epochs": 0}}
    copy.run("results/psnr.csv")
    gain = pd.read_csv(copy.path / "results/psnr.csv").groupby("experiment")["psnr_deepsr"].first()
    assert gain["more"] == gain["single"]


@pytest.mark.parametrize(
    "edit, words",
    mostly_slow([
        (edit_config("defaults", "training", "learning_rat", value=0.1), "learning_rat is not a known key; did you mean"),
        (edit_config("defaults", "training", "learning_rate", value="1e-4"), "write numbers as 1.0e-4"),
        (edit_config("defaults", "scale", value=5), "defaults.scale is 5; it must be one of 2, 3, 4"),
        (edit_config("datasets", "tiny", "test", value=["castle"]), "names the clip 'castle', which is not there"),
        (edit_config("datasets", "tiny", "path", value="nowhere"), "there is no folder nowhere"),
        (edit_config("datasets", "tiny", "test", value=["harbour"]), "trains on and scores harbour"),
        (edit_config("experiments", "single", "score", value=["other"]), "names the data set 'other'"),
        (edit_config("experiments", "../evil", value={}), "may only hold letters, digits"),
    ], 2),
)  # fmt: skip
def test_bad_config_is_one_sentence(project, edit, words):
    edit(project)
    done = project.run("-n", check=False)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("Error: ") and words in last, done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_an_experiment_given_twice(project):
    project.command()
    text = (project.path / "config.yaml").read_text()
    (project.path / "config.yaml").write_text(text.replace("  single:", "  article:"))
    arguments = project.command("-n")
    (project.path / "config.yaml").write_text(text.replace("  single:", "  article:"))
    done = project.execute(arguments)
    assert done.returncode
    assert "'article' stands twice" in done.stdout


def empty_clip(project):
    for image in (project.path / "tests/clips/tower").glob("*.png"):
        image.unlink()


def short_clip(project):
    for image in sorted((project.path / "tests/clips/harbour").glob("*.png"))[2:]:
        image.unlink()


def truncated_frame(project):
    image = project.path / "tests/clips/tower/03.png"
    image.write_bytes(image.read_bytes()[:2000])


def other_size(project):
    import cv2

    path = str(project.path / "tests/clips/tower/03.png")
    cv2.imwrite(path, cv2.imread(path)[:50])


def no_network(project):
    project.config["datasets"]["tiny"] = {"source": "demo"}


BAD_FILES = {
    empty_clip: "tower: holds no frames",
    short_clip: "validation_frames is 2, which leaves no frame to train on in tiny/harbour, which has 2",
    truncated_frame: "tower/03.png: cannot be decoded, the file is truncated or damaged",
    other_size: "tower/03.png: is 122x50 but the clip's first frame is 122x98",
    edit_config("defaults", "patches", "size", value=200): "patches.size: 200 is larger than the frames (120x96)",
    no_network: "pip could not fetch",
}


@pytest.mark.parametrize("spoil", mostly_slow(BAD_FILES))
def test_bad_input_is_one_sentence(project, spoil):
    spoil(project)
    # An address where nothing listens stands for a machine without a network.
    network = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", "PIP_RETRIES": "0"}
    done = project.run("results/psnr.csv", check=False, **network)
    assert done.returncode
    assert BAD_FILES[spoil] in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project.path / "results/psnr.csv").exists()


@pytest.mark.parametrize("config", mostly_slow(SHIPPED, 2), ids=str)
def test_shipped_configs_can_be_planned(tmp_path, config):
    project = Project(tmp_path / "project")
    done = project.execute([*project.command("-n"), "results/psnr.csv", "--configfile", str(ROOT / config)])
    assert done.returncode == 0, done.stdout
    assert "collect_psnr" in done.stdout


@pytest.mark.slow
def test_a_demo_video_that_is_there_is_never_planned_to_be_fetched(tmp_path):
    """Snakemake would delete it before the job that fetches it."""
    project = Project(tmp_path / "project")
    command = [*project.command("-n")[:3], "results/clips/demo/street.json", "-n", "--cores", "1", "--forceall"]
    assert "fetch_demo" in project.execute(command).stdout
    (project.path / "data/demo").mkdir(parents=True)
    (project.path / "data/demo/bikes.mp4").write_bytes(b"another video")
    assert "fetch_demo" not in project.execute(command).stdout
    done = project.execute([word for word in command if word != "-n"])
    assert "data/demo/bikes.mp4: its sha256 is not 91028f9d" in done.stdout and "delete it" in done.stdout


def test_config_readme_lists_the_keys_of_the_schema():
    assert describe.describe() == (ROOT / "config/README.md").read_text(), "run: python -m config.describe"


def test_scripts_read_the_config_through_params_only():
    for script in (ROOT / "scripts").glob("*.py"):
        assert "snakemake.config" not in script.read_text(), f"{script} would go stale when the config is edited"

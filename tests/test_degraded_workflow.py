"""Chains of degradations through the workflow's plan: which clips are degraded how, and once only."""

import re

import cv2
from conftest import jobs

SINGLE = {"drafts": {"kind": "bicubic"}}
CODEC = {"codec": "h264", "crf": 28}


def plan(project):
    """What a dry run says."""
    return project.run("results/psnr.csv", "-n", "--quiet", "host").stdout


def degraded(output):
    """The LR clips that a dry run plans to make: {folder/dataset/clip}."""
    return set(re.findall(r"output: results/degraded/(\S+)\.zip", output))


def test_clips_are_degraded_once_for_all_experiments(project):
    """Experiments that train and score alike share the LR clips; a data set's own chain goes before the experiment's."""
    project.config["experiments"] = {
        "one": {**SINGLE, "degradation": ["blur", {"noise": 5}]},
        "two": {**SINGLE, "degradation": ["blur", {"noise": 5}], "training": {"epochs": 1}, "score": ["tiny", "coded"]},
    }
    project.config["datasets"]["coded"] = {**project.config["datasets"]["tiny"], "degradation": ["bicubic", CODEC]}
    output = plan(project)
    found = sorted(re.sub(r"_\w{8}/", "/", name) for name in degraded(output))
    assert found == [
        "x4_bicubic-codec-h264-crf-28/coded/tower",
        "x4_blur-noise-5/tiny/harbour",
        "x4_blur-noise-5/tiny/tower",
    ]
    assert jobs(output)["make_drafts"] == 1


def test_a_training_clip_draws_and_a_test_clip_does_not(project):
    project.config["experiments"] = {"one": {**SINGLE, "degradation": ["bicubic", {"noise": [0.0, 50.0]}]}}
    first = degraded(plan(project))
    project.config["seed"] = 2
    second = degraded(plan(project))
    (test,) = first & second
    assert test.startswith("x4_bicubic-noise-25_0_") and test.endswith("/tower")
    assert all(name.endswith("/harbour") for name in first ^ second) and len(first ^ second) == 2


def test_plain_degradations_make_no_files(project):
    project.config["experiments"]["single"]["degradation"] = ["blur"]
    assert "degrade_clip" not in project.planned("results/psnr.csv")


def test_given_lr_frames_stay_as_they_are(project):
    """Only how they are enlarged can be chosen."""
    folder = project.path / "lr"
    for clip in ("harbour", "tower"):
        (folder / clip).mkdir(parents=True)
        for frame in (project.path / "tests/clips" / clip).iterdir():
            shrunk = cv2.resize(cv2.imread(str(frame)), (122 // 4, 98 // 4))
            cv2.imwrite(str(folder / clip / frame.name), shrunk)
    tiny = project.config["datasets"]["tiny"]
    tiny["lr"] = "lr"
    project.config["experiments"] = {"one": {**SINGLE, "degradation": ["cv2", CODEC]}}
    assert "degrade_clip" not in project.planned("results/psnr.csv")
    tiny["degradation"] = ["bicubic", CODEC]
    done = project.run("-n", "results/psnr.csv", check=False)
    assert (
        done.returncode
        and "config: datasets.tiny has LR frames of its own, lr, and a degradation; remove one." in done.stdout
    )


def test_training_clips_of_several_data_sets_are_put_together(project):
    tiny = project.config["datasets"]["tiny"]
    project.config["datasets"]["coded"] = {**tiny, "test": [], "degradation": ["bicubic", CODEC]}
    project.config["experiments"] = {"plain": SINGLE, "both": {**SINGLE, "train": ["tiny", "coded"]}}
    planned = plan(project)
    found = [re.sub(r"_\w{8}/", "/", name) for name in degraded(planned)]
    assert found == ["x4_bicubic-codec-h264-crf-28/coded/harbour"]
    shards = re.findall(r"results/drafts/(\w+)/x4_[\w-]+/harbour.npz", planned[planned.index("rule train_network") :])
    assert {"tiny", "coded"} == set(shards) and jobs(planned)["make_drafts"] == 2

"""The networks that are shipped: their cards say what is true, and a video needs no training."""

import re

import onnx
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from deepsr.files import sha256
from deepsr.networks.model_file import experiment_of
from deepsr.settings import load_yaml
from models.make import FOOTAGE, footage

NAMES = ["fast_x2", "fast_x3", "fast_x4", "deepsr_x4"]


def front(name):
    """What stands for programs at the top of a card."""
    return yaml.safe_load((ROOT / f"models/{name}.md").read_text().split("---\n")[1])


def test_every_network_has_a_card_and_a_row():
    assert sorted(NAMES) == sorted(load_yaml(ROOT / "config/models.yaml")["experiments"])
    for ending in ("onnx", "md"):
        assert {path.stem for path in (ROOT / "models").glob(f"*.{ending}")} - {"README"} == set(NAMES)
    page = (ROOT / "models/README.md").read_text()
    assert all(f"`{name}.onnx`" in page and f"({name}.md)" in page for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_of_its_file_and_of_footage_that_may_be_used(name):
    path, card = ROOT / f"models/{name}.onnx", front(name)
    model = experiment_of(path)
    assert card["sha256"] == sha256(path) and path.stat().st_size < 2e6
    assert (model["network"], model["scale"]) == tuple(name.split("_x")[:1]) + (int(name[-1]),)
    assert (card["network"], card["scale"]) == (model["network"], model["scale"])
    assert re.fullmatch("[0-9a-f]{40}", card["commit"])
    text = (ROOT / f"models/{name}.md").read_text()
    assert model["clips"] and all(f"- {line}\n" in text for line in footage(model["clips"]))
    for clip, (bicubic, network) in card["psnr"].items():
        assert f"| {' | '.join(clip.split('/'))} | {bicubic:.2f} | {network:.2f} |" in text
        assert network > bicubic, f"{name} is worse than bicubic on {clip}"


def test_only_footage_with_a_licence_is_known():
    assert all("CC" in line for line in FOOTAGE.values())
    with pytest.raises(KeyError):
        footage(["open/bicycle"])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_video_is_enlarged_without_a_training(project, scale):
    (project.path / "videos").mkdir()
    (project.path / "videos/holiday").symlink_to(project.path / "tests/clips/tower")
    done = project.execute(
        [
            *project.command(f"results/videos/holiday_x{scale}.mp4", "-n", "--quiet", "host")[:3],
            f"results/videos/holiday_x{scale}.mp4",
            "-n",
            "--cores",
            "1",
            "--quiet",
            "host",
        ]
    )
    assert done.returncode == 0, done.stdout
    assert f"models/fast_x{scale}.onnx" in done.stdout
    assert not re.search("train_network|make_drafts|fetch", done.stdout)


def test_a_video_and_a_network_that_cannot_be_used_are_refused_while_planning(project):
    model = onnx.load(ROOT / "models/fast_x4.onnx")
    next(entry for entry in model.metadata_props if entry.key == "drafts").value = '{"kind": "ghost"}'
    onnx.save(model, project.path / "foreign.onnx")
    (project.path / "videos").mkdir()
    (project.path / "videos/holiday").symlink_to(project.path / "tests/clips/tower")
    project.config["videos"] = {"experiments": ["foreign.onnx"]}
    done = project.run("results/videos/holiday_x4.mp4", "-n", check=False)
    assert done.returncode and re.search("^Error: .*there is no .*drafts/ghost.py", done.stdout, re.M)
    assert "Traceback" not in done.stdout
    project.config["videos"] = {"folder": 300 * "a"}
    done = project.run("results/videos/holiday_x4.mp4", "-n", check=False)
    assert done.returncode and re.search("^Error: a+: cannot be read .File name too long", done.stdout, re.M)
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_the_files_reach_what_their_cards_say(project):
    """On one of the clips; it is fetched as a run of config/models.yaml fetches it."""
    config = load_yaml(ROOT / "config/models.yaml")
    sets = {name: {**keys, "train": [], "test": ["bicycle"]} for name, keys in config["datasets"].items() if keys["test"]}
    project.config = {
        "seed": config["seed"],
        "datasets": sets,
        "experiments": {name: {"model": f"models/{name}.onnx", "score": list(sets)} for name in NAMES},
    }
    project.run("results/psnr.csv")
    table = pd.read_csv(project.path / "results/psnr.csv").set_index(["experiment", "dataset", "sequence"])
    for name in NAMES:
        for dataset in sets:
            row = table.loc[name, dataset, "bicycle"]
            expected = front(name)["psnr"][f"{dataset}/bicycle"]
            assert [row["psnr_bicubic"], row["psnr_deepsr"]] == pytest.approx(expected, abs=0.006 + 0.01)


def test_a_file_is_portable(tmp_path):
    for name in NAMES:
        onnx.checker.check_model(onnx.load(ROOT / f"models/{name}.onnx"), full_check=True)

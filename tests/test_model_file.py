"""A trained network's file takes the place of a training: what it says, and what is refused."""

import json

import numpy as np
import onnx
import pytest
from chains import chain_model
from test_settings import SCHEMA, config

from deepsr.errors import InputError
from deepsr.networks.model_file import experiment_of
from deepsr.networks.onnx_export import to_onnx
from deepsr.settings import complete

DRAFTS = {"kind": "motion", "settings": [{"flow": "dis", "alpha": 20.0, "radius": 1, "trust": 12.0, "iterations": 2}]}
FACTS = {"network": "deepsr", "scale": "3", "drafts": json.dumps(DRAFTS), "shrinking": "blur", "train": "open"}
FACTS["clips"] = json.dumps({"open/city": "0" * 64})
LAYERS = [("conv", np.ones((3, 3, 2, 1)), np.zeros(1), "linear")]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "bought.onnx"
    onnx.save(to_onnx(chain_model(LAYERS), FACTS), path)
    return str(path)


def test_the_file_tells_what_an_experiment_needs(model):
    assert experiment_of(model) == {
        "model": model,
        "network": "deepsr",
        "scale": 3,
        "drafts": DRAFTS,
        "degradation": "blur",
        "train": [],
        "trained_on": "open",
        "clips": {"open/city": "0" * 64},
    }


def test_an_experiment_takes_what_the_file_tells_and_of_the_defaults_only_how_to_score(model):
    asked = config(model=model, evaluation={"border": 3})
    asked["defaults"] = {"scale": 2, "network": "srcnn", "train": "gone", "evaluation": {"skip_frames": 1, "border": 5}}
    found = complete(asked, SCHEMA)["experiments"]["mine"]
    assert (found["scale"], found["network"], found["drafts"], found["train"]) == (3, "deepsr", DRAFTS, [])
    assert (
        (found["evaluation"]["border"], found["evaluation"]["skip_frames"]) == (3, 1)
        and found["degradation"] == "blur"
        and found["model"] == model
    )
    asked["defaults"]["degradation"] = "bicubic"
    assert complete(asked, SCHEMA)["experiments"]["mine"]["degradation"] == "bicubic"


@pytest.mark.parametrize("own", [{"scale": 4}, {"training": {"epochs": 3}}, {"drafts": {"kind": "bicubic"}}, {"seeds": [1]}])
def test_an_experiment_may_not_say_itself_what_the_file_decides(model, own):
    with pytest.raises(InputError, match=rf"experiments.mine.{next(iter(own))}: .*bought.onnx is trained.*or model"):
        complete(config(model=model, **own), SCHEMA)


def test_a_trained_network_is_neither_a_default_nor_a_start(model):
    with pytest.raises(InputError, match="defaults.model: .*name it there"):
        complete(config() | {"defaults": {"model": model}}, SCHEMA)
    for first in ("bought", "mine"):  # whichever stands first in the config
        both = {"bought": {"model": model}, "mine": {"start": "bought", "scale": 3}}
        asked = config() | {"experiments": {first: both[first], **both}}
        with pytest.raises(InputError, match="experiments.mine.start: bought is no training but a file"):
            complete(asked, SCHEMA)


def test_a_file_that_does_not_tell_its_clips_is_refused(tmp_path):
    path = tmp_path / "old.onnx"
    onnx.save(to_onnx(chain_model(LAYERS), {key: value for key, value in FACTS.items() if key != "clips"}), path)
    with pytest.raises(InputError, match="old.onnx: does not tell its drafts and clips .'clips'"):
        experiment_of(path)
    with pytest.raises(InputError, match="gone.onnx: no such file"):
        experiment_of(tmp_path / "gone.onnx")


@pytest.mark.parametrize(
    "facts, said",
    [
        ({"drafts": json.dumps({"kind": 5})}, "kind 5"),
        ({"drafts": "[1]"}, "does not tell its drafts"),
        ({"drafts": "{}"}, "does not tell its drafts and clips .'kind'"),
        ({"scale": "7"}, "scale 7"),
        ({"shrinking": "noise"}, "scale 3, noise"),
        ({"clips": "{}"}, "does not tell its drafts and clips .no clips"),
        ({"clips": "[1]"}, "does not tell its drafts and clips"),
    ],
)
def test_what_is_not_known_here_is_refused(tmp_path, facts, said):
    path = tmp_path / "foreign.onnx"
    onnx.save(to_onnx(chain_model(LAYERS), FACTS | facts), path)
    with pytest.raises(InputError, match=said):
        experiment_of(path)

"""A trained network as an .onnx file: its metadata, and the experiment that scores it instead of training a network."""

import json
from pathlib import Path

from deepsr.data.degradation import SHRINKING
from deepsr.errors import InputError

ROOT = Path(__file__).parents[2]
REMEDY = "correct the path, delete it and run again, or give the .onnx file of a network trained by this workflow"
# The keys that an experiment with a trained network may have; the file decides the others.
ALLOWED = {"model", "score", "evaluation", "degradation", "allow_overlap"}


def load_network(path):
    """(onnx.ModelProto, its metadata {name: text}) of an .onnx file that `onnx_export.to_onnx` made.

    Raises InputError if the file is missing, damaged, changed since it was written, or not such a network.
    """
    import numpy as np  # here and below, since planning reads such a file only if the config names one
    import onnx

    from deepsr.networks.onnx_export import DIGEST, digest

    try:
        model = onnx.load(path, load_external_data=False)
        facts = {entry.key: entry.value for entry in model.metadata_props}
        if facts.get(DIGEST) != digest(model):
            raise ValueError("its layers or weights are not those that were written")
        if not all(np.isfinite(onnx.numpy_helper.to_array(tensor)).all() for tensor in model.graph.initializer):
            raise InputError(f"{path}: has weights that are not finite numbers; train the network again.")
        return model, facts
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {REMEDY}.") from None
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail in any way that protobuf, onnx and numpy know
        raise InputError(f"{path}: damaged, or not a network that can be used here ({error}); {REMEDY}.") from error


def experiment_of(path):
    """The settings of an experiment that a trained network's file decides.

    path: of the .onnx file. A relative path that leads nowhere is looked up in the folder of the workflow. The keys: model
    (the path that was found), network, scale, drafts, degradation (what made LR frames small), train (empty, since it is
    trained on no data set of this config), trained_on (names of data sets) and clips ({"data set/clip": sha256 of the
    frames}). Raises InputError as `load_network` does, if the metadata lack one of these or have
    a scale or degradation that is not known here.
    """
    found = Path(path).expanduser()
    if not found.is_file() and (ROOT / found).is_file():
        found = ROOT / found
    _, facts = load_network(found)
    try:
        experiment = {
            "model": str(found),
            "network": facts["network"],
            "scale": int(facts["scale"]),
            "drafts": json.loads(facts["drafts"]),
            "degradation": facts["shrinking"],
            "train": [],
            "trained_on": facts["train"],
            "clips": dict(json.loads(facts["clips"])),
        }
        kind, scale, degradation = experiment["drafts"]["kind"], experiment["scale"], experiment["degradation"]
        if not isinstance(kind, str) or scale not in (2, 3, 4) or degradation not in SHRINKING:
            raise ValueError(f"scale {scale}, {degradation}, drafts of kind {kind}")
        if not experiment["clips"]:
            raise ValueError("no clips")
        return experiment
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{found}: does not tell its drafts and clips ({error}); {REMEDY}.") from error


def with_model(name, experiment, defaults):
    """The defaults for an experiment with a trained network, which hold what its file decides, and its other own keys.

    Raises InputError as `experiment_of` does, and if the experiment has a key that the file decides.
    """
    if wrong := sorted(set(experiment) - ALLOWED):
        raise InputError(
            f"config: experiments.{name}.{wrong[0]}: {experiment['model']} is trained, and tells network, scale and "
            f"drafts; take {' and '.join(wrong)} out, or model."
        )
    kept = {key: value for key, value in defaults.items() if key in ALLOWED - {"model"}}
    own = {key: value for key, value in experiment.items() if key != "model"}
    return experiment_of(experiment["model"]) | kept, own

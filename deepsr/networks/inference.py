"""Applies the network of an .onnx file to the drafts of a frame."""

import math
from functools import partial

import numpy as np
import onnx
from onnx import numpy_helper

from deepsr.errors import InputError
from deepsr.networks import chain_tiles, tiles
from deepsr.networks.onnx_export import DIGEST, digest

# Optional: name of a network -> the class that applies it faster than the general one of `deepsr.networks.tiles`.
PREDICTORS = {"deepsr": chain_tiles.Predictor, "srcnn": chain_tiles.Predictor}


def open_predictor(path, threads=1, gpu=False):
    """The predictor of an .onnx file that `onnx_export.to_onnx` made: the network's own one, or else the general one.

    Arguments and attributes: see `deepsr.networks.tiles.Predictor`. The file's metadata name the network.
    Raises InputError if the file is missing, damaged or not such a network.
    """
    remedy = "delete it and run again, or give the .onnx file of a network trained by this workflow"
    try:
        model = onnx.load(path, load_external_data=False)
        facts = {entry.key: entry.value for entry in model.metadata_props}
        if facts.get(DIGEST) != digest(model):
            raise ValueError("its layers or weights are not those that were written")
        if not all(np.isfinite(numpy_helper.to_array(tensor)).all() for tensor in model.graph.initializer):
            raise InputError(f"{path}: has weights that are not finite numbers; train the network again.")
        predictor = PREDICTORS.get(facts.get("network"), tiles.Predictor)
        return predictor(model, threads, gpu)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}.") from None
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail in any way that protobuf, onnx and numpy know
        raise InputError(f"{path}: damaged, or not a network that can be used here ({error}); {remedy}.") from error


def frame_predictor(path, threads=1, gpu=False):
    """A function from the drafts of a frame to the enlarged frame, as `predict_frame`, by the network of an .onnx file.

    Arguments and errors: see `open_predictor`.
    """
    return partial(predict_frame, open_predictor(path, threads, gpu))


def predict_frame(predictor, drafts, pad=8):
    """The enlarged frame, float32 (H, W) in [0, 1], of `drafts`, uint8 (n_drafts, H, W).

    The network takes what lies beyond the border for black, which darkens the frame's edge: here it sees the
    frame's mirror image for `pad` pixels, rounded up to what the network's grid asks for.
    """
    height, width = drafts.shape[1:]
    pad = math.ceil(pad / predictor.grid) * predictor.grid
    mirrored = np.pad(drafts, [(0, 0), (pad, pad), (pad, pad)], mode="symmetric")
    return predictor(mirrored)[pad : pad + height, pad : pad + width].clip(0, 1)

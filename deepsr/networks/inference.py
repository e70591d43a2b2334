"""Applies the network of an .onnx file to the drafts of a frame."""

import math
from functools import partial

import numpy as np

from deepsr.errors import InputError
from deepsr.networks import chain_tiles, tiles
from deepsr.networks.model_file import REMEDY, load_network

# Networks that another class applies faster than the general one of `deepsr.networks.tiles`.
PREDICTORS = {"deepsr": chain_tiles.Predictor, "srcnn": chain_tiles.Predictor}


def open_predictor(path, threads=1, gpu=False):
    """The predictor for an .onnx file that `onnx_export.to_onnx` made. The file's metadata name the network.

    Arguments and attributes: see `deepsr.networks.tiles.Predictor`.
    Raises InputError if the file is missing, damaged or not such a network.
    """
    model, facts = load_network(path)
    try:
        return PREDICTORS.get(facts.get("network"), tiles.Predictor)(model, threads, gpu)
    except Exception as error:  # onnxruntime has kinds of its own
        raise InputError(f"{path}: damaged, or not a network that can be used here ({error}); {REMEDY}.") from error


def frame_predictor(path, threads=1, gpu=False):
    """A function from a frame's drafts to the enlarged frame: `predict_frame` by the network of an .onnx file.

    Arguments and errors: see `open_predictor`.
    """
    return partial(predict_frame, open_predictor(path, threads, gpu))


def predict_frame(predictor, drafts, pad=8):
    """The enlarged frame, float32 (H, W) in [0, 1], of `drafts`, uint8 (n_drafts, H, W).

    The network takes what lies beyond the border for black, which would darken the frame's edge. So it is given the frame's
    mirror image there, `pad` pixels wide, rounded up to a multiple of the network's grid.
    """
    height, width = drafts.shape[1:]
    pad = math.ceil(pad / predictor.grid) * predictor.grid
    mirrored = np.pad(drafts, [(0, 0), (pad, pad), (pad, pad)], mode="symmetric")
    return predictor(mirrored)[pad : pad + height, pad : pad + width].clip(0, 1)

"""Protocols of papers: the values that they give were computed by hand.

HR frames are grey 110 and given LR frames grey 100, so every enlargement is 100. In MATLAB's range these are
110 (16 + 219 * 110 / 255, rounded) and 102: an error of 8 of 255. In RGB it is one of 10. Around this middle lie a border
and two frames at each end that are white, which protocols do or do not leave out.
"""

import cv2
import numpy as np
import pandas as pd
import pytest
from test_settings import SCHEMA, config

from deepsr.evaluate.protocols import PROTOCOLS
from deepsr.settings import complete

GREY, WHITE, SIDE, FRAMES = 110, 255, 48, 7
LUMA_ERROR = 20 * np.log10(255 / 8)  # 30.07 dB
RGB_ERROR = 20 * np.log10(255 / 10)  # 28.13 dB


def protocol_of(evaluation):
    return {key: evaluation[key] for key in ("color_space", "border", "skip_frames")}


def evaluation(**keys):
    return protocol_of(complete(config(evaluation=keys), SCHEMA)["experiments"]["mine"]["evaluation"])


def test_a_protocol_stands_for_its_keys():
    for name, keys in PROTOCOLS.items():
        assert evaluation(protocol=name) == keys
    assert evaluation(protocol="sofvsr", border=4) == {"color_space": "y_matlab", "border": 4, "skip_frames": 2}
    assert evaluation() == {"color_space": "y", "border": 0, "skip_frames": 0}


def test_a_protocol_in_the_defaults_or_in_a_data_set():
    given = {**config(evaluation={"border": 3}), "defaults": {"evaluation": {"protocol": "sofvsr"}}}
    given["datasets"]["demo"]["evaluation"] = {"protocol": "reds"}
    whole = complete(given, SCHEMA)
    found = protocol_of(whole["experiments"]["mine"]["evaluation"])
    assert found == {"color_space": "y_matlab", "border": 3, "skip_frames": 2}
    assert whole["datasets"]["demo"]["evaluation"] == PROTOCOLS["reds"]
    assert "evaluation" not in complete(config(), SCHEMA)["datasets"]["demo"]


def write(folder, frames):
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{i:04d}.png"), frame)


def picture(side, grey):
    return np.full((side, side, 3), grey, np.uint8)


@pytest.mark.slow
def test_tables_hold_the_values_computed_by_hand(project):
    """From folders to the table: two layouts, three protocols, and a set that is not there."""
    bordered = picture(SIDE, WHITE)
    bordered[10:-10, 10:-10] = GREY
    middle = [picture(SIDE, WHITE) if i in (0, 1, 5, 6) else bordered for i in range(FRAMES)]
    sets, low = project.path / "sets", [picture(SIDE // 4, 100)] * FRAMES
    write(sets / "Vid4/GT/city", [picture(SIDE, GREY)] * FRAMES)
    write(sets / "Vid4/BIx4/city", low)
    write(sets / "udm10/000/truth", [*middle, picture(SIDE, WHITE)])
    write(sets / "udm10/000/bicubic", [*low, low[0]])
    found = {"source": "benchmark", "path": "sets"}
    project.config["datasets"] |= {
        "vid4": {**found, "set": "vid4", "lr": "BIx4", "evaluation": {"protocol": "basicvsr"}},
        "rgb": {**found, "set": "vid4", "lr": "BIx4", "evaluation": {"protocol": "reds"}},
        "sofvsr": {**found, "set": "udm10", "lr": "bicubic", "frames": FRAMES, "evaluation": {"protocol": "sofvsr"}},
        "all": {**found, "set": "udm10", "lr": "bicubic", "frames": FRAMES, "evaluation": {"protocol": "basicvsr"}},
        "reds4": {**found, "set": "reds4"},
    }
    project.config["experiments"] = {"one": {"drafts": {"kind": "bicubic"}, "training": {"epochs": 0}}}
    project.config["experiments"]["one"]["score"] = ["vid4", "rgb", "sofvsr", "all", "reds4"]
    done = project.run("results/psnr.csv")
    assert "datasets.reds4 is left out, since sets has no folder reds4." in done.stdout
    table = pd.read_csv(project.path / "results/psnr.csv").set_index(["dataset", "sequence"])
    assert set(table.index) == {
        (d, s) for d, c in [("vid4", "city"), ("rgb", "city"), ("sofvsr", "000"), ("all", "000")] for s in (c, "mean")
    }
    bicubic, frames = table["psnr_bicubic"], table["frames"]
    assert bicubic["vid4", "city"] == pytest.approx(LUMA_ERROR, abs=1e-4) and frames["vid4", "city"] == 7
    assert bicubic["rgb", "city"] == pytest.approx(RGB_ERROR, abs=1e-4)
    assert bicubic["sofvsr", "000"] == pytest.approx(LUMA_ERROR, abs=1e-4) and frames["sofvsr", "000"] == 3
    share = 28 * 28 / SIDE**2  # of the grey middle in a frame; white is 235 in MATLAB's range, an error of 133
    part = 10 * np.log10(255**2 / (share * 8**2 + (1 - share) * 133**2))
    assert bicubic["all", "000"] == pytest.approx((3 * part + 4 * 20 * np.log10(255 / 133)) / 7, abs=1e-4)
    assert list(table.loc["sofvsr"]["border"]) == [10, 10] and list(table.loc["sofvsr"]["skip_frames"]) == [2, 2]
    assert list(table.loc["rgb"]["color_space"]) == ["rgb", "rgb"]
    scores = pd.read_csv(project.path / "results/experiments/one/sofvsr/000.csv")
    assert list(scores["frame"]) == [2, 3, 4]

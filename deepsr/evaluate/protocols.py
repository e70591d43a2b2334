"""How papers score their networks, by name: values for keys of `evaluation` (config/config.schema.yaml).

To add a protocol, add an entry.
"""

PROTOCOLS = {
    # Chan et al., BasicVSR, CVPR 2021: Vid4, UDM10, Vimeo-90K on luma, all frames, nothing cut off
    "basicvsr": {"color_space": "y_matlab", "border": 0, "skip_frames": 0},
    # the same and Wang et al., EDVR, CVPR Workshops 2019: REDS4, and the official REDS validation set
    "reds": {"color_space": "rgb", "border": 0, "skip_frames": 0},
    # Wang et al., SOF-VSR, IEEE TIP 2020 (TIP/evaluation.m of their code): Vid4 at x4, with `frames: 31` in the data set.
    "sofvsr": {"color_space": "y_matlab", "border": 10, "skip_frames": 2},
}

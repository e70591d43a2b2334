"""How papers score their networks, by name: values for keys of `evaluation` (config/config.schema.yaml).

To add a protocol, add an entry.
"""

PROTOCOLS = {
    # Chan et al., BasicVSR, CVPR 2021: Vid4, UDM10, Vimeo-90K on luma, all frames, nothing cut off
    "basicvsr": {"color_space": "y_matlab", "border": 0, "skip_frames": 0},
    # the same and Wang et al., EDVR, CVPR Workshops 2019: REDS4, and the official REDS validation set
    "reds": {"color_space": "rgb", "border": 0, "skip_frames": 0},
    # Jo et al., DUF, CVPR 2018, and those that compare with it: without 8 pixels at the border and two frames at each end
    "duf": {"color_space": "y_matlab", "border": 8, "skip_frames": 2},
}

"""Published test sets, as plain data: what their folders are usually called."""

SETS = {  # name in the config: names of the set's folder, in small letters
    "vid4": ("vid4",),
    "spmcs": ("spmcs", "spmc"),
    "udm10": ("udm10",),
    "reds4": ("reds4",),
}
FRAMES = {"vid4": 171, "udm10": 320, "reds4": 400}  # of all clips together, as papers score them
# Of LR frames: the names of their folders, and how papers call the way in which the frames were made.
LR_FOLDERS = {"bix4": "BI", "bicubic": "BI", "sharp_bicubic": "BI", "bdx4": "BD", "blur4": "BD"}
HR_FOLDERS = ("gt", "truth", "original", "hr")  # of the ground truth, in small letters

"""Published test sets, as plain data: what their folders are usually called."""

SETS = {  # name in the config: names of the set's folder, in small letters
    "vid4": ("vid4",),
    "spmcs": ("spmcs", "spmc"),
    "udm10": ("udm10",),
    "reds4": ("reds4",),
}
HR_FOLDERS = ("gt", "truth", "original", "hr")  # of the ground truth, in small letters

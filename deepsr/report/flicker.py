"""Slices of a clip over time, in which flicker can be seen."""

from matplotlib.figure import Figure

from deepsr.report import style

SLICE_WIDTH = 400  # pixels in the middle of the row: as many as a page or a phone can show one by one


def plot_flicker(title, truth, bicubic, networks):
    """A row of pixels over time: the slices of the ground truth, bicubic and each network, one below the other.

    truth: slice (deepsr.evaluate.examples), uint8 (frames, W, 3) BGR; bicubic: {degradation: slice of bicubic's frames};
    networks: {experiment: (oracle, its slice)}.
    """
    slices = {"HR (ground truth)": (False, truth)}
    for degradation, picture in bicubic.items():
        slices["bicubic" if len(bicubic) == 1 else f"bicubic, LR frames: {degradation}"] = False, picture
    slices |= dict(sorted(networks.items(), key=lambda item: item[1][0]))  # honest ones first
    figure = Figure(figsize=(style.WIDTH, 0.3 + 0.95 * len(slices)), layout="constrained")
    parts = figure.subfigures(len(slices), 1)
    for part, (name, (oracle, picture)) in zip(parts, slices.items(), strict=True):
        part.set_facecolor(style.TINT if oracle else "white")
        axes = part.subplots()
        left = max(0, picture.shape[1] - SLICE_WIDTH) // 2
        axes.imshow(picture[:, left : left + SLICE_WIDTH, ::-1], aspect="auto", interpolation="nearest")
        axes.set_title(f"{name}: {style.ORACLE}" if oracle else name)
        axes.set(xticks=[], yticks=[0, len(picture) - 1], ylabel="frame")
    figure.suptitle(title, weight="bold", x=0.01, ha="left", fontsize=10)
    return figure

import numpy as np
import pandas as pd
import pytest

from deepsr.evaluate.metrics import COLOR_SPACES, METRICS, Metric
from deepsr.evaluate.table import read_psnr, with_means
from deepsr.report import bars, crops, curves, flicker, style
from deepsr.report.bootstrap import bootstrap_interval, compare
from deepsr.report.published import comparable, read_published
from deepsr.report.speed import plot_speed

PUBLISHED = read_published()


def row(experiment, sequence, psnr, bicubic=26.0, oracle=False, **others):
    facts = {
        "experiment": experiment,
        "run": experiment,
        "dataset": "demo",
        "scale": 4,
        "drafts": "gaussian (oracle)" if oracle else "motion",
        "sequence": sequence,
        "frames": 10,
        "psnr_bicubic": bicubic,
        "psnr_deepsr": psnr,
        "ssim_bicubic": 0.7,
        "ssim_deepsr": 0.8,
        "psnr_lanczos": bicubic + 0.1,
        "ssim_lanczos": 0.71,
        "network": "deepsr",
        "degradation": "cv2" if oracle else "bicubic",
        "color_space": "y",
        "border": 0,
        "skip_frames": 0,
        "trained_on": "demo",
        "infinite_frames": 0,
    }
    return facts | others


@pytest.fixture
def read(tmp_path):
    """A function that writes rows as results/psnr.csv is written, and reads them as figures do."""

    def read(rows):
        with_means(rows).to_csv(tmp_path / "psnr.csv", index=False, float_format="%.4f")
        return read_psnr(tmp_path / "psnr.csv")

    return read


@pytest.fixture
def table(read):
    rows = [row("article", "city", 36.5, oracle=True), row("article", "bike", 34.5, 25.0, oracle=True)]
    rows += [
        row("deepsr", "city", 27.0),
        row("deepsr", "bike", 26.5),
        row("single", "city", 26.25),
        row("single", "bike", 26.0),
    ]
    return read(rows)


def texts(part):
    return [text.get_text() for text in part.findobj(lambda artist: hasattr(artist, "get_text"))]


def joined(part):
    return "\n".join(texts(part))


def test_names_stay_text_and_the_last_row_of_a_group_is_the_mean(read):
    table = read([row("a", "011", 27.0), row("a", "012", 28.0), row("b", "NA", 27.0)])
    assert table["sequence"].tolist() == ["011", "012", "mean", "NA", "mean"]
    assert table["mean"].tolist() == [False, False, True, False, True]


def test_interval_of_equal_values_is_that_value():
    assert bootstrap_interval([np.full(20, 1.5)], seed=1) == pytest.approx((1.5, 1.5))


def test_interval_of_independent_values_agrees_with_theory():
    values = np.random.default_rng(0).normal(3, 1, 900)
    low, high = bootstrap_interval([values], seed=1)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 30, rel=0.25)


def test_interval_is_wider_when_neighbouring_frames_are_alike():
    noise = np.random.default_rng(0).normal(size=900)
    slow = np.convolve(noise, np.ones(15) / np.sqrt(15), "same")  # same variance, correlated
    (low, high), (slow_low, slow_high) = (bootstrap_interval([x], seed=1) for x in (noise, slow))
    assert slow_high - slow_low > 2 * (high - low)


def test_interval_is_seeded_and_leaves_out_frames_without_error():
    values = np.random.default_rng(0).normal(size=50)
    interval = bootstrap_interval([values], seed=1)
    assert interval == bootstrap_interval([[*values, np.inf, np.nan]], seed=1)
    assert interval != bootstrap_interval([values], seed=2)
    assert np.isnan(bootstrap_interval([[np.inf]], seed=1)).all()


def test_two_experiments_are_compared_over_clips():
    """By hand: clip means differ by 1, 2, ..., 6; the frames' own spread, alike in both, does not count."""
    noise = np.random.default_rng(0).normal(0, 50, (6, 40))
    found = compare([values + i for i, values in enumerate(noise, 1)], list(noise), seed=1)
    assert found["clips"] == 6 and found["difference"] == pytest.approx(3.5)
    error = np.std(range(1, 7)) / np.sqrt(6)  # of a mean of 6 draws
    assert found["low"] == pytest.approx(3.5 - 1.96 * error, abs=0.15)
    assert found["high"] == pytest.approx(3.5 + 1.96 * error, abs=0.15)
    assert found == compare([values + i for i, values in enumerate(noise, 1)], list(noise), seed=1)


def test_a_long_clip_counts_as_much_as_a_short_one():
    assert compare([np.ones(1), np.zeros(99)], [np.zeros(1), np.zeros(99)], seed=1)["difference"] == 0.5


def test_few_clips_have_a_difference_and_no_interval():
    few, enough = (compare([[2.0, 3.0]] * n, [[1.0, 1.0]] * n, seed=1) for n in (5, 6))
    assert few["difference"] == enough["difference"] == 1.5
    assert np.isnan([few["low"], few["high"]]).all() and (enough["low"], enough["high"]) == (1.5, 1.5)


def test_frames_without_error_do_not_count_in_a_comparison():
    found = compare([[np.inf, 3.0], [np.inf]], [[np.inf, 1.0], [5.0]], seed=1)
    assert (found["clips"], found["difference"]) == (1, 2.0)
    assert np.isnan(compare([[np.inf]], [[1.0]], seed=1)["difference"])


def test_crops_are_taken_where_the_gain_is_largest_and_least():
    hr = np.random.default_rng(0).integers(60, 200, (80, 120, 3), np.uint8)
    bicubic, deepsr = hr + np.uint8(10), hr + np.uint8(10)
    deepsr[0:16, 100:116] = hr[0:16, 100:116] + np.uint8(2)
    deepsr[60:76, 8:24] = hr[60:76, 8:24] + np.uint8(30)
    assert crops.crop_window(hr, bicubic, deepsr, 16) == (0, 100, 16, 16)
    assert crops.crop_window(hr, bicubic, deepsr, 16, worst=True) == (60, 8, 16, 16)


def test_flat_areas_are_no_place_for_a_crop():
    hr = np.full((40, 80, 3), 100, np.uint8)
    bicubic, deepsr = hr.copy(), hr.copy()
    bicubic[:, 40:] += 20
    deepsr[:, 40:] += 10
    deepsr[:, :8] += 1  # infinitely worse than bicubic, and invisible
    _, left, _, _ = crops.crop_window(hr, bicubic, deepsr, 16, worst=True)
    assert left >= 25


def test_a_crop_larger_than_the_frame_is_the_frame():
    hr = np.zeros((24, 40, 3), np.uint8)
    assert crops.crop_window(hr, hr, hr, 96) == (0, 0, 24, 40)
    assert crops.crop_window(hr, hr, hr, 32) == (0, 0, 24, 32)


def test_bars_name_every_value_and_gain_and_set_the_oracle_apart(table):
    honest, oracle = bars.plot_metric(table, "psnr", PUBLISHED).subfigs
    assert style.ORACLE in joined(oracle)
    assert "oracle" not in joined(honest).lower()
    assert {" 26.00", " 27.00  +1.00", " 26.25  +0.25", " 26.75  +0.75"} <= set(texts(honest))
    assert " 36.50  +10.50" in texts(oracle)
    assert {"deepsr", "single"} <= set(texts(honest))
    assert "article" in texts(oracle)
    assert "article" not in texts(honest)
    assert [bool(bar.get_hatch()) for bar in honest.axes[0].patches] == [False] * 9
    assert [bool(bar.get_hatch()) for bar in oracle.axes[0].patches] == [False, True] * 3
    assert [bar.get_width() for bar in honest.axes[0].patches] == [26, 27, 26.25, 26, 26.5, 26, 26, 26.75, 26.125]


def test_experiments_with_other_bicubic_frames_do_not_stand_together(read):
    figure = bars.plot_metric(read([row("x4", "city", 27.0), row("x2", "city", 33.0, 31.0, scale=2)]), "psnr", PUBLISHED)
    assert [part.get_suptitle() for part in figure.subfigs] == [
        "demo, x4, bicubic degradation",
        "demo, x2, bicubic degradation",
    ]


def test_any_metric_has_bars_in_its_own_format(read, monkeypatch):
    monkeypatch.setitem(METRICS, "mae", Metric("MAE", None, "grey levels", ".1f", "lower"))
    table = read([row("deepsr", "city", 27.0, mae_bicubic=9.0, mae_deepsr=7.5, mae_lanczos=8)])
    figure = bars.plot_metric(table, "mae", PUBLISHED)
    assert {" 9.0", " 7.5  -1.5"} <= set(texts(figure))
    assert figure.subfigs[0].axes[0].get_xlabel().startswith("MAE in grey levels (lower is better)")
    figure = bars.plot_metric(table, "ssim", PUBLISHED)
    assert {" 0.7000", " 0.8000  +0.1000"} <= set(texts(figure))
    assert figure.subfigs[0].axes[0].get_xlabel().startswith("SSIM (higher is better)")


@pytest.mark.parametrize(
    "changed, title",
    [
        ({"degradation": "given (cv2)"}, "demo, x4, LR frames given (cv2)"),
        ({"color_space": "rgb", "border": 4}, "demo, x4, bicubic degradation, RGB, border 4 cut off"),
        ({"skip_frames": 2}, "demo, x4, bicubic degradation, 2 frames at each end left out"),
    ],
)
def test_a_panel_tells_how_its_rows_were_scored(read, changed, title):
    figure = bars.plot_metric(read([row("deepsr", "city", 27.0, **changed)]), "psnr", PUBLISHED)
    assert figure.subfigs[0].get_suptitle() == title


def test_long_titles_have_lines_that_fit_into_the_figure(read):
    longest = {"dataset": "vid4_sofvsr", "color_space": "y_matlab", "border": 10, "skip_frames": 2}
    table = read([row("deepsr", "calendar", 25.0, **longest), row("article", "calendar", 25.0, oracle=True, **longest)])
    figure = bars.plot_metric(table, "psnr", PUBLISHED)
    figure.draw_without_rendering()
    for part in figure.subfigs:
        assert "2 frames at each end left out" in " ".join(part.get_suptitle().split())
        assert part._suptitle.get_window_extent().x1 < figure.bbox.x1


def test_gain_shows_the_interval_of_each_clip(table):
    rows = table[~table["mean"]]
    scores = {
        (r.experiment, r.dataset, r.sequence): pd.DataFrame({"psnr_bicubic": [20.0] * 9, "psnr_deepsr": 20 + r.gain})
        for r in rows.itertuples()
    }
    honest, oracle = bars.plot_gain(table, scores, seed=1).subfigs
    assert "+1.00  [+1.00, +1.00]" in texts(honest)
    assert "+0.75  [+0.75, +0.75]" in texts(honest)  # the mean of +1.0 and +0.5
    assert "+10.50  [+10.50, +10.50]" in texts(oracle)
    assert style.ORACLE in joined(oracle)
    left, right = honest.axes[0].get_xlim()
    assert left < 0 < 1.0 < right < 5


def test_several_seeds_have_error_bars(read):
    rows = [row("deepsr", "city", 27.0), row("deepsr", "city", 27.5, run="deepsr_seed2"), row("single", "city", 26.5)]
    table = read(rows)
    scores = {
        (name, "demo", "city"): pd.DataFrame({"psnr_bicubic": [26.0] * 4, "psnr_deepsr": 26.5})
        for name in ("deepsr", "single")
    }
    gain = bars.plot_gain(table, scores, seed=1).subfigs[0].axes[0]
    psnr = bars.plot_metric(table, "psnr", PUBLISHED).subfigs[0].axes[0]
    std = np.sqrt(0.125)
    for axes, middle in ((gain, 1.25), (psnr, 27.25)):
        spreads = [group.get_segments()[0][:, 0] for group in axes.collections if len(group.get_segments()[0]) == 2]
        found = [ends for ends in spreads if ends[1] - ends[0] > 0.5]
        assert len(found) == 2  # deepsr on its clip and on the mean; single has one seed
        assert found[0] == pytest.approx([middle - std, middle + std], abs=1e-4)
    assert any(text.endswith("+1.25 ± 0.354") for text in texts(psnr)) and any("± 0.354" in text for text in texts(gain))


def test_a_clip_without_error_is_said_and_breaks_nothing(read, tmp_path):
    table = read([row("deepsr", "flat", np.inf, np.inf), row("deepsr", "city", 27.0)])
    scores = {("deepsr", "demo", "flat"): pd.DataFrame({"frame": range(3), "psnr_bicubic": np.inf, "psnr_deepsr": np.inf})}
    scores["deepsr", "demo", "city"] = pd.DataFrame({"frame": range(3), "psnr_bicubic": 26.0, "psnr_deepsr": 27.0})
    per_clip, gain = bars.plot_metric(table, "psnr", PUBLISHED), bars.plot_gain(table, scores, 1)
    assert " no error" in texts(per_clip)
    assert " no error" in texts(gain)
    along = curves.plot_frames(table, scores)
    for n, figure in enumerate((per_clip, gain, along)):
        style.save(figure, tmp_path / f"{n}.png", tmp_path / f"{n}.svg", 50)


def test_a_score_that_is_not_a_number_has_no_bar(read):
    table = read([row("deepsr", "tiny", 27.0, ssim_bicubic=np.nan, ssim_deepsr=np.nan)])
    figure = bars.plot_metric(table, "ssim", PUBLISHED)
    assert texts(figure).count(" no value") == 4 and " no error" not in texts(figure)
    assert [bar.get_width() for bar in figure.subfigs[0].axes[0].patches] == [0, 0, 0, 0]


def test_frames_draws_the_scores_of_each_clip(table):
    def scores(r):
        return pd.DataFrame({"frame": range(5), "psnr_bicubic": r.psnr_bicubic, "psnr_deepsr": r.psnr_deepsr + np.arange(5)})

    rows = table[~table["mean"]]
    figure = curves.plot_frames(table, {(r.experiment, r.dataset, r.sequence): scores(r) for r in rows.itertuples()})
    honest, oracle = figure.subfigs
    assert [axes.get_title(loc="left") for axes in honest.axes] == ["city", "bike"]
    bicubic, deepsr, single = honest.axes[0].lines
    assert bicubic.get_ydata().tolist() == [26.0] * 5
    assert deepsr.get_ydata().tolist() == [27.0, 28.0, 29.0, 30.0, 31.0]
    assert single.get_ydata()[0] == 26.25
    assert {"bicubic", "deepsr", "single"} <= set(texts(honest))
    assert "article" in texts(oracle)


def test_names_at_line_ends_do_not_cover_each_other():
    axes = style.Figure().subplots()
    axes.set_ylim(0, 10)
    style.label_ends(axes, [(5.0, "a", "k"), (5.01, "b", "k"), (5.02, "c", "k"), (np.inf, "d", "k")])
    places = [text.xy[1] for text in axes.texts]
    assert len(places) == 3
    assert np.diff(places).min() > 1


def test_crops_show_the_same_window_and_its_psnr():
    hr = np.random.default_rng(0).integers(60, 200, (48, 64, 3), np.uint8)
    pictures = {"hr": hr, "bicubic": hr + np.uint8(4), "deepsr": hr + np.uint8(1), "lr": hr[::4, ::4]}
    example = {"frame": 7, "psnr_bicubic": 36.09, "psnr_deepsr": 48.13, **pictures}
    figure = crops.plot_crops("deepsr, demo/city", False, {"best": example, "worst": example}, 16)
    assert "48.13 dB of Y here" in texts(figure)  # an error of 1 in 255
    assert "36.09 dB of Y here" in texts(figure)
    assert style.ORACLE not in joined(figure)
    assert style.ORACLE in joined(crops.plot_crops("article", True, {"best": example, "worst": example}, 16))
    assert ["largest" in part.get_suptitle() for part in figure.subfigs] == [True, False]
    shown = {axes.get_title(): axes.images[0].get_array() for axes in figure.subfigs[0].axes if axes.images}
    np.testing.assert_array_equal(shown["HR (ground truth)"] + 1, shown["DeepSR"])
    np.testing.assert_array_equal(shown["error of DeepSR"], np.ones((16, 16)))


def test_training_marks_the_start_and_what_was_kept():
    history = pd.DataFrame({"step": [0, 50, 100], "loss": [np.nan, 0.01, 0.02], "val_psnr": [24.0, 24.5, 24.25]})
    figure = curves.plot_training({"article": (True, history), "deepsr": (False, history)})
    honest, oracle = figure.subfigs
    assert honest.get_suptitle() == "deepsr, kept: step 50, 24.50 dB"
    assert style.ORACLE in oracle.get_suptitle()
    loss, validation = honest.axes
    assert loss.lines[0].get_xydata().tolist() == [[50, 0.01], [100, 0.02]]
    assert validation.lines[0].get_xydata().tolist() == [[0, 24.0], [50, 24.5], [100, 24.25]]
    assert validation.lines[1].get_ydata()[0] == 24.0
    assert validation.lines[2].get_xydata().tolist() == [[50, 24.5]]


def test_a_network_that_was_not_trained_has_a_figure_too(tmp_path):
    history = pd.DataFrame({"step": [0], "loss": [np.nan], "val_psnr": [24.0]})
    figure = curves.plot_training({"deepsr": (False, history)})
    assert "not trained" in joined(figure)
    style.save(figure, tmp_path / "a.png", tmp_path / "a.svg", 50)


def test_degradations_stand_in_the_order_of_the_data_sets_and_show_means(read):
    rows = [row("a", "city", 26.0, dataset="clean"), row("a", "bike", 27.0, dataset="clean")]
    rows += [
        row("b", "city", 25.5, dataset="clean"),
        row("a", "city", 25.25, dataset="crf"),
        row("a", "city", 24.0, dataset="mp"),
    ]
    figure = curves.plot_degradations(read(rows))
    first, second = figure.axes[0].lines[:2]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["clean", "crf", "mp"]
    base = row("a", "city", 0.0)["psnr_bicubic"]
    assert first.get_ydata().tolist() == [26.5 - base, 25.25 - base, 24 - base]
    assert second.get_ydata()[0] == 25.5 - base and np.isnan(second.get_ydata()[1:]).all()
    assert {"a", "b"} <= set(texts(figure))  # each line is named, also if it ends early


def test_sweep_is_drawn_in_order_of_sigma(read):
    sigmas = {"c": 2.0, "a": 0.5, "b": 1.0}
    table = read(
        [row(name, "city", 26.0 + 10 / s, oracle=True) for name, s in sigmas.items()] + [row("deepsr", "city", 27.0)]
    )
    figure = curves.plot_sweep(table, sigmas)
    assert style.ORACLE in joined(figure)
    city, mean = figure.axes[0].lines[:2]
    assert city.get_xydata().tolist() == mean.get_xydata().tolist() == [[0.5, 20], [1, 10], [2, 5]]


def test_equal_figures_are_equal_files(table, tmp_path):
    for name in "ab":
        style.save(bars.plot_metric(table, "psnr", PUBLISHED), tmp_path / f"{name}.png", tmp_path / f"{name}.svg", 50)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "<dc:date>" not in (tmp_path / "a.svg").read_text()


def test_names_are_no_formulas(read, tmp_path):
    figure = bars.plot_metric(read([row("deepsr", r"$\frac{1$ <&>", 27.0)]), "psnr", PUBLISHED)
    style.save(figure, tmp_path / "a.png", tmp_path / "a.svg", 50)
    assert (tmp_path / "a.svg").stat().st_size > 1000


def test_many_experiments_look_different(read):
    table = read([row(f"e{n}", "city", 27.0) for n in range(40)])
    assert len(set(style.looks(table).values())) == 40


def test_slices_over_time_stand_below_each_other_with_the_oracle_last():
    truth, bicubic, other = np.random.default_rng(0).integers(0, 256, (3, 5, 500, 3), np.uint8)
    networks = {"article": (True, truth), "deepsr": (False, other)}
    figure = flicker.plot_flicker("demo/city", truth, {"bicubic": bicubic}, networks)
    titles = [part.axes[0].get_title(loc="left") for part in figure.subfigs]
    assert titles == ["HR (ground truth)", "bicubic", "deepsr", f"article: {style.ORACLE}"]
    for part, picture in zip(figure.subfigs, (truth, bicubic, other, truth), strict=True):
        np.testing.assert_array_equal(part.axes[0].images[0].get_array(), picture[:, 50:450, ::-1])  # RGB, the middle
    assert figure.get_suptitle() == "demo/city"
    narrow = flicker.plot_flicker("demo/city", truth[:, :30], {"bicubic": bicubic[:, :30]}, {})
    assert narrow.subfigs[0].axes[0].images[0].get_array().shape == (5, 30, 3)
    two = flicker.plot_flicker("demo/city", truth, {"bicubic": bicubic, "blur": other}, {})
    assert [part.axes[0].get_title(loc="left") for part in two.subfigs[1:]] == [
        "bicubic, LR frames: bicubic",
        "bicubic, LR frames: blur",
    ]


def test_a_metric_of_one_data_set_has_no_panel_of_another(read):
    """tOF is scored where the data set's `evaluation` says temporal."""
    rows = [row("deepsr", "city", 27.0, tof_bicubic=0.5, tof_deepsr=0.25), row("deepsr", "000", 28.0, dataset="reds")]
    figure = bars.plot_metric(read(rows), "tof", PUBLISHED)
    assert [part.get_suptitle() for part in figure.subfigs] == ["demo, x4, bicubic degradation"]


def test_speed_is_drawn_for_the_data_set_that_was_timed(read):
    rows = [row("deepsr", "city", 27.0), row("single", "city", 26.5), row("article", "city", 36.0, oracle=True)]
    table = read([*rows, row("deepsr", "000", 28.0, dataset="reds")])
    speed = pd.DataFrame({"experiment": ["deepsr", "single", "article"], "dataset": "demo", "seconds": [0.5, 0.25, 0.4]})
    honest, oracle = plot_speed(table, speed.assign(width=480, height=272, threads=2)).subfigs
    assert [line.get_xydata().tolist() for line in honest.axes[0].lines] == [[[0.5, 1.0]], [[0.25, 0.5]]]
    assert [line.get_xydata().tolist() for line in oracle.axes[0].lines] == [[[0.4, 10.0]]]
    assert {"deepsr", "single"} <= set(texts(honest)) and "article" not in texts(honest)
    assert honest.axes[0].get_xlabel() == "seconds per frame of 480x272, 2 threads"


VID4 = {"dataset": "vid4", "color_space": "y_matlab", "frames": 171}


def test_published_scores_are_marks_beside_the_same_data_set_and_protocol(read):
    leak = {**VID4, "oracle": True}
    table = read([row("deepsr", "calendar", 25.0, bicubic=23.5, **VID4), row("article", "calendar", 33.0, **leak)])
    table["degradation"] = "bicubic"
    honest, oracle = bars.plot_metric(table, "psnr", PUBLISHED).subfigs
    marks = {line.get_xdata()[0] for line in honest.axes[0].lines}
    assert {23.78, 27.24} <= marks and 26.69 not in marks  # BD, as FRVSR was scored, is another degradation
    assert " published, not measured here" in texts(honest) and "BasicVSR" in texts(honest) and "   27.24" in texts(honest)
    assert honest.axes[0].get_xlim()[1] > 27.39
    assert not oracle.axes[0].lines and "published" not in joined(oracle)
    ssims = bars.plot_metric(table, "ssim", PUBLISHED).subfigs[0]
    assert 0.8251 in {line.get_xdata()[0] for line in ssims.axes[0].lines}


@pytest.mark.parametrize(
    "changed",
    [
        *({"dataset": "demo"}, {"scale": 2}, {"degradation": "given (bicubic)"}),
        *({"color_space": "y"}, {"border": 8}, {"skip_frames": 2}, {"frames": 137}, {"dataset": "vid40"}),
    ],
)
def test_nothing_published_stands_beside_another_protocol(read, changed):
    panel = read([row("deepsr", "calendar", 25.0, **VID4)])
    assert "BasicVSR" in set(comparable(PUBLISHED, panel)["method"])
    assert comparable(PUBLISHED, panel.assign(**changed)).empty
    assert "published" not in joined(bars.plot_metric(panel.assign(**changed), "psnr", PUBLISHED))


def test_published_scores_stand_beside_given_frames_that_are_known_to_be_made_alike(read):
    panel = read([row("deepsr", "calendar", 25.0, **VID4)])
    methods = {
        degradation: set(comparable(PUBLISHED, panel.assign(degradation=degradation))["method"])
        for degradation in ("bicubic", "given as BI (bicubic)", "blur", "given as BD (blur)", "given as BI (cv2)")
    }
    assert "VESPCN" in methods["bicubic"] and "FRVSR" not in methods["bicubic"]
    assert methods["given as BI (bicubic)"] == methods["bicubic"]
    assert "FRVSR" in methods["blur"] and "VESPCN" not in methods["blur"]
    assert methods["given as BD (blur)"] == methods["blur"]
    assert not methods["given as BI (cv2)"]  # another bicubic frame to compare with


def test_a_published_score_of_the_first_frames_stands_beside_a_data_set_of_such(read):
    """As in config/benchmarks.yaml: 31 frames of each of the four clips, without two at each end."""
    whole = read([row("deepsr", "calendar", 25.0, **VID4)])
    assert "SOF-VSR" not in set(comparable(PUBLISHED, whole)["method"])
    first = whole.assign(border=10, skip_frames=2)
    assert comparable(PUBLISHED, first).empty
    assert list(comparable(PUBLISHED, first.assign(dataset="vid4_sofvsr", frames=108))["method"]) == ["SOF-VSR"]


def test_the_frames_of_all_clips_together_are_those_of_the_published_score(read):
    clips = {"calendar": 41, "city": 34, "foliage": 49, "walk": 47}
    table = read([row("deepsr", clip, 25.0, **VID4 | {"frames": frames}) for clip, frames in clips.items()])
    assert "BasicVSR" in set(comparable(PUBLISHED, table)["method"])
    assert comparable(PUBLISHED, read([row("deepsr", "city", 25.0, **VID4 | {"frames": 34})])).empty


def test_every_published_score_has_its_source_and_a_known_protocol():
    assert PUBLISHED["source"].str.contains(r"\d{4}").all()
    assert set(PUBLISHED["color_space"]) <= set(COLOR_SPACES) and set(PUBLISHED["degradation"]) <= {"BI", "BD"}
    whole = {("vid4", 0): 41 + 34 + 49 + 47, ("vid4", 2): 4 * (31 - 4), ("reds4", 0): 4 * 100, ("udm10", 0): 10 * 32}
    assert [whole[key] for key in zip(PUBLISHED["dataset"], PUBLISHED["skip_frames"], strict=True)] == list(
        PUBLISHED["frames"]
    )
    assert PUBLISHED["psnr"].between(20, 41).all() and PUBLISHED["ssim"].between(0.5, 1).all()
    assert not PUBLISHED.duplicated(["method", "dataset", "degradation"]).any()

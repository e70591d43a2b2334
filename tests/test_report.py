import base64
import getpass
import json
import re
import socket
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_figures import row

from deepsr.evaluate.metrics import COLOR_SPACES, METRICS, Metric
from deepsr.evaluate.table import read_psnr, with_means
from deepsr.files import sha256
from deepsr.report import page as report
from deepsr.report import provenance
from deepsr.report.published import read_published

NASTY = """b<b>'"&é 東"""
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Path of a report of two honest experiments and an oracle on two clips, one of them with an awkward name."""
    folder = tmp_path_factory.mktemp("report")
    rows = []
    for name, oracle, gains in (
        ("article", True, (10.5, 9.5)),
        ("deepsr", False, (1.25, -0.5)),
        ("single", False, (0.25, 10.0)),
    ):
        rows += [row(name, clip, 26.0 + gain, oracle=oracle) for clip, gain in zip(("city", NASTY), gains, strict=True)]
    with_means(rows).to_csv(folder / "psnr.csv", index=False, float_format="%.4f")
    table = read_psnr(folder / "psnr.csv")

    def picture(level):
        return np.full((200, 300, 3), level, np.uint8)

    example = {"frame": 3, "psnr_bicubic": 26.0, "psnr_deepsr": 27.0, "lr": picture(9)}
    example |= {"hr": picture(250), "bicubic": picture(20), "deepsr": picture(120)}
    clips = [(r["experiment"], "demo", r["sequence"]) for r in rows]
    for name in ("psnr", "frames", "speed"):
        (folder / f"{name}.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="600" height="200"></svg>')
    cv2.imwrite(str(folder / "crops.png"), np.zeros((700, 1100, 3), np.uint8))
    facts = {
        "written": "2030-01-01T00:00:00+00:00",
        "table_sha256": "ab" * 32,
        "git": {"commit": "cd" * 20, "clean": False},
        "machine": provenance.machine(),
        "packages": {f"package{n}": "1.0" for n in range(90)},
        "clips": {"demo": {NASTY: {"frames": 5, "width": 300, "height": 200, "sha256": "ef" * 32}}},
        "networks": {
            "deepsr": {
                "network": "deepsr",
                "parameters": 260979,
                "training_patches": 10000,
                "steps": 100,
                "val_psnr_start": 24.0,
                "val_psnr_kept": 24.5,
                "kept_step": 50,
            }
        },
        "models": {"shipped": {"file": "models/fast_x4.onnx", "sha256": "12" * 32}},
        "config": {"seed": 17, "experiments": {"deepsr": {"path": NASTY}}},
    }
    used = pd.DataFrame(
        [
            ("train_network", "deepsr", 521.0, 270.0, 928.4),
            ("plot_psnr", "", 0.5, 0.4, 120.0),
            ("train_network", "single", 9.0, 8.0, 900),
        ],
        columns=["rule", "job", "seconds", "cpu_seconds", "peak_mb"],
    )
    speed = pd.DataFrame({"experiment": ["deepsr", "single"], "dataset": "demo", "width": 300, "height": 200, "threads": 2})
    speed = speed.assign(multiply_adds=229233.0, seconds_drafts=[0.25, 0.001], seconds_network=0.5, seconds=[0.75, 0.501])
    text = report.render(
        table=table,
        scores={
            (r["experiment"], "demo", r["sequence"]): pd.DataFrame({"psnr_deepsr": [r["psnr_deepsr"]] * 3}) for r in rows
        },
        seed=1,
        speed=speed,
        published=read_published(),
        provenance=facts,
        used=used,
        charts=[folder / "psnr.svg", folder / "frames.svg", folder / "speed.svg"],
        crops=dict.fromkeys(clips, folder / "crops.png"),
        flicker={("demo", "city"): folder / "crops.png"},
        examples={clip: {"best": example, "worst": example} for clip in clips},
    )
    (folder / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def resize(driver, width, height=900):
    """As a phone of this width lays the page out; a window cannot be made that narrow."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


@pytest.fixture
def browser(chromium, page):
    """The report, freshly loaded."""
    resize(chromium, 1280)
    chromium.get_log("performance")
    chromium.get(page.as_uri())
    return chromium


def column(table, number):
    return [
        cells[number].text
        for cells in (tr.find_elements(By.TAG_NAME, "td") for tr in table.find_elements(By.CSS_SELECTOR, "tbody tr"))
    ]


def heading(table, title):
    names = [button.text for button in table.find_elements(By.CSS_SELECTOR, "th button")]
    number = names.index(title)
    return number, table.find_elements(By.TAG_NAME, "th")[number]


def pixel(driver, stage, x):
    """Grey level in the middle row of a stage at the share x of its width, as it is on the screen."""
    shot = cv2.imdecode(np.frombuffer(base64.b64decode(stage.screenshot_as_base64), np.uint8), cv2.IMREAD_GRAYSCALE)
    return int(shot[shot.shape[0] // 2, int(x * shot.shape[1])])


def test_it_loads_without_errors_and_asks_no_network(browser, page):
    assert browser.title == "DeepSR: results"
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in asked
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    assert browser.execute_script("return [...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_names_are_shown_as_they_are(browser, page):
    assert NASTY in browser.find_element(By.CSS_SELECTOR, "#results table").text
    assert NASTY in browser.find_element(By.CSS_SELECTOR, "#run").text
    assert "<b>'" not in page.read_text(encoding="utf-8")
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(page.read_text(encoding="utf-8"))
    assert sum(f"Bicubic, single / demo / {NASTY}, frame 3" == attributes.get("alt") for _, attributes in tags) == 2


def test_a_heading_sorts_by_number_up_and_down(browser):
    table = browser.find_element(By.CSS_SELECTOR, "#results table")
    number, cell = heading(table, "gain in dB")
    assert cell.get_attribute("aria-sort") is None
    cell.find_element(By.TAG_NAME, "button").click()
    # As text, +10.00 would come before +5.13, and -0.50 after both.
    assert column(table, number) == ["-0.50", "+0.25", "+0.38", "+1.25", "+5.12", "+10.00"]
    assert cell.get_attribute("aria-sort") == "ascending"
    cell.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert column(table, number)[0] == "+10.00"
    assert cell.get_attribute("aria-sort") == "descending"


def test_sorting_moves_whole_rows_and_only_one_heading_is_marked(browser):
    table = browser.find_element(By.CSS_SELECTOR, "#results table")
    for title in ("gain in dB", "clip"):
        heading(table, title)[1].find_element(By.TAG_NAME, "button").click()
    assert column(table, heading(table, "clip")[0]) == [NASTY, NASTY, "city", "city", "mean", "mean"]
    assert set(zip(column(table, 0), column(table, 1), column(table, 2), strict=True)) >= {
        ("deepsr", NASTY, "-0.50"),
        ("single", NASTY, "+10.00"),
    }
    assert len(table.find_elements(By.CSS_SELECTOR, "th[aria-sort]")) == 1


def test_the_divider_follows_keys_and_mouse(browser):
    slider = browser.find_element(By.CSS_SELECTOR, ".slider")
    stage, handle = slider.find_element(By.CSS_SELECTOR, ".stage"), slider.find_element(By.CSS_SELECTOR, "input[type=range]")
    assert pixel(browser, stage, 0.3) == pytest.approx(20, abs=3)  # bicubic on the left
    assert pixel(browser, stage, 0.7) == pytest.approx(120, abs=3)  # DeepSR on the right
    handle.send_keys(Keys.END)
    assert pixel(browser, stage, 0.7) == pytest.approx(20, abs=3)
    handle.send_keys(Keys.HOME)
    assert pixel(browser, stage, 0.3) == pytest.approx(120, abs=3)
    mouse = webdriver.ActionChains(browser).move_to_element_with_offset(stage, 0, 40).click_and_hold()
    mouse.move_to_element_with_offset(stage, int(0.4 * stage.size["width"]), 40).release().perform()
    assert int(handle.get_attribute("value")) == pytest.approx(90, abs=2)
    assert pixel(browser, stage, 0.7) == pytest.approx(20, abs=3)


def test_the_divider_follows_a_finger(browser):
    resize(browser, 390)
    stage = browser.find_element(By.CSS_SELECTOR, ".stage")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    box = browser.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return [b.x, b.y, b.width, b.height]", stage
    )
    for kind, share in (("touchStart", 0.5), ("touchMove", 0.65), ("touchMove", 0.8), ("touchEnd", None)):
        points = [] if share is None else [{"x": box[0] + share * box[2], "y": box[1] + box[3] / 2}]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    value = browser.find_element(By.CSS_SELECTOR, ".slider input[type=range]").get_attribute("value")
    assert int(value) == pytest.approx(80, abs=2)


def test_the_ground_truth_can_be_put_on_the_left(browser):
    slider = browser.find_element(By.CSS_SELECTOR, ".slider")
    stage = slider.find_element(By.CSS_SELECTOR, ".stage")
    slider.find_element(By.CSS_SELECTOR, "input[value=hr]").click()
    assert pixel(browser, stage, 0.3) == pytest.approx(250, abs=3)
    assert slider.find_element(By.CSS_SELECTOR, "span.is-hr").is_displayed()
    assert not slider.find_element(By.CSS_SELECTOR, "span.is-bicubic").is_displayed()
    other = browser.find_elements(By.CSS_SELECTOR, ".slider")[1]
    assert other.get_attribute("data-left") == "bicubic"


def test_it_fits_a_phone(browser):
    resize(browser, 390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    wide = """return [...document.body.querySelectorAll("*")].filter(e => !e.closest(".scroll, pre, .stage") &&
              e.getBoundingClientRect().right > 390.5).map(e => e.outerHTML.slice(0, 80))"""
    assert browser.execute_script(wide) == []
    sizes = """return [...document.querySelectorAll("p, td, figcaption, button, dd")].map(
               e => parseFloat(getComputedStyle(e).fontSize))"""
    assert min(browser.execute_script(sizes)) >= 12


def test_the_oracle_is_apart_and_named(browser):
    honest, oracle = (browser.find_element(By.ID, name) for name in ("results", "oracle"))
    assert set(column(honest.find_element(By.TAG_NAME, "table"), 0)) == {"deepsr", "single"}
    assert set(column(oracle.find_element(By.TAG_NAME, "table"), 0)) == {"article"}
    assert "article" not in honest.text
    assert "uses the ground truth" in oracle.text
    for caption in oracle.find_elements(By.CSS_SELECTOR, "figcaption"):
        assert "oracle" in caption.text
    grounds = [
        browser.execute_script("return getComputedStyle(arguments[0]).backgroundColor", part) for part in (honest, oracle)
    ]
    assert grounds[0] != grounds[1]


def test_every_clip_is_shown_at_its_best_and_worst(browser):
    captions = [figure.text for figure in browser.find_elements(By.CSS_SELECTOR, ".slider figcaption")]
    assert len(captions) == 12
    assert sum("largest gain" in text for text in captions) == sum("least gain" in text for text in captions) == 6


def test_the_two_best_experiments_are_compared(browser):
    """single gains 5.125 dB on the mean, deepsr 0.375."""
    sentences = [part.text for part in browser.find_elements(By.TAG_NAME, "p")]
    on = "On demo, x4, bicubic degradation, single"
    expected = f"{on} is better than the next, deepsr, by 4.75 dB on the same frames; 2 clips are too few"
    assert [text for text in sentences if text.startswith(expected)]
    assert not [text for text in sentences if "article is better" in text]
    assert [text for text in sentences if text.startswith(f"{on} gains most of the experiments")]


def test_what_is_not_for_the_first_look_is_behind_a_heading(browser):
    for details in browser.find_elements(By.TAG_NAME, "details"):
        heading = details.find_element(By.TAG_NAME, "summary")
        figure = details.find_element(By.CSS_SELECTOR, "figure, table")
        assert heading.is_displayed() and not figure.is_displayed()
        heading.click()
        assert figure.is_displayed()
    rows = [row.text for row in browser.find_elements(By.TAG_NAME, "tr")]
    y = COLOR_SPACES["y_matlab"]
    assert any(text.startswith(f"BasicVSR vid4 x4, BI {y} 171 27.24 0.8251 6.3M Vimeo-90K Chan et al.") for text in rows)
    left_out = f"{y}, border 10 cut off, 2 frames at each end left out"
    assert any(text.startswith(f"SOF-VSR vid4 x4, BI {left_out} 108 26.00 0.772 ") for text in rows)
    assert "deepsr 0.750 0.250 0.500 229,233 300x200" in rows


def test_what_was_run_is_told(browser):
    run, cost = (browser.find_element(By.ID, name).text for name in ("run", "cost"))
    assert "cd" * 20 + ", with changes that are not committed" in run
    assert "260,979" in run
    assert f"shipped models/fast_x4.onnx {'12' * 32}" in run
    assert "ef" * 32 in run
    assert "seed: 17" in run
    assert "The jobs took 8 min 50 s in all" in cost  # 521 + 9 + 0.5 s
    assert re.search(r"train_network 2 8 min 50 s 8 min 41 s 928 MB", cost)
    assert re.search(r"plot_psnr 1 0.5 s 0.5 s 120 MB", cost)


def test_the_printed_page_hides_what_cannot_be_pressed(browser):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not browser.find_element(By.CSS_SELECTOR, ".slider input[type=range]").is_displayed()
        assert not browser.find_element(By.TAG_NAME, "nav").is_displayed()
        assert browser.find_element(By.CSS_SELECTOR, ".stage").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_infinite_and_missing_numbers_have_a_place_in_the_order():
    flat = {**row("a", "flat", np.inf, np.inf), "gain": np.nan, "mean": True, "scored_as": "Y"}
    columns = report.columns(pd.DataFrame([flat]))
    mean, cells = report._cells(flat, columns)
    shown = dict(zip(columns, cells, strict=True))
    assert mean is True
    assert shown["psnr_deepsr"] == ("∞", "Infinity")
    assert shown["gain"] == ("–", "")
    assert shown["frames"] == ("10", "10.0")


def test_any_metric_has_columns(monkeypatch):
    monkeypatch.setitem(METRICS, "mae", Metric("MAE", None, "", ".3f", "lower"))
    table = pd.DataFrame([{**row("a", "city", 27.0), "mae_deepsr": 1.0, "scored_as": "Y"}])
    found = report.columns(table)
    assert found["mae_deepsr"] == ("MAE DeepSR", ".3f") and "mae_lanczos" not in found
    assert list(found)[2:8] == ["gain", *(f"{m}_{x}" for m, x in [
        ("psnr", "bicubic"), ("psnr", "deepsr"), ("psnr", "lanczos"), ("ssim", "bicubic"), ("ssim", "deepsr")])]  # fmt: skip


def test_with_several_data_sets_theirs_is_the_second_column():
    one = pd.DataFrame([row("a", "city", 27.0)]).assign(scored_as="Y")
    assert list(report.columns(one))[:3] == ["experiment", "sequence", "gain"] and "scored_as" not in report.columns(one)
    several = report.columns(pd.concat([one, one.assign(dataset="reds", scored_as="RGB")]))
    assert list(several)[:4] == ["experiment", "dataset", "sequence", "gain"] and list(several)[-1] == "scored_as"


def test_the_best_is_told_of_each_panel():
    """An experiment on blurred frames is not better than one on bicubic frames of the same clips, nor worse."""
    rows = [row("bi", "city", 27.0), row("bd", "city", 28.0, degradation="blur"), row("other", "city", 26.5)]
    table = pd.DataFrame(rows).assign(
        oracle=False, mean=True, gain=lambda scores: scores["psnr_deepsr"] - scores["psnr_bicubic"]
    )
    found = [(best["experiment"], best["title"], best["alone"]) for best in report._best(table)]
    assert found == [("bi", "demo, x4, bicubic degradation", False), ("bd", "demo, x4, blur degradation", True)]


def test_durations():
    assert [report.duration(s) for s in (0.04, 59.94, 60, 521, 7380)] == [
        "0.0 s",
        "59.9 s",
        "1 min 0 s",
        "8 min 41 s",
        "2 h 3 min",
    ]


def test_what_jobs_used_is_read_from_the_ends_of_their_logs(tmp_path):
    end = "12:00:01 took {} s, used {} s of CPU and at most {} MB of memory\n"
    logs = {
        "evaluate/a/clip.1": "12:00:00 a clip\n" + end.format(2.5, 4.5, 100),
        "collect": end.format(0.1, 0.2, 50),
        "train": "12:00:00 killed\n",
        "export": end.format(1.0, 1.0, 1) + "12:00:02 and then it failed\n",
    }
    for name, text in logs.items():
        path = tmp_path / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "slurm.log").write_bytes(b"\xff\n")
    used = report.read_usage(tmp_path)
    assert used.values.tolist() == [["collect", "", 0.1, 0.2, 50.0], ["evaluate", "a/clip.1", 2.5, 4.5, 100.0]]
    assert list(used) == ["rule", "job", "seconds", "cpu_seconds", "peak_mb"]


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_and_whether_the_tree_is_clean(tmp_path):
    assert (provenance.ROOT / "Snakefile").exists()
    assert provenance.git_state(tmp_path) is None
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "a")
    assert provenance.git_state(tmp_path) == {"commit": git(tmp_path, "rev-parse", "HEAD"), "clean": True}
    (tmp_path / "a").write_text("2")
    assert provenance.git_state(tmp_path)["clean"] is False
    (tmp_path / "a").write_text("1")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/psnr.csv").write_text("1")
    assert provenance.git_state(tmp_path)["clean"] is True
    (tmp_path / "inside").mkdir()
    assert provenance.git_state(tmp_path / "inside") is None  # another project's commit says nothing about this one


def test_the_workflow_makes_a_report_that_is_traced_and_up_to_date(finished, copy_of, chromium):
    project = copy_of(finished)
    wanted = ["results/report.html", "results/provenance.json", "results/benchmarks.csv"]
    project.run(*wanted)
    text = (project.path / "results/provenance.json").read_text(encoding="utf-8")
    facts = json.loads(text)
    assert facts["table_sha256"] == sha256(project.path / "results/psnr.csv")
    assert facts["git"] == "not a git checkout"
    index = json.loads((project.path / "results/clips/tiny/tower.json").read_text())
    assert facts["clips"]["tiny"]["tower"]["sha256"] == index["sha256"]
    assert facts["config"]["experiments"]["deepsr"]["allow_overlap"] is False  # defaults are filled in
    assert facts["packages"]["numpy"] == np.__version__
    names = [name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 4 and name != "localhost"]
    assert not [name for name in names if name in text]
    used = pd.read_csv(project.path / "results/benchmarks.csv")
    assert set(used[used["rule"] == "train_network"]["job"]) == set(facts["config"]["experiments"])

    chromium.get_log("browser")
    chromium.get((project.path / "results/report.html").as_uri())
    assert chromium.get_log("browser") == []
    assert len(chromium.find_elements(By.CSS_SELECTOR, ".slider")) == 2 * 3
    assert chromium.execute_script("return [...document.images].every(image => image.complete && image.naturalWidth > 0)")

    assert project.planned(*wanted) == {}
    project.config["figures"] = {"crop": 32}
    assert project.planned(*wanted) == {"plot_crops": 3, "make_report": 1}

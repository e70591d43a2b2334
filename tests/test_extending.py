"""docs/extending.md: each of its diffs is applied to a copy of the workflow, which then runs with all that they add."""

import re
import subprocess

import pandas as pd
import pytest
import yaml
from conftest import ROOT

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def blocks(section, language):
    """The fenced blocks of a language in a section of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", SECTIONS[section], re.M | re.S)


def apply(project, section):
    (diff,) = blocks(section, "diff")
    command = [*re.search(r"`(git apply .*)FILE`", PAGE)[1].split(), "-"]
    done = subprocess.run(command, input=diff, cwd=project.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{section}: {done.stderr}"


def merge(base, extra):
    for key, value in extra.items():
        merged = merge(base.get(key, {}), value) if isinstance(value, dict) else value
        base[key] = merged
    return base


@pytest.mark.parametrize("section", SECTIONS)
def test_each_addition_is_short_and_applies_alone(project, section):
    (diff,) = blocks(section, "diff")
    changed = [line for line in diff.splitlines() if re.match(r"[+-](?![+-]{2} )", line)]
    assert 0 < len(changed) <= 15
    apply(project, section)


def test_what_is_added_re_runs_nothing_of_others(finished, copy_of):
    """A network, a draft kind and a loss, first unused and then used by an experiment."""
    copy = copy_of(finished)
    for section in ("A network", "A draft kind", "A loss"):
        apply(copy, section)
    assert copy.planned() == {}
    for section in ("A network", "A draft kind", "A loss"):
        merge(copy.config, yaml.safe_load(*blocks(section, "yaml")))
    used = ["make_drafts", "train_network", "export_network", "evaluate_clip", "collect_psnr"]
    assert copy.planned("results/psnr.csv") == dict.fromkeys(used, 1)


@pytest.mark.slow
def test_what_is_added_runs_from_frames_to_table(project):
    """The new network learns by the new loss from the new drafts of the new source's frames, made small in the new way."""
    assert set(SECTIONS) == {"A network", "A draft kind", "A loss", "A metric", "A degradation", "A data source"}
    project.config["experiments"] = {}
    for section in SECTIONS:
        apply(project, section)
        for block in blocks(section, "yaml"):
            merge(project.config, yaml.safe_load(block))
    for clip in (project.path / "tests/clips").iterdir():
        if clip.is_dir():
            frames = list(clip.iterdir())
            (clip / "GT").mkdir()
            for frame in frames:
                frame.rename(clip / "GT" / frame.name)
    project.run("results/psnr.csv", "results/report.html", "results/figures/mae.png")
    table = pd.read_csv(project.path / "results/psnr.csv")
    assert list(table["sequence"]) == ["tower", "mean"] and set(table["experiment"]) == {"mine"}
    assert (
        set(table["network"]) == {"small"}
        and set(table["drafts"]) == {"projected"}
        and set(table["degradation"]) == {"area"}
    )
    assert (table["mae_deepsr"] < table["mae_bicubic"]).all() and (table["psnr_deepsr"] > table["psnr_bicubic"]).all()
    assert "MAE" in (project.path / "results/report.html").read_text(encoding="utf-8")

"""The README's numbers are those of a default run of this code, config and packages."""

import copy
import json
import re

import pandas as pd
import pytest
from conftest import ROOT

from deepsr.settings import load_yaml
from docs import update

SCRIPTS = ["evaluate_clip", "train_network"]


def test_results_are_of_this_code_and_config():
    made = json.loads((ROOT / "docs/made_with.json").read_text())
    assert update.changes(made, ROOT / "docs/psnr.csv") == [], "run the default config and then: python -m docs.update"


@pytest.mark.parametrize("name", update.FURTHER)
def test_further_tables_are_those_that_are_kept(name):
    page, table = (ROOT / "docs/results.md").read_text(), pd.read_csv(ROOT / f"docs/{name}.csv")
    assert set(table["experiment"]) == set(load_yaml(ROOT / f"config/{name}.yaml")["experiments"])
    commit = re.search(rf"<!-- {name}\b.*?Made at commit (\w{{7}})", page, re.DOTALL)[1]
    assert update.rewrite(page, update.means(name, table, commit), name) == page
    assert update.rewrite(page, "new\n", name) != page


@pytest.mark.parametrize("name", update.PAGES)
def test_pages_show_these_results(name):
    page, results = (ROOT / name).read_text(), update.PAGES[name](pd.read_csv(ROOT / "docs/psnr.csv"))
    assert results in page and update.rewrite(page, results) == page


def test_all_that_decides_numbers_is_recorded(finished):
    provenance = json.loads((finished.path / "results/provenance.json").read_text())
    made = update.made_with(provenance)
    assert made["table_sha256"] == update.sha256(finished.path / "results/psnr.csv")
    rules = re.findall(r"^rule (\w+):", "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk")), re.M)
    assert set(made["code"]) < set(rules)
    now = update.present(made["code"], finished.path / "results/psnr.csv")
    for script, modules in made["code"].items():  # the default config names modules that this one does not
        assert modules.items() <= now["code"][script].items()
    assert {"networks.deepsr", "train.losses.relative"} <= set(made["code"]["train_network"])
    assert {"drafts.gaussian", "drafts.motion", "drafts.bicubic"} <= set(made["code"]["make_drafts"])
    assert made["packages"] == now["packages"]
    assert made["config"]["experiments"]["single"]["training"]["learning_rate"]  # the defaults, too


def spoil(*keys):
    def change(made):
        for key in keys[:-1]:
            made = made[key]
        made[keys[-1]] = "another"

    return change


@pytest.mark.parametrize(
    "change, told",
    [
        (spoil("config", "seed"), ["config.seed"]),
        (spoil("config", "experiments", "deepsr", "training", "learning_rate"), ["config.experiments"]),
        (spoil("packages", "numpy"), ["packages.numpy"]),
        (spoil("code", "evaluate_clip", "evaluate.metrics"), ["evaluate.metrics (evaluate_clip)"]),
        (lambda made: made["code"]["evaluate_clip"].pop("evaluate.metrics"), ["evaluate.metrics (evaluate_clip)"]),
        (spoil("code", "evaluate_clip", "gone"), ["gone (evaluate_clip)"]),
        (spoil("table_sha256"), ["the table"]),
        (lambda made: None, []),
    ],
)
def test_stale_results_are_told(change, told):
    table = ROOT / "docs/psnr.csv"
    made = copy.deepcopy(update.present(SCRIPTS, table))
    change(made)
    assert update.changes(made, table) == told


def test_plumbing_decides_no_number():
    found = update.present(SCRIPTS, ROOT / "docs/psnr.csv")["code"]["evaluate_clip"]
    assert "evaluate.metrics" in found and not {"files", "errors", "progress"} & set(found)

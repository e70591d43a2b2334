"""The README's numbers are those of a default run of this code and config."""

import json

import pandas as pd
from conftest import ROOT

from docs import update


def test_results_are_of_this_code_and_config():
    made = json.loads((ROOT / "docs/made_with.json").read_text())
    assert made == update.made_with(), "run the default config and then: python -m docs.update"


def test_readme_shows_these_results():
    readme = (ROOT / "README.md").read_text()
    assert update.rewrite(readme, update.block(pd.read_csv(ROOT / "docs/psnr.csv"))) == readme

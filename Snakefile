# DeepSR: learned video super-resolution, from clips to a table.
#
#   clips -> frames -> patches -> drafts (npz) -> train -> evaluate (per clip) -> results/psnr.csv -> figures
#
# Read rules/ in the order of the includes. README.md says how to run it.
import sys
from importlib.util import find_spec

from snakemake.utils import min_version

min_version("9.12.0")  # the oldest that the tests run with (.ci/run)
if find_spec("deepsr") is None:
    sys.exit(
        "Error: the rules import the Python package deepsr/, which must lie beside the Snakefile: clone the repository, and "
        "name the clone's Snakefile. A module straight from github() has the rules only."
    )


report: "report/start.rst"


container: "docker-daemon://deepsr:latest"  # with --sdm apptainer; envs/Dockerfile says how to build it


include: "rules/common.smk"
include: "rules/degraded.smk"
include: "rules/data.smk"
include: "rules/drafts.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/video_common.smk"
include: "rules/video.smk"
include: "rules/hooks.smk"


rule all:
    """The table, the figures and the report page."""
    default_target: True
    input:
        "results/psnr.csv",
        FIGURES,
        REPORT,

import json
import re
import subprocess
import sys
from pathlib import Path

from job import end_with_parent, job

from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.report import graph, style
from deepsr.report.provenance import ROOT

with job(snakemake):
    config = Path(snakemake.output.png).with_suffix(".json")
    with atomic(config) as part:
        part.write_text(json.dumps(json.loads(Path(snakemake.input.provenance).read_text())["config"]))
    asked = ["--rulegraph", "dot", "--nolock", "--cores", "1", "--configfile", str(config)]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "all", *asked],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=end_with_parent,
    )
    config.unlink()
    if done.returncode:
        raise InputError(f"snakemake --rulegraph failed: {done.stderr}")
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', done.stdout, re.M))
    edges = [(names[a], names[b]) for a, b in re.findall(r"^\s*(\d+) -> (\d+)", done.stdout, re.M)]
    figure = graph.plot_workflow([edge for edge in edges if edge[1] != "all"])
    style.save(figure, *snakemake.output, snakemake.params.dpi)

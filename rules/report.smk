"""
What people look at: figures, a report page, and where the numbers come from.

Needs: results/psnr.csv and the scores, pictures, histories and indexes behind it
Makes: results/figures/{figure}.png, .svg                           psnr, ssim, gain, frames, training, workflow, and sweep if there is one
       results/figures/crops/{experiment}/{dataset}/{clip}.png, .svg  zoomed crops of the best and the worst frame
       results/provenance.json   config, code, packages, machine and data behind the table
       results/benchmarks.csv    time and memory of every job
       results/report.html       all of it on one page that works offline
"""

from deepsr.drafts.ensemble import is_oracle
from deepsr.evaluate.metrics import METRICS

SCORES = scored("results/experiments/{experiment}/{dataset}/{clip}.csv")
CROPS = scored("results/figures/crops/{experiment}/{dataset}/{clip}.png")
# Experiments whose only draft is one Gaussian: three of them make a curve over its standard deviation.
SIGMAS = {
    name: experiment["drafts"]["sigmas"][0]
    for name, experiment in EXPERIMENTS.items()
    if len(experiment["drafts"].get("sigmas", [])) == 1
}
SCORE_CHARTS = [*METRICS, "gain", "frames", *(["sweep"] if len(SIGMAS) >= 3 else [])]
CHARTS = [*SCORE_CHARTS, "training", "workflow"]
FIGURES = [
    *expand("results/figures/{chart}.{kind}", chart=CHARTS, kind=["png", "svg"]),
    *CROPS,
    *scored("results/figures/crops/{experiment}/{dataset}/{clip}.svg"),
]
# Scripts that decide the numbers of the table.
NUMBERS = ["extract_frames", "index_clip", "degrade_clip", "choose_patches", "make_drafts"]
NUMBERS += ["train_network", "export_network", "evaluate_clip", "collect_psnr"]
USED_NETWORKS = sorted({NETWORKS[experiment["network"]] for experiment in EXPERIMENTS.values()})
REPORT = ["results/report.html", "results/provenance.json", "results/benchmarks.csv"]


rule plot_scores:
    """A chart of scores: one of each metric, the gain, along the frames, and over the blur of an oracle's draft."""
    input:
        table="results/psnr.csv",
        scores=SCORES,
    output:
        png="results/figures/{chart}.png",
        svg="results/figures/{chart}.svg",
    log:
        "results/logs/plot_scores/{chart}.log",
    benchmark:
        "results/benchmarks/plot_scores/{chart}.tsv"
    wildcard_constraints:
        chart="|".join(SCORE_CHARTS),
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        clips=CLIPS,
        seed=config["seed"],
        sigmas=SIGMAS,
        dpi=config["figures"]["dpi"],
        code=code("plot_scores"),
    script:
        "../scripts/plot_scores.py"


rule plot_training:
    """Loss and validation PSNR over the steps of each experiment's training."""
    input:
        histories=expand("results/experiments/{experiment}/history.csv", experiment=EXPERIMENTS),
    output:
        png="results/figures/training.png",
        svg="results/figures/training.svg",
    log:
        "results/logs/plot_training.log",
    benchmark:
        "results/benchmarks/plot_training.tsv"
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        oracle={name: is_oracle(experiment["drafts"]) for name, experiment in EXPERIMENTS.items()},
        dpi=config["figures"]["dpi"],
        code=code("plot_training"),
    script:
        "../scripts/plot_training.py"


rule plot_crops:
    """Zoomed crops and error maps of a clip's best and worst frame."""
    input:
        scores="results/experiments/{experiment}/{dataset}/{clip}.csv",
        examples=multiext("results/experiments/{experiment}/{dataset}/{clip}/", *EXAMPLES),
    output:
        png="results/figures/crops/{experiment}/{dataset}/{clip}.png",
        svg="results/figures/crops/{experiment}/{dataset}/{clip}.svg",
    log:
        "results/logs/plot_crops/{experiment}/{dataset}/{clip}.log",
    benchmark:
        "results/benchmarks/plot_crops/{experiment}/{dataset}/{clip}.tsv"
    conda:
        "../envs/deepsr.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        oracle=lambda wildcards: is_oracle(settings_of(wildcards)["drafts"]),
        crop=config["figures"]["crop"],
        dpi=config["figures"]["dpi"],
        code=code("plot_crops"),
    script:
        "../scripts/plot_crops.py"


rule write_provenance:
    """What the table was made from and with. Runs again when the table, a network or a clip has changed."""
    input:
        table="results/psnr.csv",
        indexes=[f"results/clips/{dataset}/{clip}.json" for dataset, clip in USED],
        summaries=expand("results/experiments/{experiment}/summary.json", experiment=EXPERIMENTS),
    output:
        provenance="results/provenance.json",
    log:
        "results/logs/write_provenance.log",
    benchmark:
        "results/benchmarks/write_provenance.tsv"
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        clips=USED,
        config={key: config[key] for key in ("seed", "gpus", "datasets", "experiments")},
        numbers={script: code(script, *USED_NETWORKS) for script in NUMBERS},
        code=code("write_provenance"),
    script:
        "../scripts/write_provenance.py"


rule plot_workflow:
    """Which rule reads what another makes, in the workflow as it was run."""
    input:
        provenance="results/provenance.json",
    output:
        png="results/figures/workflow.png",
        svg="results/figures/workflow.svg",
    log:
        "results/logs/plot_workflow.log",
    benchmark:
        "results/benchmarks/plot_workflow.tsv"
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        dpi=config["figures"]["dpi"],
        code=code("plot_workflow"),
    script:
        "../scripts/plot_workflow.py"


rule make_report:
    """One page with the table, the figures, pictures to compare and what was run."""
    input:
        table="results/psnr.csv",
        provenance="results/provenance.json",
        charts=expand("results/figures/{chart}.svg", chart=CHARTS),
        crops=CROPS,
        scores=SCORES,
        examples=[f"{scores.removesuffix('.csv')}/{name}" for scores in SCORES for name in EXAMPLES],
    output:
        report="results/report.html",
        benchmarks="results/benchmarks.csv",
    log:
        "results/logs/make_report.log",
    benchmark:
        "results/benchmarks/make_report.tsv"
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        clips=CLIPS,
        benchmarks=lambda wildcards, output: str(Path(output.benchmarks).with_suffix("")),
        logs="results/logs",
        template=settings.digest((Path(workflow.basedir) / "deepsr/report/page.html").read_text(encoding="utf-8")),
        code=code("make_report"),
    script:
        "../scripts/make_report.py"

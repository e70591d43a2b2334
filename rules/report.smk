"""
What people look at: figures, a report page, and where the numbers come from.

Needs: results/psnr.csv and the scores, pictures, histories and indexes behind it
Makes: results/figures/{chart}.png, .svg                            charts of all experiments
       results/figures/crops/{experiment}/{dataset}/{clip}.png, .svg  zoomed crops of the best and the worst frame
       results/figures/flicker/{dataset}/{clip}.png, .svg  a row of pixels over time
       results/provenance.json   config, code, packages, machine and data behind the table
       results/benchmarks.csv    time and memory of every job
       results/report.html       all of it on one page that works offline
"""

from deepsr.drafts.ensemble import is_oracle
from deepsr.evaluate.examples import SLICED
from deepsr.evaluate.metrics import METRICS

RUN_CLIPS = [[row[key] for key in ("experiment", "dataset", "sequence")] for row in ROWS]
PUBLISHED = text_digest("published.csv")
SCORED_CLIPS = list(dict.fromkeys((dataset, clip) for _, dataset, clip in CLIPS))
CROPS = scored("results/figures/crops/{experiment}/{dataset}/{clip}.png")
SIGMAS = {  # {experiment: standard deviation in pixels} of those whose only draft is one Gaussian
    name: experiment["drafts"]["sigmas"][0]
    for name, experiment in EXPERIMENTS.items()
    if len(experiment["drafts"].get("sigmas", [])) == 1
}
TEMPORAL = any(row["evaluation"]["temporal"] for row in ROWS)
CHART_NAMES = [name for name, metric in METRICS.items() if TEMPORAL or not metric.temporal] + ["gain", "frames"]
# A curve needs three points: an experiment on three degradations, or three oracles with one Gaussian each.
DEGRADATIONS = {name: {row["degradation"] for row in ROWS if row["experiment"] == name} for name in EXPERIMENTS}
if any(len(degradations) >= 3 for degradations in DEGRADATIONS.values()):
    CHART_NAMES.append("degradations")
if len(SIGMAS) >= 3:
    CHART_NAMES.append("sweep")
CHARTS = dict.fromkeys(CHART_NAMES, ["results/psnr.csv", *RUN_SCORES])  # {chart: the files it is drawn from}
if TRAINED:
    CHARTS["training"] = expand("results/experiments/{experiment}/history.csv", experiment=TRAINED)
CHARTS["speed"] = ["results/psnr.csv", "results/speed.csv"]
FLICKER = [f"results/figures/flicker/{dataset}/{clip}.png" for dataset, clip in SCORED_CLIPS]
FIGURES = [
    *expand("results/figures/{chart}.{kind}", chart=CHARTS, kind=["png", "svg"]),
    *CROPS,
    *FLICKER,
    *(path.removesuffix("png") + "svg" for path in [*CROPS, *FLICKER]),
]
# The scripts that decide the numbers of the table.
NUMBERS = ["extract_frames", "index_clip", "degrade_clip", "choose_patches", "make_drafts"]
NUMBERS += ["train_network", "export_network", "evaluate_clip", "collect_psnr"]
MODELS = {name: experiment["model"] for name, experiment in EXPERIMENTS.items() if experiment["model"]}
NAMED = sorted({module for experiment in EXPERIMENTS.values() for module in named_modules(experiment).values()})
REPORT = ["results/report.html", "results/provenance.json", "results/benchmarks.csv"]


rule plot_chart:
    """A chart of all experiments: of each metric, the gain, along the frames, the training, ..."""
    input:
        lambda wildcards: CHARTS[wildcards.chart],
    output:
        png=report(
            "results/figures/{chart}.png",
            caption="../report/charts.rst",
            category=lambda wildcards: "Runs" if wildcards.chart == "training" else "Scores",
            labels={"shows": "{chart}"},
        ),
        svg="results/figures/{chart}.svg",
    log:
        "results/logs/plot_chart/{chart}.log",
    wildcard_constraints:
        chart="|".join(CHARTS),
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        clips=RUN_CLIPS,
        seed=config["seed"],
        sigmas=SIGMAS,
        oracle={name: is_oracle(experiment["drafts"]) for name, experiment in TRAINED.items()},
        published=PUBLISHED,
        dpi=config["figures"]["dpi"],
        code=code("plot_chart"),
    script:
        "../scripts/plot_chart.py"


rule plot_crops:
    """Zoomed crops and error maps of a clip's best and worst frame."""
    input:
        scores="results/experiments/{experiment}/{dataset}/{clip}.csv",
        examples=multiext("results/experiments/{experiment}/{dataset}/{clip}/", *EXAMPLES),
    output:
        png=report(
            "results/figures/crops/{experiment}/{dataset}/{clip}.png",
            caption="../report/crops.rst",
            category="Crops",
            subcategory="{experiment}",
            labels={"data set": "{dataset}", "clip": "{clip}"},
        ),
        svg="results/figures/crops/{experiment}/{dataset}/{clip}.svg",
    log:
        "results/logs/plot_crops/{experiment}/{dataset}/{clip}.log",
    conda:
        "../envs/deepsr.yaml"
    resources:
        mem_mb=growing(1000),
    params:
        oracle=lambda wildcards: is_oracle(settings_of(wildcards)["drafts"]),
        crop=config["figures"]["crop"],
        dpi=config["figures"]["dpi"],
        code=code("plot_crops"),
    script:
        "../scripts/plot_crops.py"


rule plot_flicker:
    """A row of pixels of a clip over time, of the ground truth, bicubic and every network that is scored on the clip."""
    input:
        scores=lambda wildcards: [f"results/experiments/{name}/{{dataset}}/{{clip}}.csv" for name in scored_on(wildcards)],
        slices=lambda wildcards: [
            f"results/experiments/{name}/{{dataset}}/{{clip}}/slice_{picture}.png"
            for name in scored_on(wildcards)
            for picture in SLICED
        ],
    output:
        png=report(
            "results/figures/flicker/{dataset}/{clip}.png",
            caption="../report/flicker.rst",
            category="Pictures",
            labels={"shows": "flicker", "clip": "{clip}"},
        ),
        svg="results/figures/flicker/{dataset}/{clip}.svg",
    log:
        "results/logs/plot_flicker/{dataset}/{clip}.log",
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        oracle=lambda wildcards: {name: is_oracle(EXPERIMENTS[name]["drafts"]) for name in scored_on(wildcards)},
        degradation=lambda wildcards: [row_of(name, *wildcards)["degradation"] for name in scored_on(wildcards)],
        dpi=config["figures"]["dpi"],
        code=code("plot_flicker"),
    script:
        "../scripts/plot_flicker.py"


rule write_provenance:
    """What the table was made from and with. Runs again when the table, a network or a clip has changed."""
    input:
        table="results/psnr.csv",
        indexes=[f"results/clips/{dataset}/{clip}.json" for dataset, clip in USED],
        summaries=expand("results/experiments/{experiment}/summary.json", experiment=TRAINED),
        models=list(MODELS.values()),
    output:
        provenance="results/provenance.json",
    log:
        "results/logs/write_provenance.log",
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        trained=list(TRAINED),
        models=MODELS,
        clips=USED,
        config={key: config[key] for key in ("seed", "gpus", "datasets", "experiments")},
        numbers={script: code(script, *NAMED) for script in NUMBERS},
        code=code("write_provenance"),
    script:
        "../scripts/write_provenance.py"


rule make_report:
    """One page with the table, the figures, pictures to compare and what was run."""
    input:
        table="results/psnr.csv",
        speed="results/speed.csv",
        provenance="results/provenance.json",
        charts=expand("results/figures/{chart}.svg", chart=CHARTS),
        crops=CROPS,
        flicker=FLICKER,
        scores=RUN_SCORES,
        examples=[f"results/experiments/{'/'.join(clip)}/{name}" for clip in CLIPS for name in EXAMPLES],
    output:
        report=report(
            "results/report.html", caption="../report/page.rst", category="Scores", labels={"shows": "report page"}
        ),
        benchmarks="results/benchmarks.csv",
    log:
        "results/logs/make_report.log",
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        clips=CLIPS,
        runs=RUN_CLIPS,
        scored_clips=SCORED_CLIPS,
        seed=config["seed"],
        logs="results/logs",
        template=text_digest("page.html"),
        published=PUBLISHED,
        code=code("make_report"),
    script:
        "../scripts/make_report.py"

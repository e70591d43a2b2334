"""
Scores, one job per experiment and clip, and the table.

Needs: results/experiments/{experiment}/model.onnx, results/clips/{dataset}/{clip}.json
Makes: results/experiments/{experiment}/{dataset}/{clip}.csv           PSNR and SSIM of every frame
       results/experiments/{experiment}/{dataset}/{clip}/{example}.png   the frames with the largest and least gain
       results/psnr.csv
       results/psnr_incomplete.csv   in its place, after a failure: what there is, and what is missing
"""

import sys

from deepsr.data.overlap import training_clips
from deepsr.evaluate.examples import EXAMPLES

CLIPS = [Path(path).parts for path in scored("{experiment}/{dataset}/{clip}")]  # no name holds a slash
ROWS = [
    {
        "experiment": name,
        "dataset": dataset,
        "sequence": clip,
        **{key: EXPERIMENTS[name][key] for key in ("scale", "drafts", "network", "train")},
        "evaluation": evaluation_of(EXPERIMENTS[name], dataset),
        "degradation": ("given ({})" if DATASETS[dataset].has_lr else "{}").format(
            chains.text(degraded_chain(EXPERIMENTS[name], dataset, clip, "test"))
        ),
    }
    for name, dataset, clip in CLIPS
]
TRAINED_ON = {
    name: [] if experiment["allow_overlap"] else training_clips(name, EXPERIMENTS, DATASETS)
    for name, experiment in EXPERIMENTS.items()
}
USED = list(
    dict.fromkeys(
        [used for name in EXPERIMENTS for used in training_clips(name, EXPERIMENTS, DATASETS)] + [clip[1:] for clip in CLIPS]
    )
)  # (data set, clip) of all clips that are trained on or scored
INCOMPLETE = "results/psnr_incomplete.csv"


rule evaluate_clip:
    """Score every frame of a test clip: bicubic, Lanczos and the network against the ground truth. Killed and run again, it
    continues from its checkpoint, which lies beside the scores.
    """
    input:
        model="results/experiments/{experiment}/model.onnx",
        index=lambda wildcards: clip_index(settings_of(wildcards), wildcards.dataset, wildcards.clip, "test"),
        zips=ancient(lambda wildcards: clip_zips(settings_of(wildcards), wildcards.dataset, wildcards.clip, "test")),
    output:
        scores="results/experiments/{experiment}/{dataset}/{clip}.csv",
        examples=multiext("results/experiments/{experiment}/{dataset}/{clip}/", *EXAMPLES),
    log:
        "results/logs/evaluate_clip/{experiment}/{dataset}/{clip}.log",
    benchmark:
        "results/benchmarks/evaluate_clip/{experiment}/{dataset}/{clip}.tsv"
    conda:
        "../envs/deepsr.yaml"
    threads: 2
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        scale=lambda wildcards: settings_of(wildcards)["scale"],
        degradation=lambda wildcards: chains.shrinking(chain_of(settings_of(wildcards), wildcards.dataset)),
        drafts=lambda wildcards: settings_of(wildcards)["drafts"],
        evaluation=lambda wildcards: evaluation_of(settings_of(wildcards), wildcards.dataset),
        code=code("evaluate_clip"),
    script:
        "../scripts/evaluate_clip.py"


rule collect_psnr:
    """The table: a row per experiment and clip, and the mean over the clips of each experiment and data set."""
    input:
        scores=scored("results/experiments/{experiment}/{dataset}/{clip}.csv"),
        indexes=[f"results/clips/{dataset}/{clip}.json" for dataset, clip in USED],
    output:
        table="results/psnr.csv",
    log:
        "results/logs/collect_psnr.log",
    benchmark:
        "results/benchmarks/collect_psnr.tsv"
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        rows=ROWS,
        clips=USED,
        trained_on=TRAINED_ON,
        incomplete=INCOMPLETE,
        code=code("collect_psnr"),
    script:
        "../scripts/collect_psnr.py"


onerror:
    snakemake_internals.forget_submission()
    show_failures(snakemake_internals.planned_files(workflow, "log"))
    # Scores that an earlier run left behind do not count where this run would have made them anew.
    waiting = snakemake_internals.planned_files(workflow, "output")
    paths = [None if path in waiting else path for path in rules.collect_psnr.input.scores]
    if "results/psnr.csv" in waiting and None in paths:
        Path(INCOMPLETE).unlink(missing_ok=True)
        missing = ["{experiment}/{dataset}/{sequence}".format(**row) for row, path in zip(ROWS, paths) if path is None]
        if len(missing) < len(paths):
            from deepsr.evaluate.table import incomplete

            incomplete(ROWS, paths).to_csv(INCOMPLETE, index=False, float_format="%.4f")
            if Path("results/psnr.csv").exists():
                print("results/psnr.csv is of an earlier run.", file=sys.stderr)
            shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
            print(f"{INCOMPLETE}: {len(missing)} of {len(paths)} clips are missing: {shown}.", file=sys.stderr)

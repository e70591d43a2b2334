"""
Scores, in a job for each experiment and clip, and the table.

Needs: results/experiments/{experiment}/model.onnx, results/clips/{dataset}/{clip}.json
Makes: results/experiments/{experiment}/{dataset}/{clip}.csv           PSNR and SSIM of every frame
       results/experiments/{experiment}/{dataset}/{clip}/{example}.png   pictures of the clip (deepsr.evaluate.examples)
       results/psnr.csv
       results/speed.csv             seconds per frame and multiply-adds per pixel of every experiment
"""

from deepsr.evaluate.examples import EXAMPLES

CLIPS = scored_by(EXPERIMENTS)
RUNS = scored_by([*EXPERIMENTS, *REPEATS])
RUN_SCORES = [f"results/experiments/{run}/{dataset}/{clip}.csv" for run, dataset, clip in RUNS]
ROWS = [row_of(*run) for run in RUNS]
TRAINED_ON = {
    name: [] if experiment["allow_overlap"] else training_clips(name, EXPERIMENTS, DATASETS)
    for name, experiment in EXPERIMENTS.items()
}
SEEN = {  # {experiment: {clip: hash of its frames}}: what the networks of .onnx files were trained on
    name: experiment["clips"]
    for name, experiment in EXPERIMENTS.items()
    if experiment["model"] and not experiment["allow_overlap"]
}
TRAINING_CLIPS = [clip for name in EXPERIMENTS for clip in training_clips(name, EXPERIMENTS, DATASETS)]
USED = list(dict.fromkeys(TRAINING_CLIPS + [clip[1:] for clip in CLIPS]))  # (data set, clip), each once
FIRST_SCORED = {
    name: (experiment["score"][0], DATASETS[experiment["score"][0]].test[0]) for name, experiment in EXPERIMENTS.items()
}
INCOMPLETE = "results/psnr_incomplete.csv"  # written by hooks.smk after a failure


rule evaluate_clip:
    """Score every frame of a test clip: bicubic, Lanczos and the network against the ground truth. Killed and run again, it
    continues from its checkpoint, which lies beside the scores.
    """
    input:
        model=lambda wildcards: model_of(wildcards.experiment),
        index=lambda wildcards: clip_index(settings_of(wildcards), wildcards.dataset, wildcards.clip, "test"),
        zips=ancient(lambda wildcards: clip_zips(settings_of(wildcards), wildcards.dataset, wildcards.clip, "test")),
    output:
        scores="results/experiments/{experiment}/{dataset}/{clip}.csv",
        examples=multiext("results/experiments/{experiment}/{dataset}/{clip}/", *EXAMPLES),
    log:
        "results/logs/evaluate_clip/{experiment}/{dataset}/{clip}.log",
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
        code=lambda wildcards: drafts_code("evaluate_clip", settings_of(wildcards)),
    script:
        "../scripts/evaluate_clip.py"


rule collect_psnr:
    """The table: a row per experiment and clip, and the mean over the clips of each experiment and data set."""
    input:
        scores=RUN_SCORES,
        indexes=[f"results/clips/{dataset}/{clip}.json" for dataset, clip in USED],
    output:
        table=report("results/psnr.csv", caption="../report/table.rst", category="Scores", labels={"shows": "table"}),
    log:
        "results/logs/collect_psnr.log",
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        rows=ROWS,
        clips=USED,
        trained_on=TRAINED_ON,
        seen=SEEN,
        incomplete=INCOMPLETE,
        code=code("collect_psnr"),
    script:
        "../scripts/collect_psnr.py"


rule measure_speed:
    """Seconds per frame and multiply-adds per pixel of each experiment, in a table of its own since no run gives the same
    times twice. It waits for the table of scores, since only small jobs are at work then.
    """
    input:
        models=[model_of(experiment) for experiment in EXPERIMENTS],
        indexes=[f"results/clips/{dataset}/{clip}.json" for dataset, clip in FIRST_SCORED.values()],
        zips=ancient([path for dataset, clip in FIRST_SCORED.values() for path in DATASETS[dataset].zips(clip)]),
        # Not ancient: Snakemake would then overlook other reasons to run this job whenever the table is made again.
        table="results/psnr.csv",
    output:
        speed="results/speed.csv",
    log:
        "results/logs/measure_speed.log",
    conda:
        "../envs/deepsr.yaml"
    threads: 2
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
    params:
        experiments=[
            {
                "experiment": name,
                "dataset": FIRST_SCORED[name][0],
                **{key: experiment[key] for key in ("drafts", "scale")},
                "degradation": chains.shrinking(chain_of(experiment, FIRST_SCORED[name][0])),
            }
            for name, experiment in EXPERIMENTS.items()
        ],
        code=drafts_code("measure_speed", *EXPERIMENTS.values()),
    script:
        "../scripts/measure_speed.py"

"""
Networks, one per experiment.

Needs: results/drafts/{dataset}/{drafts}/{clip}.npz for every training clip
Makes: results/experiments/{experiment}/model.keras, model.onnx, history.csv, summary.json
"""


rule train_network:
    """Train an experiment's network. Killed and run again, it continues from its checkpoint, which lies beside the model."""
    input:
        shards=shards,
        start=start_weights,
    output:
        model="results/experiments/{experiment}/model.keras",
        history="results/experiments/{experiment}/history.csv",
        summary="results/experiments/{experiment}/summary.json",
    log:
        "results/logs/train_network/{experiment}.log",
    conda:
        "../envs/deepsr.yaml"
    threads: 4
    resources:
        mem_mb=growing(2000, per_input_mb=1, per_pixel=0.05),
        runtime=growing(240),
        gpu=config["gpus"],
    params:
        network=lambda wildcards: settings_of(wildcards)["network"],
        scale=lambda wildcards: settings_of(wildcards)["scale"],
        training=lambda wildcards: settings_of(wildcards)["training"],
        start=start_contents,
        seed=seed_of,
        code=training_code,
    script:
        "../scripts/train_network.py"


rule export_network:
    """The trained network in ONNX, which evaluation runs and which can be used anywhere else."""
    input:
        model="results/experiments/{experiment}/model.keras",
        indexes=lambda wildcards: [f"results/clips/{dataset}/{clip}.json" for dataset, clip in trained_on(wildcards)],
    output:
        onnx="results/experiments/{experiment}/model.onnx",
    log:
        "results/logs/export_network/{experiment}.log",
    conda:
        "../envs/deepsr.yaml"
    resources:
        mem_mb=growing(1500),
    params:
        facts=lambda wildcards: {
            "experiment": wildcards.experiment,
            **{key: settings_of(wildcards)[key] for key in ("network", "scale", "drafts")},
            "train": " + ".join(settings_of(wildcards)["train"]),
            "degradation": " or ".join(map(chains.text, training_chains(settings_of(wildcards)))),
            "shrinking": chains.shrinking(training_chains(settings_of(wildcards))[0]),
        },
        clips=lambda wildcards: ["/".join(clip) for clip in trained_on(wildcards)],
        code=code("export_network"),
    script:
        "../scripts/export_network.py"

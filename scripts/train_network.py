from pathlib import Path

from job import job, quiet

with quiet():
    from deepsr.train.devices import find_gpu
    from deepsr.train.training import train

    find_gpu(snakemake.resources.gpu)

with job(snakemake):
    train(
        snakemake.input.shards,
        {
            "network": snakemake.params.network,
            "scale": snakemake.params.scale,
            "seed": snakemake.params.seed,
            **snakemake.params.training,
        },
        out_model=snakemake.output.model,
        out_history=snakemake.output.history,
        out_summary=snakemake.output.summary,
        checkpoint=Path(snakemake.output.model).with_name("checkpoint.npz"),
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
        start_weights=snakemake.input.start or None,
    )

from job import job

from deepsr.networks.inference import frame_predictor
from deepsr.video.estimate import sentence
from deepsr.video.plan import read_plan
from deepsr.video.preview import preview_video

with job(snakemake) as log:
    plan, output = read_plan(snakemake.input.plan), snakemake.output
    facts = preview_video(
        snakemake.params.source,
        plan,
        output.video,
        output.picture,
        output.facts,
        predict=frame_predictor(snakemake.input.model, snakemake.threads, snakemake.resources.gpu > 0),
        threads=snakemake.threads,
        parts=snakemake.params.parts,
        **snakemake.params.settings,
        **snakemake.params.encoding,
    )
    seconds, size = facts["seconds_per_frame"], facts["bytes"]
    # As a warning it is shown on the terminal, too.
    told = sentence(plan.frames, seconds, size, snakemake.params.parts, snakemake.threads)
    log.warning("at x%d, %s.", snakemake.params.settings["scale"], told)

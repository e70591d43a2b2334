import pandas as pd
from job import job

from deepsr.data.sequence import Sequence, read_index
from deepsr.drafts.ensemble import Drafts
from deepsr.evaluate.speed import multiply_adds, seconds_per_frame
from deepsr.networks.inference import frame_predictor
from deepsr.tables import write_table

FRAMES = 5  # so that the middle one has neighbours as in a long shot

with job(snakemake):
    rows = []
    files = zip(snakemake.input.models, snakemake.input.indexes, strict=True)
    for experiment, (model, index) in zip(snakemake.params.experiments, files, strict=True):
        scale, degradation = experiment["scale"], experiment["degradation"]
        clip = Sequence(read_index(index), scale, degradation)
        frames = range(min(FRAMES, len(clip)))
        lr, hr = [clip.lr_luma(t) for t in frames], [clip.hr_luma(t) for t in frames]  # reading them is not timed
        shot = Drafts(experiment["drafts"], scale, degradation, lr.__getitem__, len(frames), hr.__getitem__)
        drafts, network = seconds_per_frame(shot, frame_predictor(model, snakemake.threads), len(frames))
        rows.append(
            {
                "experiment": experiment["experiment"],
                "dataset": experiment["dataset"],
                "width": clip.width,
                "height": clip.height,
                "threads": snakemake.threads,
                "multiply_adds": multiply_adds(model),
                "seconds_drafts": drafts,
                "seconds_network": network,
                "seconds": drafts + network,
            }
        )
    write_table(pd.DataFrame(rows), snakemake.output.speed, digits=4)

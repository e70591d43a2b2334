import pandas as pd
from job import job

from deepsr.data.sequence import Sequence, read_index
from deepsr.drafts.ensemble import Drafts
from deepsr.evaluate.speed import multiply_adds, seconds_per_frame
from deepsr.files import atomic
from deepsr.networks.inference import Predictor, predict_frame

FRAMES, ROUNDS = 4, 2  # of the best round: in the other one something else may have been at work


def prepare(experiment, model, index):
    """What is known of an experiment before its frames are timed, and a function that times them."""
    settings = [experiment[key] for key in ("drafts", "scale", "degradation")]
    clip = Sequence(read_index(index), *settings[1:])
    frames = range(min(FRAMES, len(clip)))
    lr, hr = [clip.lr_luma(t) for t in frames], [clip.hr_luma(t) for t in frames]  # reading them is not timed
    predictor = Predictor(model, snakemake.threads)
    facts = {key: experiment[key] for key in ("experiment", "dataset")} | {"width": clip.width, "height": clip.height}
    facts |= {"threads": snakemake.threads, "multiply_adds": multiply_adds(model)}

    def measure():
        return seconds_per_frame(
            lambda: Drafts(*settings, lr.__getitem__, len(frames), hr.__getitem__),
            lambda drafts: predict_frame(predictor, drafts),
            len(frames),
        )

    return facts, measure


with job(snakemake):
    files = zip(snakemake.params.experiments, snakemake.input.models, snakemake.input.indexes, strict=True)
    prepared = [prepare(*each) for each in files]
    rounds = [[measure() for _, measure in prepared] for _ in range(ROUNDS)]  # in turn, so that none has a better time
    rows = []
    for (facts, _), times in zip(prepared, zip(*rounds, strict=True), strict=True):
        drafts, network = min(times, key=sum)
        rows.append(facts | {"seconds_drafts": drafts, "seconds_network": network, "seconds": drafts + network})
    with atomic(snakemake.output.speed) as part:
        pd.DataFrame(rows).to_csv(part, index=False, float_format="%.4f")

import json
from pathlib import Path

from job import job

from deepsr.data.sequence import Part, Sequence, read_index
from deepsr.drafts.ensemble import Drafts
from deepsr.evaluate.examples import write_examples
from deepsr.evaluate.scoring import score_clip
from deepsr.files import atomic, sha256
from deepsr.networks.inference import Predictor, predict_frame

with job(snakemake) as log:
    index, params, output = read_index(snakemake.input.index), snakemake.params, Path(snakemake.output.scores)
    clip = Sequence(index, params.scale, params.degradation)
    drafts = Drafts(params.drafts, params.scale, params.degradation, clip.lr_luma, len(clip), clip.hr_luma)
    predictor = Predictor(snakemake.input.model, snakemake.threads)
    frames = [part["sha256"] for part in (index, index.get("lr")) if part]
    evaluation = dict(params.evaluation)
    skipped = evaluation.pop("skip_frames")
    table, pictures = score_clip(
        Part(clip, skipped),
        range(skipped, len(clip) - skipped),  # the frames' numbers in the clip, which the next line makes drafts of
        lambda frame: predict_frame(predictor, drafts[frame]),
        {"scale": params.scale, "degradation": params.degradation, **evaluation},
        checkpoint=(checkpoint := output.with_name(f".{output.stem}.checkpoint.npz")),
        made_from=json.dumps([dict(params.items()), frames, sha256(snakemake.input.model)]),
    )
    table["frame"] += skipped
    write_examples(output.with_suffix(""), pictures)
    with atomic(output) as part:
        table.to_csv(part, index=False, float_format="%.6f")
    checkpoint.unlink(missing_ok=True)
    means = table[["psnr_deepsr", "psnr_bicubic"]].mean()
    log.info("PSNR %.2f dB, bicubic %.2f dB, mean of %d frames", *means, len(table))

import json
from pathlib import Path

from job import job

from deepsr.data.sequence import Sequence, read_index
from deepsr.drafts.ensemble import Drafts
from deepsr.evaluate.examples import write_examples
from deepsr.evaluate.scoring import score_clip
from deepsr.files import sha256
from deepsr.networks.inference import frame_predictor
from deepsr.tables import write_table

with job(snakemake) as log:
    index, params, output = read_index(snakemake.input.index), snakemake.params, Path(snakemake.output.scores)
    clip = Sequence(index, params.scale, params.degradation)
    drafts = Drafts(params.drafts, params.scale, params.degradation, clip.lr_luma, len(clip), clip.hr_luma)
    frames = [part["sha256"] for part in (index, index.get("lr")) if part]
    table, pictures = score_clip(
        clip,
        drafts,
        frame_predictor(snakemake.input.model, snakemake.threads),
        {"scale": params.scale, "degradation": params.degradation, **params.evaluation},
        checkpoint=(checkpoint := output.with_name(f".{output.stem}.checkpoint.npz")),
        made_from=json.dumps([dict(params.items()), frames, sha256(snakemake.input.model)]),
    )
    write_examples(output.with_suffix(""), pictures)
    write_table(table, output, digits=6)
    checkpoint.unlink(missing_ok=True)
    means = table[["psnr_deepsr", "psnr_bicubic"]].mean()
    log.info("PSNR %.2f dB, bicubic %.2f dB, mean of %d frames", *means, len(table))

import cv2
import pandas as pd
from job import job

from deepsr.data.sequence import Sequence, read_index
from deepsr.drafts.ensemble import Drafts
from deepsr.errors import InputError
from deepsr.evaluate.scoring import score_frame
from deepsr.files import atomic
from deepsr.networks.inference import Predictor, predict_frame
from deepsr.progress import progress

with job(snakemake) as log:
    scale, degradation = snakemake.params.scale, snakemake.params.degradation
    clip = Sequence(read_index(snakemake.input.index), scale, degradation)
    drafts = Drafts(snakemake.params.drafts, scale, degradation, clip.lr_luma, len(clip), clip.hr_luma)
    predictor = Predictor(snakemake.input.model, snakemake.threads)
    protocol = snakemake.params.evaluation
    if 2 * protocol["border"] >= min(clip.height, clip.width):
        raise InputError(
            f"config: evaluation.border: {protocol['border']} leaves nothing of {clip.width}x{clip.height} frames."
        )
    rows, best, worst = [], None, None
    for i in progress(range(len(clip)), desc="frames", unit="frame"):
        predicted = predict_frame(predictor, drafts[i])
        scores, pictures = score_frame(clip.hr(i), clip.lr(i), predicted, scale, degradation, **protocol)
        gain = scores["psnr_deepsr"] - scores["psnr_bicubic"]
        pictures |= {"hr": clip.hr(i), "lr": clip.lr(i)}
        best = max(best or (gain, i, pictures), (gain, i, pictures), key=lambda example: example[0])
        worst = min(worst or (gain, i, pictures), (gain, i, pictures), key=lambda example: example[0])
        rows.append({"frame": i, **scores})
    for paths, (*_, pictures) in ((snakemake.output.best, best), (snakemake.output.worst, worst)):
        for path, name in zip(paths, ("hr", "lr", "bicubic", "deepsr"), strict=True):
            with atomic(path) as part:
                cv2.imwrite(str(part), pictures[name])
    table = pd.DataFrame(rows)
    table["example"] = table["frame"].map({worst[1]: "worst", best[1]: "best"}).fillna("")
    with atomic(snakemake.output.scores) as part:
        table.to_csv(part, index=False, float_format="%.6f")
    log.info(
        "PSNR %.2f dB, bicubic %.2f dB, mean of %d frames",
        table["psnr_deepsr"].mean(),
        table["psnr_bicubic"].mean(),
        len(table),
    )

import json

from job import job

from deepsr.data.frames import index_images, list_members
from deepsr.files import atomic
from deepsr.seen import remember

with job(snakemake) as log:
    clip = snakemake.params.clip
    index = index_images(clip["container"], list_members(clip["container"], clip.get("prefix", ""), clip.get("frames")))
    if "lr" in clip:
        lr = clip["lr"]
        index["lr"] = index_images(lr["container"], list_members(lr["container"], lr.get("prefix", ""), clip.get("frames")))
    log.info("%d frames of %dx%d", len(index["members"]), index["width"], index["height"])
    with atomic(snakemake.output.index) as part:
        part.write_text(json.dumps(index, indent=0) + "\n", encoding="utf-8")
    hashes = [each["sha256"] for each in (index, index.get("lr")) if each]
    remember(snakemake.output.index, hashes, snakemake.params.replaced)

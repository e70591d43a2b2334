from job import job

from deepsr.data.frames import index_images, list_members, pair_lr
from deepsr.data.sequence import write_index

with job(snakemake) as log:
    clip = snakemake.params.clip
    members = list_members(clip["container"], clip.get("prefix", ""), clip.get("frames"))
    index = index_images(clip["container"], members)
    # A network that has learned from some of a clip's frames knows the clip: it is recognised by all of them.
    everything = list_members(clip["container"], clip.get("prefix", ""))
    if len(everything) > len(members):
        index["whole_sha256"] = index_images(clip["container"], everything)["sha256"]
    if "lr" in clip:
        lr = clip["lr"]
        lr_members = list_members(lr["container"], lr.get("prefix", ""), clip.get("frames"))
        index["lr"] = index_images(lr["container"], pair_lr(members, lr_members, lr["container"]))
    log.info("%d frames of %dx%d", len(index["members"]), index["width"], index["height"])
    write_index(index, snakemake.output.index)

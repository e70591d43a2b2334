from job import job

from deepsr.fetch.remote_zip import fetch_clip

with job(snakemake):
    facts, params = snakemake.params.facts, snakemake.params
    fetch_clip(facts["url"], params.prefix, snakemake.output.clip, params.frames, facts["size"])

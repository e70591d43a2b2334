from job import job

from deepsr.data import reds
from deepsr.fetch.download import download
from deepsr.fetch.remote_zip import fetch_clip

with job(snakemake):
    facts, output = snakemake.params.facts, snakemake.output.zip
    archive, _, clip = snakemake.wildcards.zip.partition("/")
    if clip:
        fetch_clip(facts["url"], reds.prefix(archive, clip), output, reds.FRAMES, facts["size"])
    else:
        download(facts["url"], output, facts["size"], facts["sha256"])

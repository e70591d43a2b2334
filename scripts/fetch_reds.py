from job import job

from deepsr.fetch.download import download

with job(snakemake):
    facts = snakemake.params.facts
    download(facts["url"], snakemake.output.archive, facts["size"], facts["sha256"])

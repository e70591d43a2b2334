"""DeepSR: video super-resolution from an ensemble of drafts. Importable without Snakemake."""

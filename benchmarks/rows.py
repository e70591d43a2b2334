"""The rows of the table: what is compared, and the goals."""

from dataclasses import dataclass

from article import BATCH, FRAMES, JOBS, PER_FRAME

OPERATIONS = 2 * 260_209  # of the article's network for one pixel, two per multiply-add
FRAME_GFLOP = OPERATIONS * 1280 * 720 / 1e9
# A training step computes the output and its gradients by the weights and by each layer's inputs, the first one's excepted.
STEP_GFLOP = (3 * OPERATIONS - 2 * 11 * 11 * 4 * 256) * 50 * 50 * BATCH / 1e9
ARTICLE_STEPS = 300 * 10_000 / BATCH
BASELINE_FRAMES = 8  # of the video that `deepsr` enlarges, half a minute's work


@dataclass(frozen=True)
class Row:
    """A line of the table: two measurements (process.py), the goals, and what both took in operations, if known."""

    title: str
    baseline: str
    ours: str
    faster: float | None = None  # goal: times faster
    smaller: float | None = None  # goal: times less memory
    gflop: float | None = None
    times: float = 1  # the baseline is so many times what was measured
    together: bool = False  # and so is its memory
    beside: str | None = None  # a third measurement, which the text below the table tells
    most_mb: float | None = None  # goal: memory of ours, MB

    @property
    def measurements(self):
        """All that have to be run; that of what the device can do comes first, where operations are known."""
        peak = [self.peak] if self.gflop else []
        return [*peak, self.baseline, self.ours, *([self.beside] if self.beside else [])]

    @property
    def on_gpu(self):
        """Whether it is measured where there is a GPU only."""
        return "gpu" in self.ours.split()

    @property
    def peak(self):
        """The measurement of what the device can do."""
        return "article.gemm gpu" if self.on_gpu else "article.gemm"


ROWS = {
    "inference": Row("Inference, a 720p frame", "article.inference_baseline", "article.inference_ours", 1.6, 8, FRAME_GFLOP),
    "jobs": Row(
        f"{JOBS} evaluation jobs at once (a)", "article.job_baseline", "article.jobs_ours", 1, 7, times=JOBS, together=True
    ),
    "training": Row(
        f"Training, a batch of {BATCH}", "article.training_baseline", "article.training_ours", 1.3, 2, STEP_GFLOP
    ),
    "patches": Row(
        *(f"{FRAMES * PER_FRAME:,} patches from PNG (b)", "article.patches_baseline", "article.patches_ours", 2, 15),
        beside="article.decode",
    ),
    "article": Row(
        *("The article's gain in PSNR (c)", "article.training_baseline", "article.article_ours", 27 * 60),
        times=ARTICLE_STEPS,
    ),
    "start": Row("Evaluation job, time to first frame", "article.start_baseline", "article.start_ours", 5),
    "drafts": Row(
        "Window drafts against the network (d)", "upscaling.network windows", "upscaling.drafts windows", 1 / 0.15
    ),
    # Goals of 0.35 s, 0.18 s and 0.4 s, where 2.3 s and 0.254 s were measured.
    "frame": Row(
        *("`fast`: a frame enlarged to 720p (g)", "upscaling.frame windows 6", "upscaling.frame fast 32", 2.3 / 0.35),
        most_mb=400,
    ),
    "fast_drafts": Row("`fast`: its drafts (g)", "upscaling.drafts windows", "upscaling.drafts fast", 0.254 / 0.18),
    "deepsr_drafts": Row("`deepsr`: its new drafts (g)", "upscaling.drafts windows", "upscaling.drafts deepsr", 0.254 / 0.4),
    "video": Row(
        "`fast`: 2 s of 720x576 to x2 (h)", f"upscaling.video windows_x2 {BASELINE_FRAMES}", "upscaling.video fast_x2 50", 6
    ),
    # What follows is measured where there is a GPU.
    "inference_gpu": Row(
        "GPU: a 720p frame (f)", "article.inference_baseline gpu", "article.inference_ours gpu", gflop=FRAME_GFLOP
    ),
    "training_gpu": Row(
        "GPU: a batch of 128 (f)", "article.training_baseline gpu", "article.training_ours gpu", gflop=STEP_GFLOP
    ),
    "bfloat16_gpu": Row(
        *("GPU: the same in bfloat16 (f)", "article.training_baseline gpu", "article.training_ours gpu mixed_bfloat16"),
        gflop=STEP_GFLOP,
    ),
}

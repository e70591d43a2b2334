"""What is measured beside the article's way of `baseline`: each row's two sides, and what a processor can do (process.py).

They give seconds, or a rate. `folder` is what prepare.py made; device is "cpu" or "gpu".
"""

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import mean

from process import CPUS, ROOT, STARTED, experiment, run, steady, timed

JOBS = 8  # evaluation jobs at once
FRAMES, PER_FRAME = 1000, 10  # frames of 720p, and patches cut from each
SIZE, BATCH = 50, 128  # pixels a patch is wide, patches in a training step


def gemm(folder, device="cpu"):
    """Best rate of a large float32 matrix product, GFLOP/s: what the processor can do."""
    import numpy as np

    product, factors = np.matmul, np.random.default_rng(0).random((2, 4096, 4096), dtype=np.float32)
    if device == "gpu":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)
        product, factors = lambda a, b: (a @ b)[0, 0].numpy(), [tf.constant(a) for a in factors]  # numpy() waits
    return {"gflops": 2 * 4096**3 / min(timed(product, *factors) for _ in range(6)) / 1e9}


def gpu(folder, device):
    """What can be measured on a GPU: its name, or None, for training and for inference."""
    import tensorflow as tf

    from deepsr.networks.inference import open_predictor

    found = tf.config.list_physical_devices("GPU")
    if not found:
        return {"training": None, "inference": None}
    name = tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU")
    return {"training": name, "inference": name if open_predictor(folder / "network.onnx", gpu=True).on_gpu else None}


def inference_baseline(folder, device="cpu"):
    """A 720p frame."""
    import baseline

    model = baseline.network()
    return {"seconds": steady(baseline.predict, model, random_drafts())}


def inference_ours(folder, device="cpu"):
    """A 720p frame."""
    return {"seconds": steady(*prediction(folder / "network.onnx", 4, device == "gpu"))}


def start_baseline(folder):
    """From the start of an evaluation job until it could predict its first frame."""
    import keras

    keras.models.load_model(folder / "network.keras")
    return {"seconds": time.time() - STARTED}


def start_ours(folder):
    """From the start of an evaluation job until it could predict its first frame: what the rule's script imports, loaded."""
    import cv2  # noqa: F401
    import pandas  # noqa: F401

    from deepsr.networks.inference import open_predictor

    open_predictor(folder / "network.onnx")
    return {"seconds": time.time() - STARTED}


def job_baseline(folder):
    """An evaluation job of one 720p frame, from its start: read, prepare, predict, score."""
    import baseline
    import keras

    model = keras.models.load_model(folder / "network.keras")
    target, *inputs = baseline.images(str(folder / "frames" / "00000000.png"))
    baseline.psnr(target, baseline.predict(model, inputs))
    return {"seconds": time.time() - STARTED}


def job_ours(folder):
    """The same on one thread, with what the workflow's rule does beside: drafts from a window, Lanczos, SSIM and colour."""
    import cv2

    from deepsr.data.sequence import Sequence
    from deepsr.drafts.ensemble import Drafts
    from deepsr.evaluate.scoring import pictures_of, score_frame
    from deepsr.networks.inference import open_predictor, predict_frame

    cv2.setNumThreads(1)
    settings = experiment("windows")
    clip = Sequence(read(folder / "part0.json"), 4, "bicubic")
    drafts = Drafts(settings["drafts"], 4, "bicubic", clip.lr_luma, len(clip))
    t = 7  # with neighbours on both sides
    predicted = predict_frame(open_predictor(folder / "windows.onnx", threads=1), drafts[t])
    score_frame(pictures_of(clip.hr(t), clip.lr(t), predicted, 4, "bicubic"), predicted, "y", 0)
    return {"seconds": time.time() - STARTED}


def jobs_ours(folder):
    """Such jobs, all at once."""
    return together(["article.job_ours"] * JOBS, folder)


def training_baseline(folder, device="cpu"):
    """A training step, after three that do not count."""
    import baseline
    import numpy as np

    model = baseline.network()
    *inputs, target = np.random.default_rng(0).random((5, 3 * BATCH, SIZE, SIZE, 1), dtype=np.float32)
    fit = lambda: model.fit(inputs, target, batch_size=BATCH, verbose=0)  # noqa: E731
    fit()
    return {"seconds": timed(fit) / 3}


def training_ours(folder, device="cpu", precision="float32"):
    """A training step, after three that do not count: the rate in the last row of the training's own history."""
    import numpy as np
    import pandas as pd

    from deepsr.drafts import patches

    random = np.random.default_rng(0)
    drafts = random.integers(0, 256, (3 * BATCH + 1, 4, SIZE, SIZE), dtype=np.uint8)
    patches.save(folder / "random.npz", drafts=drafts, target=drafts[:, 0], validation=np.arange(3 * BATCH + 1) == 0)
    settings = {"batch_size": BATCH, "epochs": 2, "validate_every": 3, "patches": None, "precision": precision}
    train([folder / "random.npz"], folder / "random", device, **settings)
    rate = pd.read_csv(folder / "random.csv")["patches_per_s"].iloc[-1]
    return {"seconds": BATCH / rate}


def patches_baseline(folder):
    """10,000 patches of 1,000 frames."""
    import baseline

    paths = sorted(map(str, (folder / "frames").iterdir()))
    return {"seconds": timed(baseline.extract, paths, folder / "article.npz")}


def patches_ours(folder):
    """The same, in jobs of one clip each, as many at once as there were processors when the clips were made."""
    return together([f"article.patches_part {part.stem}" for part in folder.glob("part*.json")], folder)


def patches_part(folder, part):
    """The job of one clip."""
    import cv2

    cv2.setNumThreads(1)
    cut_patches(folder / f"{part}.json", folder / f"{part}.npz", PER_FRAME)
    return {}


def decode(folder):
    """Only decoding these frames, on all processors."""
    import cv2

    paths = sorted(map(str, (folder / "frames").iterdir()))
    with ThreadPoolExecutor(CPUS) as pool:
        return {"seconds": timed(lambda: sum(pool.map(lambda path: cv2.imread(path).size, paths)))}


def article_ours(folder):
    """From frames on disk to a network with the article's drafts; its score on clips it never saw."""
    import keras
    import onnx

    from deepsr.networks.onnx_export import to_onnx

    for clip in ("city_a", "street"):
        cut_patches(folder / f"{clip}.json", folder / f"{clip}.npz", 40)
    train([folder / "city_a.npz", folder / "street.npz"], folder / "article", epochs=0)
    model = keras.models.load_model(folder / "article.keras")
    onnx.save(to_onnx(model, {"network": "deepsr"}), folder / "article.onnx")
    seconds = time.time() - STARTED
    scores = [score(folder / f"{clip}.json", folder / "article.onnx", CPUS, 5) for clip in ("city_b", "bicycle", "bunny")]
    bicubic, deepsr = (mean(side) for side in zip(*scores, strict=True))
    return {"seconds": seconds, "psnr_bicubic": bicubic, "psnr_deepsr": deepsr}


def workflow(folder):
    """The default run in a fresh copy of the project, one job at a time; work is what its jobs took by Snakemake's count."""
    from deepsr.data import demo
    from deepsr.report.page import read_usage

    project = folder / "workflow"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(".*", "data", "results", "videos"))
    for name in demo.VIDEOS:
        (project / "data" / "demo").mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, project / "data" / "demo")
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    seconds = timed(lambda: subprocess.run(command, cwd=project, stdout=sys.stderr, check=True))
    jobs = read_usage(project / "results" / "logs")
    rules = jobs.groupby("rule").agg(
        jobs=("seconds", "size"), seconds=("seconds", "sum"), longest=("seconds", "max"), peak_mb=("peak_mb", "max")
    )
    rules.sort_values("seconds", ascending=False).round(1).to_csv(folder / "rules.csv")
    return {"seconds": seconds, "work": jobs["seconds"].sum()}


def score(index, network, threads, frames):
    """Mean PSNR of bicubic and of the network, over the first frames of a clip, by the article's protocol."""
    from deepsr.data.sequence import Sequence
    from deepsr.drafts.ensemble import Drafts
    from deepsr.evaluate.metrics import psnr
    from deepsr.networks.inference import open_predictor, predict_frame

    clip = Sequence(read(index), 4, "cv2")
    drafts = Drafts(experiment("article")["drafts"], 4, "cv2", clip.lr_luma, len(clip), clip.hr_luma)
    predictor = open_predictor(network, threads)
    pairs = []
    for t in range(min(frames, len(clip))):
        target = clip.hr_luma(t) / 255
        pairs.append((psnr(target, drafts[t][-1] / 255), psnr(target, predict_frame(predictor, drafts[t]))))
    return [mean(side) for side in zip(*pairs, strict=True)]


def cut_patches(index, output, per_frame):
    """Patches of all frames of a clip, as the rules choose_patches and make_drafts make them."""
    import numpy as np

    from deepsr.data.sequence import Sequence
    from deepsr.drafts import patches
    from deepsr.drafts.ensemble import Drafts

    clip = Sequence(read(index), 4, "cv2")
    drafts = Drafts(experiment("article")["drafts"], 4, "cv2", clip.lr_luma, len(clip), clip.hr_luma)
    chosen = patches.choose(len(clip), clip.height, clip.width, 4, SIZE, per_frame, 0, None, 1, seed=1)
    inputs = np.empty((len(chosen), 4, SIZE, SIZE), np.uint8)
    targets = np.empty((len(chosen), SIZE, SIZE), np.uint8)
    for frame in np.unique(chosen[:, 0]):
        rows = chosen[:, 0] == frame
        inputs[rows] = patches.cut(drafts[frame], chosen[rows], SIZE)
        targets[rows] = patches.cut(clip.hr_luma(frame), chosen[rows], SIZE)
    patches.save(output, drafts=inputs, target=targets, validation=chosen[:, 3].astype(bool))


def train(shards, output, device="cpu", **settings):
    """A training by the default config, but for `settings`."""
    from deepsr.train import training

    settings = {"network": "deepsr", "scale": 4, "seed": 1, **experiment("article")["training"], **settings}
    outputs = [output.with_suffix(suffix) for suffix in (".keras", ".csv", ".json", ".checkpoint")]
    training.train(shards, settings, *outputs, threads=CPUS, gpus=int(device == "gpu"))


def random_drafts(number=4):
    """Drafts of a 720p frame; their values do not change the time."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (number, 720, 1280), dtype=np.uint8)


def prediction(network, inputs, gpu=False):
    """The call that evaluation and videos make for a 720p frame, and its arguments."""
    from deepsr.networks.inference import open_predictor, predict_frame

    return predict_frame, open_predictor(network, CPUS, gpu), random_drafts(inputs)


def read(path):
    """The content of a JSON file."""
    return json.loads(path.read_text())


def together(measurements, folder):
    """Run measurements at once; memory is the sum of their peaks."""
    with ThreadPoolExecutor(len(measurements)) as pool:
        peaks = [result["peak_mb"] for result in pool.map(lambda name: run(name, folder), measurements)]
    return {"seconds": time.time() - STARTED, "peak_mb": sum(peaks)}

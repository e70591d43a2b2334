"""A GPU is stood in for by the CPU, which XLA compiles for as it does for a GPU."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from small_training import (  # noqa: F401
    OUTPUTS,
    SETTINGS,
    begin_process,
    bfloat16_works,
    psnr_tolerance,
    results,
    settings_with,
    shards,
    train,
)

from deepsr.errors import InputError
from deepsr.networks import network
from deepsr.registry import NETWORKS
from deepsr.train import devices
from deepsr.train.objective import objectives
from deepsr.train.pool import Pool
from deepsr.train.vector import flatten, shapes

# A process of its own, on either backend, in which the CPU stands in for a GPU. It prints the gradients of a batch and of a
# smaller one, and trains.
PROGRAM = """
    import json, sys
    import keras, numpy as np
    from deepsr.networks import network
    from deepsr.registry import NETWORKS
    from deepsr.train import devices, training
    from deepsr.train.objective import objectives
    from deepsr.train.pool import Pool
    from deepsr.train.settings import Settings

    shards, settings, outputs, start = json.loads(sys.argv[1])
    devices.choose = lambda threads, gpus, batch_size: devices.Gpu("cpu:0", batch_size)
    found = []
    for name in NETWORKS:
        model = network(name).build(2, 4)
        objective, _ = objectives(network(name), model, Settings(**settings | {"loss": "relative"}))
        size = sum(int(np.prod(weight.shape)) for weight in model.weights)
        weights = np.random.default_rng(0).normal(0, 0.05, size).astype(np.float32)
        device = devices.choose(1, 1, 8)
        gradient = device.gradient(objective)
        for count in (8, 5):
            loss, error, slope = gradient(weights, device.place(*Pool(shards)[np.arange(count)]))
            found.append([float(loss), float(error), np.asarray(slope).tolist()])
    print(json.dumps(found))
    training.train(shards, settings, *outputs, gpus=1, start_weights=start)
"""


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow) for name in ("tensorflow", "jax")])
def stand_in(request, shards, tmp_path_factory):  # noqa: F811
    """On each backend: the gradients that PROGRAM prints; and the folders of its training, and of one on the CPU;
    and how far apart the two may be."""
    folder = tmp_path_factory.mktemp(request.param)
    train(shards, folder / "start", epochs=0)
    path = str(folder / "start" / "model.keras")
    train(shards, folder / "cpu", start_weights=path, warm_start=False)
    allowed = psnr_tolerance(shards, folder, path, warm_start=False)
    (folder / "gpu").mkdir()
    outputs = [str(folder / "gpu" / name) for name in OUTPUTS]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)]
        + [json.dumps([shards, SETTINGS | {"warm_start": False}, outputs, path])],
        env=os.environ | {"KERAS_BACKEND": request.param},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder / "gpu", folder / "cpu", allowed


def gradient_of(objective, weights, batch):
    """Sums of loss and error and the gradient of a whole batch, by TensorFlow alone."""
    import tensorflow as tf

    weights = tf.constant(weights)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss, error = (tf.reduce_sum(values) for values in objective(weights, *batch))
    return float(loss), float(error), tape.gradient(loss, weights).numpy()


def assert_same_gradient(found, expected, terms):
    """Gradients are sums of `terms` products in another order: float32 rounds by about sqrt(terms) units in the last place
    of the largest, of which four times as many are allowed."""
    assert found[:2] == pytest.approx(expected[:2], rel=4 * np.sqrt(terms) * 2**-23)
    np.testing.assert_allclose(found[2], expected[2], rtol=0, atol=4 * np.sqrt(terms) * 2**-23 * np.abs(expected[2]).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_of_micro_batches_is_that_of_the_batch(shards, name):  # noqa: F811
    model = network(name).build(2, 4)
    objective, _ = objectives(network(name), model, settings_with(loss="relative"))
    weights = np.random.default_rng(0).normal(0, 0.05, sum(map(np.prod, shapes(model)))).astype(np.float32)
    gradients = [devices.Cpu(threads).gradient(objective) for threads in (1, 2)]
    for count in (8, 5, 1):
        batch = Pool(shards)[np.arange(count)]
        one, two = (gradient(weights, batch) for gradient in gradients)
        assert one[:2] == two[:2] and np.array_equal(one[2], two[2])
        assert_same_gradient(one, gradient_of(objective, weights, batch), count * 28**2)


def test_a_gpu_gives_the_gradient_of_the_cpu(stand_in, shards):  # noqa: F811
    found = iter(stand_in[0])
    for name in NETWORKS:
        model = network(name).build(2, 4)
        gradient = devices.Cpu(1).gradient(objectives(network(name), model, settings_with(loss="relative"))[0])
        weights = np.random.default_rng(0).normal(0, 0.05, sum(map(np.prod, shapes(model)))).astype(np.float32)
        for count in (8, 5):
            assert_same_gradient(next(found), gradient(weights, Pool(shards)[np.arange(count)]), count * 28**2)


def test_a_training_on_a_gpu_is_that_of_the_cpu(stand_in):
    _, history, summary = results(stand_in[1])
    assert summary["devices"] == ["cpu:0"]
    for ours, theirs, allowed in zip(history, results(stand_in[2])[1], stand_in[3], strict=True):
        assert float(ours["val_psnr"]) == pytest.approx(float(theirs["val_psnr"]), abs=allowed)


def test_the_gradient_in_bfloat16_is_close(shards):  # noqa: F811
    if not bfloat16_works():
        return
    pool, rng = Pool(shards), np.random.default_rng(0)
    for name in ("deepsr", "srcnn"):
        model = network(name).build(2, 4)
        weights = flatten([rng.normal(0, 0.05, shape) for shape in shapes(model)])
        slopes = []
        for precision in ("float32", "mixed_bfloat16"):
            objective, _ = objectives(network(name), model, settings_with(precision=precision))
            slopes.append(devices.Cpu(1).gradient(objective)(weights, pool[np.arange(8)])[2])
        single, half = slopes
        assert not np.array_equal(single, half)
        assert single @ half / np.linalg.norm(single) / np.linalg.norm(half) > 0.99


def test_a_training_in_bfloat16_is_validated_in_float32(shards, tmp_path):  # noqa: F811
    single = train(shards, tmp_path / "single")[1]
    if not bfloat16_works():
        with pytest.raises(InputError, match="training.precision: mixed_bfloat16 cannot be computed here"):
            train(shards, tmp_path / "half", precision="mixed_bfloat16")
        return
    half = train(shards, tmp_path / "half", precision="mixed_bfloat16")[1]
    assert half[0] == single[0]  # the start
    assert half[1] != single[1]
    assert float(half[-1]["val_psnr"]) == pytest.approx(float(single[-1]["val_psnr"]), abs=0.2)


def test_a_training_in_bfloat16_runs_or_says_at_once_that_it_cannot(shards, tmp_path):  # noqa: F811
    """Held to AVX2, oneDNN fails in bfloat16; TensorFlow uses it all the same if the processor has AVX-512, and else not."""
    held = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = begin_process(shards, tmp_path, changes={"precision": "mixed_bfloat16", "epochs": 1}, environment=held)
    last = done.communicate()[1].splitlines()[-1]
    refused = last.startswith("deepsr.errors.InputError: training.precision: mixed_bfloat16 cannot be computed here; choose")
    assert refused or (done.returncode == 0 and (tmp_path / "model.keras").exists())


def test_results_of_each_device_are_in_order():
    for device in (devices.Cpu(2), devices.Gpu("cpu:0", 8)):
        assert device.each(lambda item: item * 2, [3, 1, 2]) == [6, 2, 4]


def test_threads_are_at_most_the_cpus(monkeypatch):
    monkeypatch.setattr(devices, "cpus", lambda: 2)
    assert [devices.Cpu(threads).threads for threads in (0, 1, 2, 64)] == [1, 1, 2, 2]


def test_a_gpu_that_is_not_there(caplog):
    device = devices.choose(1, 1, 8)
    assert "A GPU was asked for, but the CPU computes: tensorflow finds none" in caplog.text
    assert isinstance(device, devices.Cpu)


def test_a_gpu_that_is_there(monkeypatch):
    monkeypatch.setattr(devices, "find_gpu", lambda gpus: "gpu:0" if gpus else None)
    device = devices.choose(1, 1, 8)
    assert isinstance(device, devices.Gpu) and (device.name, device.validated_at_once) == ("gpu:0", 8)
    assert isinstance(devices.choose(1, 0, 8), devices.Cpu)


@pytest.fixture
def find_gpu(monkeypatch):
    """`devices.find_gpu` as in a fresh process, and the environment as before afterwards."""
    for name in ("CUDA_VISIBLE_DEVICES", "XLA_FLAGS", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, "as before")
    return devices.find_gpu.__wrapped__


def test_a_gpu_of_tensorflow_is_made_ready(find_gpu, monkeypatch):
    import tensorflow as tf

    calls = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one", "two"] if kind == "GPU" else [])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *arguments: calls.append(arguments))
    for name in ("set_memory_growth", "enable_tensor_float_32_execution", "enable_op_determinism"):
        monkeypatch.setattr(tf.config.experimental, name, lambda *arguments, name=name: calls.append((name, *arguments)))
    assert find_gpu(1) == "gpu:0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "as before"
    assert sorted(calls) == [
        ("enable_op_determinism",),
        ("enable_tensor_float_32_execution", False),
        ("one", "GPU"),
        ("set_memory_growth", "one", True),
    ]


def test_without_a_gpu_none_is_touched(find_gpu, monkeypatch):
    assert find_gpu(0) is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"


@pytest.mark.parametrize("platforms, expected", [(["cpu"], None), (["gpu"], "gpu:0")])
def test_a_gpu_of_jax_is_made_ready(find_gpu, monkeypatch, platforms, expected):
    import jax

    class Device:
        def __init__(self, platform):
            self.platform = platform

    settings = {}
    monkeypatch.setattr(devices.keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(jax, "devices", lambda: [Device(platform) for platform in platforms])
    monkeypatch.setattr(jax.config, "update", settings.__setitem__)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE")
    assert find_gpu(1) == expected
    assert settings == {"jax_default_matmul_precision": "float32"}
    assert os.environ["XLA_FLAGS"] == "as before --xla_gpu_deterministic_ops=true"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    settings.clear()
    find_gpu(0)
    assert settings == {"jax_platforms": "cpu"}


def test_a_batch_that_does_not_fit_is_named(shards, tmp_path, monkeypatch):  # noqa: F811
    import tensorflow as tf

    def gradient(*arguments):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(devices.Cpu, "gradient", lambda self, objective: gradient)
    with pytest.raises(InputError, match="training.batch_size: 4 patches do not fit into the memory of cpu; choose less"):
        train(shards, tmp_path)


def test_other_errors_than_of_memory_are_not_hidden(shards, tmp_path, monkeypatch):  # noqa: F811
    def gradient(*arguments):
        raise ValueError("another")

    monkeypatch.setattr(devices.Cpu, "gradient", lambda self, objective: gradient)
    with pytest.raises(ValueError, match="another"):
        train(shards, tmp_path)


@pytest.mark.parametrize(
    "error, expected",
    [
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), True),  # JAX
        (type("ResourceExhaustedError", (Exception,), {})("OOM"), True),  # TensorFlow
        (RuntimeError("another"), False),
    ],
)
def test_out_of_memory(error, expected):
    assert devices.out_of_memory(error) == expected


@pytest.mark.slow
def test_threads_do_not_disturb_each_other():
    """Convolutions of one compiled function, run by two threads at a time, have given wrong gradients."""
    net, rng = network("fast"), np.random.default_rng(0)
    model = net.build(3, 4)
    objective, _ = objectives(net, model, settings_with(network="fast"))
    weights = flatten([weight.numpy() for weight in model.weights])
    batch = rng.integers(0, 256, (32, 3, 96, 96), np.uint8), rng.integers(0, 256, (32, 96, 96), np.uint8)
    loss, error, slope = devices.Cpu(1).gradient(objective)(weights, batch)
    on_two = devices.Cpu(2).gradient(objective)
    for _ in range(20):
        again = on_two(weights, batch)
        assert again[:2] == (loss, error)
        np.testing.assert_array_equal(again[2], slope)

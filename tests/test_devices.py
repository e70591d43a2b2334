"""GPUs are stood in for by several pretend devices of the CPU, which TensorFlow and JAX treat alike."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from test_training import SETTINGS, results, shards, train  # noqa: F401

from deepsr.errors import InputError
from deepsr.train import devices, training

# A process of its own, in which the CPU pretends to be three devices. It prints the gradients of three batches, one of
# full size and two that have to be filled up, first of one device, then of three; and it trains on the three.
PROGRAM = """
    import json, os, sys
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=3"
    import keras, numpy as np
    from deepsr.train import devices
    from deepsr.networks import model as networks
    from deepsr.train import training

    if keras.backend.backend() == "jax":
        import jax
        pretend = lambda threads, gpus, batch_size: devices.JaxGpus(jax.devices()[:3], batch_size)
    else:
        import tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
        pretend = lambda threads, gpus, batch_size: devices.TensorFlowGpus(["cpu:0", "cpu:1", "cpu:2"], batch_size)

    shards, settings, outputs, start = json.loads(sys.argv[1])
    pool = training.Pool(shards)
    found = []
    for network, loss in (("deepsr", "mse"), ("srcnn", "relative")):
        model = networks.NETWORKS[network](2)
        objective, _ = training._objective(model, training.Settings(**settings | {"loss": loss}))
        weights = networks.flatten([np.random.default_rng(0).normal(0, 0.05, w.shape) for w in model.weights])
        for device in (devices.Cpu(1), pretend(1, 3, 8)):
            gradient = device.gradient(objective)
            for count in (8, 5, 1):
                loss, error, slope = gradient(weights, device.place(*pool[np.arange(count)]))
                found.append([float(loss), float(error), np.asarray(slope).tolist()])
    print(json.dumps(found))

    devices.choose = pretend
    training.train(shards, settings, *outputs, start_weights=start)
"""


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def several(request, shards, tmp_path_factory):  # noqa: F811
    """On each backend: the gradients that PROGRAM prints; and the folders of its training, and of one on one device."""
    folder = tmp_path_factory.mktemp(request.param)
    train(shards, folder / "start", epochs=0)
    start = str(folder / "start" / "model.keras")
    train(shards, folder / "one", start_weights=start, warm_start=False)
    (folder / "three").mkdir()
    outputs = [str(folder / "three" / name) for name in ("model.keras", "history.csv", "summary.json", "checkpoint.npz")]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)]
        + [json.dumps([shards, SETTINGS | {"warm_start": False}, outputs, start])],
        env=os.environ | {"KERAS_BACKEND": request.param},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder / "three", folder / "one"


def test_several_devices_give_the_gradient_of_one(several):
    gradients = several[0]
    for network in (gradients[:6], gradients[6:]):
        for one, three in zip(network[:3], network[3:], strict=True):
            assert three[:2] == pytest.approx(one[:2], rel=1e-5)
            assert np.allclose(three[2], one[2], rtol=0, atol=1e-5 * np.abs(one[2]).max())


def test_a_training_on_several_devices_is_that_of_one(several):
    _, history, summary = results(several[1])
    assert len(summary["devices"]) == 3
    for ours, theirs in zip(history, results(several[2])[1], strict=True):
        assert float(ours["val_psnr"]) == pytest.approx(float(theirs["val_psnr"]), abs=0.01)


def test_the_gradient_in_bfloat16_is_close(shards):  # noqa: F811
    pool, rng = training.Pool(shards), np.random.default_rng(0)
    for network in ("deepsr", "srcnn"):
        model = training.networks.NETWORKS[network](2)
        weights = training.networks.flatten([rng.normal(0, 0.05, w.shape) for w in model.weights])
        slopes = []
        for precision in ("float32", "mixed_bfloat16"):
            objective, _ = training._objective(model, training.Settings(**SETTINGS | {"precision": precision}))
            slopes.append(devices.Cpu(1).gradient(objective)(weights, pool[np.arange(8)])[2])
        single, half = slopes
        assert not np.array_equal(single, half)
        assert single @ half / np.linalg.norm(single) / np.linalg.norm(half) > 0.99


def test_a_training_in_bfloat16_is_validated_in_float32(shards, tmp_path):  # noqa: F811
    single = train(shards, tmp_path / "single")[1]
    half = train(shards, tmp_path / "half", precision="mixed_bfloat16")[1]
    assert half[0] == single[0]  # the start
    assert half[1] != single[1]
    assert float(half[2]["val_psnr"]) == pytest.approx(float(single[2]["val_psnr"]), abs=0.2)


def test_gpus_that_are_not_there(caplog):
    device = devices.choose(1, 2, 8)
    assert "GPUs asked for: 2; GPUs that tensorflow finds: 0" in caplog.text
    assert isinstance(device, devices.Cpu)


def test_a_batch_that_does_not_fit_is_named(shards, tmp_path, monkeypatch):  # noqa: F811
    import tensorflow as tf

    def gradient(*arguments):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(devices.Cpu, "gradient", lambda self, objective: gradient)
    with pytest.raises(InputError, match="training.batch_size: 4 patches do not fit into the memory of cpu; choose less"):
        train(shards, tmp_path)

"""Where a training computes: on threads of a CPU, or on a GPU by TensorFlow or JAX.

The classes of both devices, Cpu and Gpu, have the same members:
  name
  place(drafts, target)      a batch, moved to the device; may be called from any thread
  compiled(function)         the function, compiled for the device
  gradient(objective)        the function of (weights (P,), placed batch) that returns three sums over the batch: loss,
                             squared error, and the loss's gradient (P,). objective: a function of (weights, drafts, target)
                             that returns the loss and the squared error of each patch
  each(function, items)      the list of the function's results
  validated_at_once          how many patches are validated at a time
"""

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import keras
import numpy as np
from keras import ops

from deepsr.cpus import cpus
from deepsr.errors import InputError

log = logging.getLogger("deepsr")

MICRO = 2  # patches per gradient on a CPU: decides rounding, so it is no setting


def choose(threads, gpus, batch_size):
    """The GPU if `gpus` is 1 and there is one, otherwise `threads` threads of the CPU. batch_size: of the largest batch."""
    gpu = find_gpu(gpus)
    if gpus and not gpu:
        log.warning("A GPU was asked for, but the CPU computes: %s finds none", keras.backend.backend())
    device = Gpu(gpu, batch_size) if gpu else Cpu(threads)
    log.info("training on %s", gpu or f"{device.threads} threads of the CPU")
    return device


@cache
def find_gpu(gpus):
    """Make the backend's first GPU ready for reproducible results, and return its name, or None if there is no GPU.

    With `gpus` = 0 no GPU is touched. The backend looks for GPUs when it is first used, so this must be called before.
    """
    if gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    found = _find_jax_gpus(gpus) if keras.backend.backend() == "jax" else _find_tensorflow_gpus()
    return "gpu:0" if found else None


def out_of_memory(error):
    """Whether an exception of the framework says that a device has too little memory."""
    return "RESOURCE_EXHAUSTED" in str(error) or type(error).__name__ == "ResourceExhaustedError"


def check_bfloat16(device):
    """Raise InputError if the device cannot convolve in bfloat16.

    On a processor with AVX-512, TensorFlow leaves this to oneDNN, which fails if it is limited to older instructions.
    """
    x, kernel = ops.ones((1, 3, 3, 2), "bfloat16"), ops.ones((3, 3, 2, 2), "bfloat16")
    try:
        device.compiled(lambda x: ops.conv(x, kernel, padding="same"))(x)
    except Exception as error:  # the framework's own kinds
        raise InputError(
            "training.precision: mixed_bfloat16 cannot be computed here; choose float32 (or remove ONEDNN_MAX_CPU_ISA from "
            "the environment, if it is there)."
        ) from error


class Cpu:
    """Computes small parts of a batch on several threads, and adds them in a fixed order: the same numbers on any number.

    There are at most as many threads as CPUs that this process may run on. XLA is not used: TensorFlow is slower with it.
    """

    name = "cpu"
    validated_at_once = 4

    def __init__(self, threads):
        """Make the threads. If TensorFlow is not running yet, it gets one thread for each operation."""
        self.threads = max(1, min(threads, cpus()))
        self.lanes = ThreadPoolExecutor(self.threads)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            try:
                tf.config.threading.set_intra_op_parallelism_threads(1)
                tf.config.threading.set_inter_op_parallelism_threads(self.threads)
            except RuntimeError:
                log.warning("TensorFlow is already running: its number of threads stays as it is.")

    def place(self, drafts, target):
        return drafts, target

    def compiled(self, function):
        return _compiled(function, xla=False)

    def gradient(self, objective):
        of_micro_batch = self.compiled(_with_gradient(objective))

        def of_batch(weights, batch):
            def part(i):
                results = of_micro_batch(weights, *(array[i : i + MICRO] for array in batch))
                return [np.asarray(ops.convert_to_numpy(result)) for result in results]

            loss, error, slope = 0.0, 0.0, np.zeros(weights.shape, np.float32)
            for results in self.lanes.map(part, range(0, len(batch[0]), MICRO)):
                loss, error = loss + float(results[0]), error + float(results[1])
                slope += results[2]
            return loss, error, slope

        return of_batch

    def each(self, function, items):
        return list(self.lanes.map(function, items))


class Gpu:
    """One GPU, on which whole batches are computed, compiled by XLA."""

    def __init__(self, name, batch_size):
        """name: as Keras names devices, such as "gpu:0"."""
        self.name, self.validated_at_once = name, batch_size

    def place(self, drafts, target):
        with keras.device(self.name):
            return ops.convert_to_tensor(drafts), ops.convert_to_tensor(target)

    def compiled(self, function):
        return _compiled(function, xla=True)

    def gradient(self, objective):
        compiled = self.compiled(_with_gradient(objective))
        return lambda weights, batch: compiled(weights, *batch)

    def each(self, function, items):
        return [function(item) for item in items]


def _compiled(function, xla):
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    # A compiled function for each thread: TensorFlow's convolutions keep memory of their own in it, so that two threads in
    # the same one got wrong gradients (9 of 800 micro-batches of the network `fast`), or crashed.
    of_thread = threading.local()

    def compiled(*arguments):
        if not hasattr(of_thread, "function"):
            of_thread.function = tf.function(function, autograph=False, jit_compile=xla)
        return of_thread.function(*arguments)

    return compiled


def _with_gradient(objective):
    """The function of (weights, drafts, target) that returns the sums of loss and error, and the loss's gradient."""

    def sums(weights, drafts, target):
        loss, error = objective(weights, drafts, target)
        return ops.sum(loss), ops.sum(error)

    if keras.backend.backend() == "jax":
        import jax

        def gradient(*arguments):
            (loss, error), slope = jax.value_and_grad(sums, has_aux=True)(*arguments)
            return loss, error, slope

        return gradient

    import tensorflow as tf

    def gradient(weights, drafts, target):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, error = sums(weights, drafts, target)
        return loss, error, tape.gradient(loss, weights)

    return gradient


def _find_tensorflow_gpus():
    """Find the GPUs, and make the first one ready: memory as needed, no TF32, and the same numbers in every run."""
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if found:
        tf.config.set_visible_devices(found[0], "GPU")
        tf.config.experimental.set_memory_growth(found[0], True)
        tf.config.experimental.enable_tensor_float_32_execution(False)
        tf.config.experimental.enable_op_determinism()
    return found


def _find_jax_gpus(gpus):
    """The same for JAX."""
    import jax

    if gpus == 0:
        jax.config.update("jax_platforms", "cpu")
    else:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        jax.config.update("jax_default_matmul_precision", "float32")
    return [device for device in jax.devices() if device.platform == "gpu"]

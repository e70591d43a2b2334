"""Where a training computes: on threads of a CPU, or on GPUs by the data parallelism of TensorFlow or JAX.

All kinds have the same members. `place(drafts, target)`: a batch, put where it is needed (from any thread).
`gradient(objective)`: a function of (weights (P,), placed batch) that gives, summed over the batch, loss, squared error
and the loss's gradient (P,); objective: a function of (weights, drafts, target) that gives loss and error of each
patch. `each(function, items)`: its results, in order. `names`: of the devices. `part`: patches to validate at a time.
"""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import keras
import numpy as np
from keras import ops

from deepsr.cpus import cpus

log = logging.getLogger("deepsr")

MICRO = 2  # patches per gradient on a CPU: decides rounding, so it is no setting


def choose(threads, gpus, batch_size):
    """The GPUs that are there, at most `gpus`, or else `threads` of the CPU; batch_size: the largest batch."""
    found = find_gpus(gpus)
    if gpus > len(found):
        log.warning("GPUs asked for: %d; GPUs that %s finds: %d", gpus, keras.backend.backend(), len(found))
    kind = JaxGpus if keras.backend.backend() == "jax" else TensorFlowGpus
    devices = kind(found[:gpus], batch_size) if found else Cpu(threads)
    log.info("training on %s", f"{len(devices.names)} threads of the CPU" if not found else ", ".join(devices.names))
    return devices


@cache
def find_gpus(gpus):
    """The backend's GPUs if `gpus` are asked for, made ready for reproducible use; without `gpus` none is touched.

    The backend looks for GPUs once, at its first use: call this before.
    """
    if gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    return _find_jax_gpus(gpus) if keras.backend.backend() == "jax" else _find_tensorflow_gpus(gpus)


def compiled(function):
    """The function, compiled for the device that its arguments are on."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, autograph=False)


def out_of_memory(error):
    """Whether an exception of the framework says that a device has too little memory."""
    return "RESOURCE_EXHAUSTED" in str(error) or type(error).__name__ == "ResourceExhaustedError"


class Cpu:
    """Micro-batches on threads, several at once, summed in a fixed order: the same numbers on any number of threads.

    There are no more threads than CPUs this process may run on. Not XLA, which is slower on a CPU in TensorFlow.
    """

    part = 4

    def __init__(self, threads):
        """Make the threads; TensorFlow's own are limited to one an operation, if it has none yet."""
        lanes = max(1, min(threads, cpus()))
        self.names = ["cpu"] * lanes
        self.lanes = ThreadPoolExecutor(lanes)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            try:
                tf.config.threading.set_intra_op_parallelism_threads(1)
                tf.config.threading.set_inter_op_parallelism_threads(lanes)
            except RuntimeError:
                log.warning("TensorFlow is already running: its number of threads stays as it is.")

    def place(self, drafts, target):
        return drafts, target

    def gradient(self, objective):
        micro = compiled(_with_gradient(objective))

        def whole(weights, batch):
            def share(i):
                results = micro(weights, *(array[i : i + MICRO] for array in batch))
                return [np.asarray(ops.convert_to_numpy(result)) for result in results]

            loss, error, slope = 0.0, 0.0, np.zeros(weights.shape, np.float32)
            for one in self.lanes.map(share, range(0, len(batch[0]), MICRO)):
                loss, error = loss + float(one[0]), error + float(one[1])
                slope += one[2]
            return loss, error, slope

        return whole

    def each(self, function, items):
        return list(self.lanes.map(function, items))


class _Gpus:
    """A batch is split evenly over the devices; a smaller one is filled up, so that only one shape is compiled."""

    def __init__(self, names, batch_size):
        self.names = names
        self.part = -(-batch_size // len(names))
        self.size = -(-batch_size // len(names)) * len(names)

    def filled(self, drafts, target):
        """The batch with patches repeated up to the full size, and 1 for each that counts, 0 for each repeated one."""
        rows = np.resize(np.arange(len(target)), self.size)
        return drafts[rows], target[rows], (np.arange(self.size) < len(target)).astype(np.float32)

    def each(self, function, items):
        return [function(item) for item in items]


class TensorFlowGpus(_Gpus):
    """Each device computes its share by XLA; `tf.distribute.MirroredStrategy` splits, and sums what comes out."""

    def __init__(self, names, batch_size):
        """names: of TensorFlow's logical devices, such as "gpu:0"."""
        import tensorflow as tf

        super().__init__(names, batch_size)
        self.strategy = tf.distribute.MirroredStrategy(names)

    def place(self, drafts, target):
        import tensorflow as tf

        def spread(array):
            shares = np.split(array, len(self.names))

            def share(replica):
                with tf.device(self.names[replica.replica_id_in_sync_group]):
                    return tf.constant(shares[replica.replica_id_in_sync_group])

            return self.strategy.experimental_distribute_values_from_function(share)

        return [spread(array) for array in self.filled(drafts, target)]

    def gradient(self, objective):
        import tensorflow as tf

        share = tf.function(_with_gradient(objective), autograph=False, jit_compile=True)

        @tf.function(autograph=False)
        def whole(weights, batch):
            results = self.strategy.run(share, (weights, *batch))
            return [self.strategy.reduce("SUM", result, axis=None) for result in results]

        return lambda weights, batch: whole(ops.convert_to_tensor(weights), batch)


class JaxGpus(_Gpus):
    """A batch is one array that lies on all devices, from which JAX's compiler derives who computes and sums what."""

    def __init__(self, devices, batch_size):
        """devices: of `jax.devices()`."""
        import jax

        super().__init__([f"{device.platform}:{device.id}" for device in devices], batch_size)
        mesh = jax.sharding.Mesh(np.array(devices), "patches")
        self.split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("patches"))
        self.whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def place(self, drafts, target):
        import jax

        return jax.device_put(self.filled(drafts, target), self.split)

    def gradient(self, objective):
        import jax

        whole = jax.jit(_with_gradient(objective), out_shardings=self.whole)
        return lambda weights, batch: whole(weights, *batch)


def _with_gradient(objective):
    """Function of (weights, drafts, target, counts) that gives sums of loss and error, weighted, and the gradient."""

    def sums(weights, drafts, target, counts=1.0):
        loss, error = objective(weights, drafts, target)
        return ops.sum(counts * loss), ops.sum(counts * error)

    if keras.backend.backend() == "jax":
        import jax

        def gradient(*arguments):
            (loss, error), slope = jax.value_and_grad(sums, has_aux=True)(*arguments)
            return loss, error, slope

        return gradient

    import tensorflow as tf

    def gradient(weights, *batch):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, error = sums(weights, *batch)
        return loss, error, tape.gradient(loss, weights)

    return gradient


def _find_tensorflow_gpus(gpus):
    """Names of the GPUs, made ready: memory as needed, no TF32, and the same numbers in every run."""
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    for device in found:
        tf.config.experimental.set_memory_growth(device, True)
    if found:
        tf.config.set_visible_devices(found[:gpus], "GPU")
        tf.config.experimental.enable_tensor_float_32_execution(False)
        tf.config.experimental.enable_op_determinism()
    return [f"gpu:{i}" for i in range(len(found))]


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

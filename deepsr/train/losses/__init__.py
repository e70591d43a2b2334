"""The losses: one file for each, with a function `loss`.

The function takes the prediction, the truth and the bicubic frame, tensors float32 (n, height, width) of n patches with
pixels in [0, 1] (the prediction unclipped), and the `deepsr.train.settings.Settings`. It returns the loss of each patch,
float32 (n,).
"""

from deepsr.modules import load


def loss_function(name):
    """The loss called `name` in the config: function `loss` of the module of that name.

    A module is imported only when its loss is wanted, so that an edit of one repeats only the trainings that use it.
    Raises InputError if it cannot be imported.
    """
    return load(f"{__name__}.{name}", "loss")

"""What a training minimizes and what it validates, as functions of the weights and of a batch."""

from keras import ops

from deepsr.errors import InputError
from deepsr.train.losses import loss_function
from deepsr.train.vector import shapes, split


def objectives(network, model, settings):
    """The training's objective and the validation's.

    network: `deepsr.networks.base.Network`; model: what it has built; settings: `deepsr.train.settings.Settings`.
    Both are functions of (weights float32 (P,), drafts uint8 (n, D, p, p), target uint8 (n, p, p)), in which the
    `border` pixels do not count. The first returns each patch's loss and mean squared error, two tensors (n,); the second,
    always in float32, each patch's mean squared error of the prediction clipped to [0, 1].
    The training's raises InputError if the loss does not have one number for each patch.
    """
    inside = slice(settings.border, -settings.border or None)
    patch_loss = loss_function(settings.loss)

    def predict(weights, drafts, target, dtype):
        drafts = ops.transpose(ops.cast(drafts, "float32") / 255, (0, 2, 3, 1))
        prediction = network.forward(model, split(weights, shapes(model)), drafts, dtype)
        images = prediction, ops.cast(target, "float32") / 255, drafts[..., -1]
        return [image[:, inside, inside] for image in images]

    def training(weights, drafts, target):
        prediction, truth, bicubic = predict(weights, drafts, target, settings.precision.removeprefix("mixed_"))
        loss = patch_loss(prediction, truth, bicubic, settings)
        error = ops.mean(ops.square(prediction - truth), axis=(1, 2))
        if loss.shape != error.shape:
            raise InputError(
                f"{patch_loss.__module__}: loss gives the shape {tuple(loss.shape)} for {len(drafts)} patches; it must give "
                "one number for each patch."
            )
        return loss, error

    def validation(weights, drafts, target):
        prediction, truth, _ = predict(weights, drafts, target, "float32")
        return ops.mean(ops.square(ops.clip(prediction, 0, 1) - truth), axis=(1, 2))

    return training, validation

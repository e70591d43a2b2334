"""A residual network on the LR grid, our own: about a twentieth of DeepSR's arithmetic.

Space-to-depth makes the scale * scale pixels of a draft that lie in one LR pixel its channels, as the sub-pixel
convolution of ESPCN (Shi et al., CVPR 2016) does at its end: each 3x3 convolution then works for all of them at once.
"""

from keras import initializers, layers, ops

from deepsr.networks.base import Network

FILTERS, BLOCKS = 12, 4  # filters are multiplied by the scale, so that an HR pixel costs the same at every scale


class Net(Network):
    """At x4: 3x3x48 with ReLU, four residual blocks of two 3x3x48, 3x3 to the pixels; added to the linear filter."""

    def graph(self, x, n_drafts, scale):
        """See `Network.graph`."""
        x, filters = ops.space_to_depth(x, scale), FILTERS * scale
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="first")(x)
        for i in range(BLOCKS):
            y = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{i}_first")(x)
            # A tenth of Keras's usual spread (scale is a variance), so that blocks begin near the identity and the first
            # steps can be large. It is made here and not with the module, since the training's seed is set in between.
            small = initializers.VarianceScaling(0.01, mode="fan_avg", distribution="uniform")
            y = layers.Conv2D(filters, 3, padding="same", kernel_initializer=small, name=f"block{i}_second")(y)
            x = layers.Add(name=f"block{i}")([x, y])
        x = layers.Conv2D(scale * scale, 3, padding="same", name="last")(x)
        return ops.depth_to_space(x, scale)

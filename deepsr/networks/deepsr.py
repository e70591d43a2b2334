"""DeepSR (Liao et al., ICCV 2015, section 4), in the size of the article."""

from keras import layers

from deepsr.networks.chain import Chain


class Net(Chain):
    """Draft-ensemble network: 11x11x256, 1x1x512 and 3x3x1 with tanh, then a 25x25 deconvolution.

    260,979 parameters at 4 drafts. It works on the HR grid, whatever the scale.
    """

    filter_size = 11

    def graph(self, x, n_drafts, scale):
        x = layers.Conv2D(256, 11, padding="same", activation="tanh", name="conv1")(x)
        x = layers.Conv2D(512, 1, padding="same", activation="tanh", name="conv2")(x)
        x = layers.Conv2D(1, 3, padding="same", activation="tanh", name="conv3")(x)
        return layers.Conv2DTranspose(1, 25, padding="same", name="deconv")(x)

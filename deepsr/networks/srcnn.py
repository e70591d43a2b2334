"""SRCNN 9-1-5 (Dong et al., TPAMI 2016), with all drafts as its input channels."""

from keras import layers

from deepsr.networks.chain import Chain


class Net(Chain):
    """9x9x64 and 1x1x32 with ReLU, then 5x5x1 without activation. It works on the HR grid, whatever the scale."""

    filter_size = 9

    def graph(self, x, n_drafts, scale):
        x = layers.Conv2D(64, 9, padding="same", activation="relu", name="conv1")(x)
        x = layers.Conv2D(32, 1, padding="same", activation="relu", name="conv2")(x)
        return layers.Conv2D(1, 5, padding="same", name="conv3")(x)

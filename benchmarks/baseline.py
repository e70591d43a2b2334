"""The article's way, restated in current Keras: what the workflow is compared with. Whole frames, float32, one process."""

import random

import cv2
import numpy as np

SIGMAS = 1.5, 1.8, 2.1
SIZE = 50  # pixels a patch is wide
CROPS = 10  # patches from one frame


def network():
    """The article's graph, compiled as it was."""
    import keras
    from keras import layers

    inputs = [keras.Input((None, None, 1), name=f"input_{i}") for i in range(4)]
    x = layers.Concatenate()(inputs)
    x = layers.Conv2D(256, 11, padding="same", activation="tanh")(x)
    x = layers.Conv2D(512, 1, padding="same", activation="tanh")(x)
    x = layers.Conv2D(1, 3, padding="same", activation="tanh")(x)
    model = keras.Model(inputs, layers.Conv2DTranspose(1, 25, padding="same")(x))
    model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="mse")
    return model


def images(path):
    """The ground truth of a frame on disk and the four inputs made from it, uint8 (H, W)."""
    luma = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2YCrCb)[..., 0]
    height, width = luma.shape
    small = cv2.resize(luma, (width // 4, height // 4), interpolation=cv2.INTER_CUBIC)
    bicubic = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return [luma, *(cv2.GaussianBlur(luma, (5, 5), sigma) for sigma in SIGMAS), bicubic]


def predict(model, inputs):
    """The network on a whole frame: four uint8 (H, W) -> float32 (H, W)."""
    return model.predict([image[None, :, :, None].astype("float32") / 255 for image in inputs], verbose=0)[0, :, :, 0]


def psnr(target, predicted):
    """dB, peak 1, of a uint8 and a float32 image (H, W)."""
    return 10 * np.log10(target.size / np.sum((target / 255 - np.clip(predicted, 0, 1)) ** 2))


def extract(paths, output):
    """Ten random patches from each frame, kept as views until all are written to one npz."""
    patches = []
    for path in paths:
        frame = images(path)
        height, width = frame[0].shape
        for _ in range(CROPS):
            y, x = random.randrange(height - SIZE), random.randrange(width - SIZE)
            patches.append([image[y : y + SIZE, x : x + SIZE] for image in frame])
    targets, *inputs = (np.array(column)[..., None] for column in zip(*patches, strict=True))
    np.savez(output, targets=targets, **{f"input_{i}": array for i, array in enumerate(inputs)})

import pytest

from deepsr.evaluate import speed
from deepsr.networks import network
from deepsr.networks.onnx_export import to_onnx

HANDMADE = {  # name, drafts, scale -> multiply-adds per HR pixel, by hand
    ("deepsr", 4, 4): 11 * 11 * 4 * 256 + 256 * 512 + 512 * 9 + 25 * 25,  # the article's, 260,209
    ("srcnn", 1, 3): 9 * 9 * 64 + 64 * 32 + 5 * 5 * 32,
    # On the LR grid, which has a sixteenth of the pixels; the linear filter is on the HR grid.
    ("fast", 2, 4): (9 * 32 * 48 + 8 * 9 * 48 * 48 + 9 * 48 * 16) / 16 + 11 * 11 * 2,
}


@pytest.mark.parametrize("name, drafts, scale", HANDMADE)
def test_multiply_adds_by_hand(name, drafts, scale, tmp_path):
    (tmp_path / "model.onnx").write_bytes(to_onnx(network(name).build(drafts, scale)).SerializeToString())
    assert speed.multiply_adds(tmp_path / "model.onnx") == HANDMADE[name, drafts, scale]


def test_multiply_adds_of_layers_in_groups_and_between_grids(tmp_path):
    import keras
    from keras import layers, ops

    x = keras.Input((None, None, 1), name="input_0")
    y = ops.space_to_depth(x, 2)  # 4 channels on a quarter of the pixels
    y = layers.DepthwiseConv2D(3, padding="same")(y)
    y = layers.Dense(8)(y)
    y = layers.Conv2D(8, 3, padding="same", groups=2)(y)
    y = layers.Conv2DTranspose(4, 5, padding="same")(y)
    model = keras.Model(x, ops.depth_to_space(y, 2))
    (tmp_path / "model.onnx").write_bytes(to_onnx(model).SerializeToString())
    assert speed.multiply_adds(tmp_path / "model.onnx") == (9 * 4 + 4 * 8 + 9 * 4 * 8 + 25 * 8 * 4) / 4


def test_drafts_and_network_are_timed_apart(monkeypatch):
    """The clock is moved by hand: 30 seconds for the first draft, which makes all three, 5 for the network, at first 50."""
    clock = [100.0]
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])

    class Drafts:
        def __getitem__(self, t):
            clock[0] += 30 if t == 0 else 0
            return t

    def predict(t):
        clock[0] += 50 if t == 0 else 5

    assert speed.seconds_per_frame(Drafts(), predict, 3) == (10, 5)

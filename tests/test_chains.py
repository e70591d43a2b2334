"""Chains of degradations: what the config may say, what is drawn, and what becomes of the frames."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsr.data import chains
from deepsr.data.damage import CODECS
from deepsr.data.degradation import SHRINKING
from deepsr.data.frames import luma
from deepsr.errors import InputError

FRAMES = [cv2.imread(str(Path(__file__).parent / f"clips/harbour/{i:02d}.png")) for i in range(5)]
H264, MPEG2 = {"codec": "h264", "crf": 28}, {"codec": "mpeg2", "quantiser": 6}


def made(chain, frames=FRAMES, seed=(1, 2)):
    return list(chains.degraded(frames, chain, list(seed)))


def error(chain, frames=FRAMES):
    """Mean squared difference in luma to the frames before the steps."""
    return np.mean([(luma(a).astype(float) - luma(b)) ** 2 for a, b in zip(frames, made(chain, frames), strict=True)])


# ---- in the config


@pytest.mark.parametrize("name", SHRINKING)
def test_a_name_alone_is_a_chain(name):
    for chain in (name, [name]):
        assert chains.check_chain(chain, "key") == name
    assert chains.shrinking(name) == name and chains.steps_after(name) == [] and chains.text(name) == name


def test_a_chain_in_words():
    chain = ["blur", {"noise": [0.5, 4]}, H264 | {"gop": 12}]
    assert chains.check_chain(chain, "key") == chain and chains.shrinking(chain) == "blur"
    assert chains.text(chain) == "blur + noise 0.5 to 4 + codec h264 crf 28 gop 12"
    assert chains.file_name(chain) == "blur-noise-0_5-to-4-codec-h264-crf-28-gop-12"


@pytest.mark.parametrize(
    "chain, sentence",
    [
        ("noise", "key is 'noise'; it must be one of bicubic, cv2, blur, or a list that begins so."),
        ([{"noise": 5}], "key is {'noise': 5}; it must be one of bicubic"),
        (["bicubic", "noise"], "key: 'noise' is no step; write for instance {noise: 5}"),
        (["bicubic", "cv2"], "key: 'cv2' is no step"),
        (["bicubic", {"crf": 28}], "key: {'crf': 28} is no step"),
        (["bicubic", {"noise": 5} | H264], "is no step"),
        (["bicubic", {"codec": "h264"}], "key: the step codec h264 takes crf and gop (if wanted); add or remove crf."),
        (["bicubic", {"codec": "mpeg2", "crf": 3}], "takes quantiser and gop (if wanted); add or remove crf, quantiser."),
        (["bicubic", {"noise": 5, "gop": 3}], "the step noise 5 gop 3 takes no other key; add or remove gop."),
        (["bicubic", {"noise": [5, 3]}], "key: noise is [5, 3]; the lower end of a range stands first."),
    ],
)
def test_wrong_chains(chain, sentence):
    with pytest.raises(InputError) as refused:
        chains.check_chain(chain, "key")
    assert sentence in str(refused.value)


def test_a_number_is_drawn_from_each_range_for_each_clip():
    chain = ["bicubic", {"noise": [1.0, 2.0]}, {"codec": "h264", "crf": [18, 20], "gop": 12}]
    drawn = [chains.draw(chain, f"1 clip{i}") for i in range(60)]
    assert {step["crf"] for _, _, step in drawn} == {18, 19, 20} and {step["gop"] for _, _, step in drawn} == {12}
    noise = [step["noise"] for _, step, _ in drawn]
    assert min(noise) >= 1 and max(noise) <= 2 and len(set(noise)) > 30
    assert chains.draw(chain, "1 clip7") == drawn[7] and chains.draw("bicubic", "1") == "bicubic"
    assert chain[1] == {"noise": [1.0, 2.0]}  # the chain itself stays


def test_a_test_clip_has_the_middle_of_each_range():
    chain = ["bicubic", {"noise": [1, 2.5]}, {"codec": "h264", "crf": [18, 33]}]
    assert chains.middle(chain) == ["bicubic", {"noise": 1.75}, {"codec": "h264", "crf": 25}]


# ---- noise


def test_noise_has_the_strength_that_is_asked_for_and_no_bias():
    grey = [np.full((200, 200, 3), 128, np.uint8)] * 2
    one, other = (frame.astype(float) - 128 for frame in made(["bicubic", {"noise": 5}], grey))
    for noise in (one, other):
        assert noise.std() == pytest.approx(5, rel=0.02) and abs(noise.mean()) < 0.05
    for a, b in [(one, other), (one[..., 0], one[..., 1])]:  # of two frames, and of two colours
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_noise_follows_the_seed():
    chain = ["bicubic", {"noise": 5}]
    assert np.array_equal(made(chain), made(chain)) and not np.array_equal(made(chain), made(chain, seed=(1, 3)))
    assert np.array_equal(made(chain)[:2], made(chain, FRAMES[:2]))  # of a frame, whatever follows
    twice = np.subtract(made([*chain, {"noise": 5}]), made(chain), dtype=float)
    once = np.subtract(made(chain), FRAMES, dtype=float)
    assert abs(np.corrcoef(once.ravel(), twice.ravel())[0, 1]) < 0.1  # the second step adds other noise than the first


def test_noise_is_clipped_not_wrapped():
    black, white = (np.full((50, 50, 3), level, np.uint8) for level in (0, 255))
    dark, bright = made(["bicubic", {"noise": 5}], [black, white])
    assert dark.max() < 40 and bright.min() > 215


# ---- codecs


@pytest.mark.parametrize("step", [H264, MPEG2], ids=CODECS)
@pytest.mark.parametrize("height, width, n", [(98, 122, 5), (33, 47, 3), (24, 16, 1), (20, 31, 30)])
def test_a_codec_keeps_number_size_and_order_of_frames(step, height, width, n):
    levels = [np.full((height, width, 3), 20 + 7 * i, np.uint8) for i in range(n)]
    coded = made(["bicubic", step], levels)
    assert len(coded) == n and all(frame.shape == (height, width, 3) and frame.dtype == np.uint8 for frame in coded)
    assert [round((frame.mean() - 20) / 7) for frame in coded] == list(range(n))


@pytest.mark.parametrize("step", [H264, MPEG2], ids=CODECS)
def test_the_same_frames_are_coded_alike_every_time(step):
    """x264's assembly rounds by where its memory lies, so with it this scene is another video in most of eight times."""
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (200, 420, 3), np.uint8), (0, 0), 2)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX)
    frames = [np.ascontiguousarray(scene[i : i + 136, 3 * i : 3 * i + 320]) for i in range(27)]
    first, *others = [np.stack(made(["bicubic", step], frames)) for _ in range(8)]
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("codec, quality, values", [("h264", "crf", (10, 23, 40)), ("mpeg2", "quantiser", (1, 6, 31))])
def test_quality_is_the_codecs(codec, quality, values):
    errors = [error(["bicubic", {"codec": codec, quality: value}]) for value in values]
    assert 0 < errors[0] < 5 and errors[0] < errors[1] / 2 and errors[1] < errors[2] / 2


@pytest.mark.parametrize("best", [{"codec": "h264", "crf": 0}, {"codec": "mpeg2", "quantiser": 1}], ids=CODECS)
def test_colours_return(best):
    """A wrong matrix or range on the way there or back would move them by 10 levels and more."""
    for colour in [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 60, 60), (60, 200, 60), (60, 60, 200)]:
        (coded,) = made(["bicubic", best], [np.full((32, 32, 3), colour, np.uint8)])
        assert np.abs(coded.astype(int) - colour).max() <= 2


def test_the_interval_of_key_frames_counts():
    assert not np.array_equal(made(["bicubic", H264 | {"gop": 1}]), made(["bicubic", H264 | {"gop": 5}]))
    key_frames = made(["bicubic", MPEG2 | {"gop": 1}])
    alone = [made(["bicubic", MPEG2], [frame])[0] for frame in FRAMES]
    assert np.array_equal(key_frames, alone)  # each looks at no other frame
    assert not np.array_equal(made(["bicubic", MPEG2]), alone)


def test_steps_follow_each_other():
    """Noise that is compressed has lost most of its power; noise after the codec has all of it."""
    grey = [np.full((64, 64, 3), 128, np.uint8)] * 3
    assert error(["bicubic", {"noise": 8}, {"codec": "h264", "crf": 35}], grey) < 10
    assert error(["bicubic", {"codec": "h264", "crf": 35}, {"noise": 8}], grey) > 15


def test_frames_are_asked_for_one_by_one():
    """A clip of any length is coded in constant memory: the encoder looks ahead by less than 60 frames."""
    asked = []

    def frames():
        for i in range(200):
            asked.append(i)
            yield FRAMES[0][:32, :32]

    next(chains.degraded(frames(), ["bicubic", {"noise": 2}, MPEG2], [1]))
    assert len(asked) < 20
    asked.clear()
    next(chains.degraded(frames(), ["bicubic", H264], [1]))
    assert len(asked) < 100

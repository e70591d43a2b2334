import numpy as np
import pytest

from deepsr.drafts.patches import check, choose, cut, open_shard, save, seed_of
from deepsr.errors import InputError

CLIP = {"n_frames": 10, "height": 40, "width": 60}
WANTED = {"scale": 1, "size": 16, "per_frame": 5, "without_neighbours": 0, "frames": None, "validation_frames": 2}


def shard(n=3, drafts=2, size=8):
    random = np.random.default_rng(0)
    return {
        "drafts": random.integers(0, 256, (n, drafts, size, size), dtype=np.uint8),
        "target": random.integers(0, 256, (n, size, size), dtype=np.uint8),
        "validation": np.arange(n) == n - 1,
    }


def test_patches_lie_inside_and_every_frame_has_its_share():
    rows = choose(**CLIP, **WANTED, seed=1)
    frame, top, left, validation, _ = rows.T
    assert rows.dtype == np.int32 and len(rows) == 50
    assert np.array_equal(np.bincount(frame), [5] * 10) and np.array_equal(frame, np.sort(frame))
    assert np.array_equal(validation, frame >= 8)
    assert top.min() >= 0 and top.max() <= 24 and left.min() >= 0 and left.max() <= 44
    check(rows, *CLIP.values(), 16, "patches.csv")


def test_every_position_can_be_chosen():
    _, top, left, *_ = choose(
        2, 18, 17, 1, 16, per_frame=500, without_neighbours=0, frames=None, validation_frames=1, seed=0
    ).T
    assert set(top) == {0, 1, 2} and set(left) == {0, 1}


@pytest.mark.parametrize("scale, size", [(2, 16), (3, 15), (3, 48), (4, 16), (4, 48)])
def test_patches_lie_on_the_lr_grid(scale, size):
    """Every position that the scale divides can be chosen, to the last one that fits, and no other."""
    _, top, left, *_ = choose(3, size + 2 * scale, size + scale, scale, size, 200, 0, None, 1, seed=0).T
    assert set(top) == {0, scale, 2 * scale} and set(left) == {0, scale}


def test_frames_may_be_fewer_and_are_not_taken_twice():
    frame, _, _, validation, _ = choose(**CLIP, **{**WANTED, "frames": 3}, seed=1).T
    assert len(set(frame[validation == 0])) == 3 and set(frame[validation == 1]) == {8, 9}
    assert np.array_equal(choose(**CLIP, **{**WANTED, "frames": 100}, seed=1), choose(**CLIP, **WANTED, seed=1))


@pytest.mark.parametrize("share, least, most", [(0, 0, 0), (0.25, 150, 250), (1, 800, 800)])
def test_a_share_of_the_training_patches_sees_no_neighbours(share, least, most):
    rows = choose(**CLIP, **{**WANTED, "per_frame": 100, "without_neighbours": share}, seed=1)
    assert np.array_equal(rows[:, :4], choose(**CLIP, **{**WANTED, "per_frame": 100}, seed=1)[:, :4])
    assert least <= rows[:, 4].sum() <= most
    assert not rows[rows[:, 3] == 1, 4].any()  # validation is on frames as they are


def test_seeds_decide():
    rows = choose(**CLIP, **WANTED, seed=[1, seed_of("street")])
    assert np.array_equal(rows, choose(**CLIP, **WANTED, seed=[1, seed_of("street")]))
    for other in ([1, seed_of("city")], [2, seed_of("street")]):
        assert not np.array_equal(rows, choose(**CLIP, **WANTED, seed=other))
    assert seed_of("street") == 4042183640  # the same in every process


def test_a_patch_as_large_as_the_frame():
    assert np.array_equal(choose(3, 16, 16, **WANTED, seed=1)[:, 1:3], np.zeros((15, 2)))


@pytest.mark.parametrize(
    "clip, sentence",
    [
        ({"height": 15}, "patches.size: 16 is larger than the frames .60x15.; choose a smaller patch"),
        ({"width": 12}, "patches.size: 16 is larger than the frames .12x40."),
        ({"n_frames": 2}, "patches.validation_frames: 2 leave no frame to train on in a clip of 2 frames"),
        ({"n_frames": 1}, "patches.validation_frames: 2 leave no frame"),
    ],
)
def test_clips_that_are_too_small(clip, sentence):
    with pytest.raises(InputError, match=sentence):
        choose(**{**CLIP, **clip}, **WANTED, seed=1)


@pytest.mark.parametrize(
    "row",
    [
        (10, 0, 0, 0, 0),
        (0, 25, 0, 0, 0),
        (0, 0, 45, 0, 0),
        (0, 0, 0, 2, 0),
        (0, 0, 0, 0, 2),
        (0, -1, 0, 0, 0),
        (-1, 0, 0, 0, 0),
    ],
)
def test_positions_outside_the_clip_are_refused(row):
    with pytest.raises(InputError, match="patches.csv: is damaged"):
        check(np.array([(0, 0, 0, 0, 0), row]), 10, 40, 60, 16, "patches.csv")


def test_cut_takes_all_channels():
    image = np.arange(2 * 6 * 7).reshape(2, 6, 7)
    patches = cut(image, [(0, 1, 2, 0), (0, 3, 4, 1)], 3)
    assert patches.shape == (2, 2, 3, 3)
    assert np.array_equal(patches[0], image[:, 1:4, 2:5]) and np.array_equal(patches[1], image[:, 3:6, 4:7])
    assert np.array_equal(cut(image[0], [(0, 1, 2)], 3), patches[:1, 0])


def test_what_is_saved_is_mapped_back(tmp_path):
    arrays = shard()
    save(tmp_path / "a.npz", **arrays)
    opened = open_shard(tmp_path / "a.npz")
    for name, array in arrays.items():
        found = getattr(opened, name)
        assert isinstance(found, np.memmap) and found.dtype == array.dtype and np.array_equal(found, array)
    assert np.array_equal(np.load(tmp_path / "a.npz")["drafts"], arrays["drafts"])  # an ordinary npz


def test_bytes_are_reproducible(tmp_path):
    for name in ("a.npz", "b.npz"):
        save(tmp_path / name, **shard())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_any_flipped_bit_is_found_or_harmless(tmp_path):
    arrays, path = shard(n=1, drafts=1, size=2), tmp_path / "a.npz"
    save(path, **arrays)
    data = path.read_bytes()
    found = 0
    for i in range(len(data)):
        damaged = bytearray(data)
        damaged[i] ^= 1 << i % 8
        path.write_bytes(damaged)
        try:
            opened = open_shard(path)
        except InputError as error:
            assert "a.npz: " in str(error) and "delete it and run again" in str(error)
            found += 1
        else:
            assert all(np.array_equal(getattr(opened, name), array) for name, array in arrays.items()), i
    assert found > len(data) / 2


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -30])
def test_a_truncated_shard_is_named(tmp_path, keep):
    save(tmp_path / "a.npz", **shard())
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[:keep])
    with pytest.raises(InputError, match="a.npz: is damaged"):
        open_shard(tmp_path / "a.npz")


def test_what_is_no_shard_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(InputError, match="a.npz: is damaged .*No such file"):
        open_shard(path)
    save(path, drafts=np.zeros(3))
    with pytest.raises(InputError, match="a.npz: is damaged .*'target'"):
        open_shard(path)
    np.savez(path, **{**shard(), "target": np.array([{"run": "code"}], object)})
    with pytest.raises(InputError, match="a.npz: is damaged .target.npy cannot be mapped"):
        open_shard(path)
    np.savez_compressed(path, **shard())
    with pytest.raises(InputError, match="a.npz: is damaged .drafts.npy cannot be mapped"):
        open_shard(path)

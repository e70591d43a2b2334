import numpy as np
import pytest
from small_training import settings_with, shards  # noqa: F401

from deepsr.drafts.patches import save
from deepsr.errors import InputError
from deepsr.train import pool as pools
from deepsr.train.pool import Batches, Pool, choose, view_of


@pytest.fixture
def pool(shards):  # noqa: F811
    return Pool(shards)


@pytest.fixture(scope="session")
def numbered(tmp_path_factory):
    """A pool of 24 patches that begin with their number, in two clips of 8 and 16 patches; every other is for validation."""
    folder = tmp_path_factory.mktemp("numbered")
    target = np.random.default_rng(0).integers(0, 256, (24, 4, 4), dtype=np.uint8)
    target[:, 0, 0] = np.arange(24)
    for name, part in (("a", slice(8)), ("b", slice(8, None))):
        drafts = np.stack([target[part], 255 - target[part]], 1)
        save(folder / f"{name}.npz", drafts=drafts, target=target[part], validation=np.arange(24)[part] % 2 == 1)
    return Pool([folder / "a.npz", folder / "b.npz"]), target


def test_a_pool_is_its_clips_in_turn(numbered):
    pool, target = numbered
    drafts, found = pool[np.array([9, 0, 7, 8, 23])]
    assert np.array_equal(found, target[[9, 0, 7, 8, 23]])
    assert np.array_equal(drafts, np.stack([found, 255 - found], 1))
    assert pool.shape == (2, 4, 4)
    assert pool.clip.tolist() == [0] * 8 + [1] * 16
    assert pool.validation.tolist() == [False, True] * 12


def test_patches_are_drawn_once_and_never_from_validation(pool):
    training, validation = choose(pool, settings_with(patches=9))
    assert len(set(training)) == 9 and (np.diff(training) > 0).all()
    assert not pool.validation[training].any()
    assert pool.validation[validation].all() and len(validation) == 6
    assert not np.array_equal(training, choose(pool, settings_with(patches=9, seed=2))[0])
    assert np.array_equal(choose(pool, settings_with(patches=22))[0], choose(pool, settings_with())[0])


@pytest.mark.parametrize(
    "at_most, expected",
    [(12, range(1, 24, 2)), (13, range(1, 24, 2)), (6, [1, 5, 9, 13, 17, 21]), (5, [1, 5, 9, 15, 19]), (1, [1])],
)
def test_validation_patches_are_spread_evenly(numbered, monkeypatch, at_most, expected):
    monkeypatch.setattr(pools, "VALIDATION_PATCHES", at_most)
    training, validation = choose(numbered[0], settings_with(border=0))
    assert validation.tolist() == list(expected)
    assert training.tolist() == list(range(0, 24, 2))


def test_more_patches_than_there_are(pool):
    with pytest.raises(InputError, match="23 are asked for but the training clips give 22"):
        choose(pool, settings_with(patches=23))


@pytest.mark.parametrize("validation, message", [(0, "no validation patches"), (1, "hold only validation patches")])
def test_clips_without_training_or_validation(shards, tmp_path, validation, message):  # noqa: F811
    save(tmp_path / "a.npz", **dict(np.load(shards[0])) | {"validation": np.full(14, validation, bool)})
    with pytest.raises(InputError, match=message):
        choose(Pool([tmp_path / "a.npz"]), settings_with())


def test_clips_of_other_patches(shards, tmp_path):  # noqa: F811
    arrays = dict(np.load(shards[0]))
    save(tmp_path / "one.npz", **arrays | {"drafts": arrays["drafts"][:, :1]})
    with pytest.raises(InputError, match=r"one.npz: its patches are \(1, 28, 28\), those of .*a.npz \(2, 28, 28\)"):
        Pool([shards[0], tmp_path / "one.npz"])


def seen(batches, steps):
    """The numbers of the patches in each of the steps."""
    return [batches[step][1][:, 0, 0].tolist() for step in steps]


def test_every_epoch_shows_every_patch_once_in_another_order(numbered):
    settings = settings_with(border=0, augment=False, batch_size=5)
    chosen = choose(numbered[0], settings)[0]
    batches = Batches(numbered[0], chosen, settings)
    assert batches.per_epoch == 3
    shown = seen(batches, range(6))
    assert [len(batch) for batch in shown] == [5, 5, 2] * 2
    first, second = sum(shown[:3], []), sum(shown[3:], [])
    assert sorted(first) == sorted(second) == chosen.tolist()
    assert first != second and first != sorted(first)
    assert seen(Batches(numbered[0], chosen, settings), [4, 5, 1]) == [shown[4], shown[5], shown[1]]
    assert seen(Batches(numbered[0], chosen, settings_with(augment=False, batch_size=5, seed=7)), range(3)) != shown[:3]
    assert Batches(numbered[0], chosen, settings_with(batch_size=4)).per_epoch == 3


def test_drafts_and_target_of_a_patch_are_seen_alike_in_all_eight_views(numbered):
    pool, target = numbered
    settings = settings_with(border=0, batch_size=4)
    chosen = choose(pool, settings)[0]
    batches = Batches(pool, chosen, settings)
    views = set()
    for step in range(60):
        for drafts, image in zip(*batches[step], strict=True):
            assert np.array_equal(drafts, np.stack([image, 255 - image]))
            views |= {(n, v) for n in chosen for v in range(8) if np.array_equal(view_of(target[n], v), image)}
    assert {view for _, view in views} == set(range(8))
    assert {number for number, _ in views} == set(chosen)


def test_views_are_the_eight_symmetries():
    image = np.arange(9).reshape(1, 3, 3)
    assert len({view_of(image, view).tobytes() for view in range(8)}) == 8
    assert np.array_equal(view_of(image, 0), image)
    assert view_of(image, 1)[0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]  # a quarter to the left
    assert view_of(image, 4)[0].tolist() == [[2, 1, 0], [5, 4, 3], [8, 7, 6]]  # mirrored

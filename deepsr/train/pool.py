"""The patches of a training: the pool of all clips, the patches that are trained on and validated on, and the batches."""

import numpy as np

from deepsr.drafts import patches
from deepsr.errors import InputError

VALIDATION_PATCHES = 256  # at most: a validation then takes as long as about ten training steps of 8 patches


class Pool:
    """The patches of several clips as one sequence, read from disk as needed."""

    def __init__(self, paths):
        """paths: of shards (`deepsr.drafts.patches`). Raises InputError if their patches differ in shape."""
        self.shards = [patches.open_shard(path) for path in paths]
        self.shape = self.shards[0].drafts.shape[1:]  # (D, p, p)
        for path, shard in zip(paths, self.shards, strict=True):
            if shard.drafts.shape[1:] != self.shape:
                raise InputError(
                    f"{path}: its patches are {shard.drafts.shape[1:]}, those of {paths[0]} {self.shape} "
                    "(drafts, height, width); make all with the same settings."
                )
        counts = [len(shard.drafts) for shard in self.shards]
        self.clip = np.repeat(np.arange(len(counts)), counts)
        self.row = np.concatenate([np.arange(count) for count in counts])
        self.validation = np.concatenate([shard.validation for shard in self.shards])

    def __getitem__(self, indices):
        """Drafts uint8 (n, D, p, p) and targets uint8 (n, p, p) of an array of indices."""
        found = [(self.shards[self.clip[i]], self.row[i]) for i in indices]
        return np.stack([s.drafts[row] for s, row in found]), np.stack([s.target[row] for s, row in found])


def choose(pool, settings):
    """Indices of the patches to train on, and of those to validate on, both ascending.

    At most VALIDATION_PATCHES are validated on, spread evenly over the pool and so over the clips. Raises InputError if
    there are too few patches.
    """
    training, validation = np.flatnonzero(~pool.validation), np.flatnonzero(pool.validation)
    if not len(training):
        raise InputError("the training clips hold only validation patches; set patches.validation_frames to less.")
    if not len(validation):
        raise InputError("the training clips hold no validation patches; set patches.validation_frames to 1 or more.")
    if settings.patches is not None:
        if settings.patches > len(training):
            raise InputError(
                f"training.patches: {settings.patches} are asked for but the training clips give {len(training)}; "
                "ask for fewer, or cut more patches per frame."
            )
        chosen = np.random.default_rng([settings.seed, 0]).choice(training, settings.patches, replace=False)
        training = np.sort(chosen)
    count = min(VALIDATION_PATCHES, len(validation))
    return training, validation[np.arange(count) * len(validation) // count]


class Batches:
    """The batches of all steps. Their order and augmentation depend on the seed and the epoch alone."""

    def __init__(self, pool, training, settings):
        """pool: `Pool`; training: indices of patches; settings: `deepsr.train.settings.Settings`."""
        self.pool, self.training, self.settings = pool, training, settings
        self.per_epoch = -(-len(training) // settings.batch_size)
        self.epoch = None  # the epoch whose order was drawn last

    def __getitem__(self, step):
        """Drafts uint8 (n, D, p, p) and targets uint8 (n, p, p) of step 0, 1, ...; an epoch's last batch may be smaller."""
        epoch, batch = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            random = np.random.default_rng([self.settings.seed, 2, epoch])
            self.order = random.permutation(len(self.training))
            self.views = random.integers(0, 8 if self.settings.augment else 1, len(self.order))
            self.epoch = epoch
        part = slice(batch * self.settings.batch_size, (batch + 1) * self.settings.batch_size)
        drafts, target = self.pool[self.training[self.order[part]]]
        for i, view in enumerate(self.views[part]):
            drafts[i], target[i] = view_of(drafts[i], view), view_of(target[i], view)
        return drafts, target


def view_of(image, view):
    """One of the eight views of a square image (..., p, p): rotated by 90 degrees `view % 4` times, then flipped."""
    image = np.rot90(image, view % 4, axes=(-2, -1))
    return image[..., ::-1] if view >= 4 else image

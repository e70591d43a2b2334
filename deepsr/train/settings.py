"""The settings of a training."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that decide the numbers of a training. All but the first three are keys of the config's `training`."""

    network: str  # a name of `deepsr.registry.NETWORKS`
    scale: int  # ratio of HR to LR sides
    seed: int
    epochs: int  # 0: the network is its start, for instance the closed-form linear filter
    batch_size: int
    learning_rate: float
    schedule: str  # "constant" or "cosine" (falls to zero at the last step)
    warmup_steps: int  # the rate rises linearly over this many steps
    validate_every: int  # steps between two validations; the start and the end are validated, too
    precision: str  # "float32", or "mixed_bfloat16": the wide layers in bfloat16, weights and the rest in float32
    loss: str  # a name of `deepsr.registry.LOSSES`
    tv_weight: float  # weight of the total variation in "l1_tv"
    warm_start: bool  # begin as the best linear filter
    augment: bool  # flips and rotations by 90 degrees
    average: float  # decay of the exponential average of the weights; 0: none
    border: int  # pixels at a patch's edge that do not count: the network sees zero padding there
    patches: int | None  # how many are drawn from the training pool; None: all

import json
from itertools import count, product
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import mostly_slow
from small_training import same, settings_with, shards, train  # noqa: F401

from deepsr.drafts.patches import save
from deepsr.registry import NETWORKS
from deepsr.train import checkpoint, loop
from deepsr.train.devices import Cpu
from deepsr.train.loop import HISTORY, begin

# At a validation, and between two; always a chain of convolutions and a network that is none.
CASES = sorted(product(NETWORKS, (4, 7)), key=lambda case: case not in [("deepsr", 7), ("fast", 4)])


@pytest.mark.parametrize("name, steps", mostly_slow(CASES, 2))
def test_an_interrupted_training_continues_bit_by_bit(shards, tmp_path, monkeypatch, caplog, name, steps):  # noqa: F811
    caplog.set_level("INFO")
    whole = train(shards, tmp_path / "whole", network=name)
    original = checkpoint.save

    def save_and_stop(path, state, identity):
        original(path, state, identity)
        if state.step == steps:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save_and_stop)
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 0)
    with pytest.raises(KeyboardInterrupt):
        train(shards, tmp_path / "stopped", network=name)
    assert not (tmp_path / "stopped" / "model.keras").exists()
    monkeypatch.setattr(checkpoint, "save", original)
    weights, history, summary = train(shards, tmp_path / "stopped", network=name)
    assert f"training continues at step {steps}" in caplog.text
    assert same(weights, whole[0]) and history == whole[1] and summary == whole[2]
    assert not (tmp_path / "stopped" / "checkpoint.npz").exists()


def test_checkpoints_are_saved_at_validations_and_now_and_then(shards, tmp_path, monkeypatch):  # noqa: F811
    """On a clock that goes on by a second at each look: a busy machine may take longer than the time between checkpoints."""
    saved = []
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=count().__next__))
    monkeypatch.setattr(checkpoint, "save", lambda path, state, identity: saved.append(state.step))
    train(shards, tmp_path, validate_every=5)
    assert saved == [5, 10, 12]
    saved.clear()
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 0)
    train(shards, tmp_path, validate_every=5)
    assert saved == list(range(1, 13))


def test_other_settings_or_data_or_a_damaged_checkpoint_are_not_continued(shards, tmp_path, caplog):  # noqa: F811
    caplog.set_level("INFO")
    path = tmp_path / "checkpoint.npz"
    identity = {"settings": "1", "data": "2", "code": "3", "devices": "4"}
    state = begin(np.arange(3, dtype=np.float32))
    assert checkpoint.load(path, identity) is None
    state.step, state.history = 7, np.ones((2, len(HISTORY)))
    checkpoint.save(path, state, identity)
    found = checkpoint.load(path, identity)
    assert found.step == 7 and isinstance(found.step, int)
    assert all(np.array_equal(value, vars(state)[name]) for name, value in vars(found).items())
    assert "checkpoint.npz: training continues at step 7" in caplog.text
    for part in identity:
        assert checkpoint.load(path, identity | {part: "another"}) is None
        assert f"checkpoint.npz: the checkpoint is of other {part}; training begins anew" in caplog.text
    assert checkpoint.load(path, identity | {"data": "5", "code": "6"}) is None
    assert "the checkpoint is of other data and code;" in caplog.text
    np.savez(tmp_path / "empty.npz", identity=json.dumps(identity))
    for content in (b"", b"PK\x03\x04 nonsense", path.read_bytes()[:-30], (tmp_path / "empty.npz").read_bytes()):
        path.write_bytes(content)
        caplog.clear()
        assert checkpoint.load(path, identity) is None
        assert "checkpoint is damaged" in caplog.text


def test_a_damaged_checkpoint_is_replaced(shards, tmp_path):  # noqa: F811
    fresh = train(shards, tmp_path / "fresh", epochs=1)[0]
    (tmp_path / "checkpoint.npz").write_bytes(b"nonsense")
    assert same(train(shards, tmp_path, epochs=1)[0], fresh)
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_checkpoint_knows_settings_data_code_and_device(shards, tmp_path):  # noqa: F811
    arrays = dict(np.load(shards[0]))
    arrays["target"][0, 0, 0] ^= 1
    save(tmp_path / "a.npz", **arrays)
    (tmp_path / "start.keras").write_text("one")

    class Gpu:
        name = "gpu:0"

    common = {"settings": settings_with(), "start_weights": None, "device": Cpu(1)}

    def differing(files=shards, **changes):
        one, other = checkpoint.identify(shards, **common), checkpoint.identify(files, **common | changes)
        return [part for part in one if one[part] != other[part]]

    assert differing() == differing(device=Cpu(2)) == []
    assert differing([str(tmp_path / "a.npz"), shards[1]]) == ["data"]
    assert differing(start_weights=str(tmp_path / "start.keras")) == ["data"]
    assert differing(settings=settings_with(seed=2)) == ["settings"]
    assert differing(device=Gpu()) == ["devices"]
    modules = set(json.loads(checkpoint.identify(shards, **common)["code"])[0])
    names = "loop", "optimizer", "losses", "objective", "pool", "start", "devices"
    assert {"training.py", "networks.deepsr", *(f"train.{name}" for name in names)} <= modules

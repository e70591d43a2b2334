import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsr.data.frames import write_clip
from deepsr.drafts.patches import save
from deepsr.errors import InputError
from deepsr.files import atomic, sha256, writing


def test_writes_and_leaves_nothing_else(tmp_path):
    with atomic(tmp_path / "new" / "a.txt") as part:
        assert part.suffix == ".txt" and part.parent == tmp_path / "new"
        part.write_text("whole")
        number = part.stat().st_ino
    assert (tmp_path / "new" / "a.txt").stat().st_ino == number  # renamed, not copied
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"


def test_an_error_keeps_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_killed_writer_leaves_no_file_that_passes_for_finished(tmp_path):
    script = f"""
import time
from deepsr.files import atomic
with atomic({str(tmp_path / "a.png")!r}) as part:
    part.write_text("half")
    print("written", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent
    ) as process:
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "a.png").exists()
    assert all(name.startswith(".") for name in os.listdir(tmp_path))


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".a.77.part.txt").write_text("left by another process")
    others = [".a.77.part.png", ".ab.77.part.txt", ".a.b.part.txt", "a.77.part.txt", ".a.77.part.txt.bak"]
    for name in others:
        (tmp_path / name).write_text("")
    with atomic(tmp_path / "a.txt") as part:
        part.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "a.txt"])


def test_what_is_left_may_be_gone_before_it_is_removed(tmp_path, monkeypatch):
    """Another process writes the same file."""
    monkeypatch.setattr(os, "listdir", lambda path: [".a.77.part.txt"])
    with atomic(tmp_path / "a.txt") as part:
        part.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    """So that a power cut leaves no empty file under the name of a finished one."""
    done = []
    monkeypatch.setattr(os, "fsync", lambda number, real=os.fsync: done.append("fsync") or real(number))
    monkeypatch.setattr(os, "replace", lambda old, new, real=os.replace: done.append("replace") or real(old, new))
    with atomic(tmp_path / "a.txt") as part:
        part.write_text("whole")
    assert done == ["fsync", "replace"]


def test_other_errors_are_not_the_disks(tmp_path):
    with pytest.raises(FileNotFoundError), writing(tmp_path / "new/deep/a.txt"):
        (tmp_path / "nowhere/a.txt").read_text()
    assert os.listdir(tmp_path / "new/deep") == []
    with writing(tmp_path / "new/deep/a.txt"):  # the folder is there
        pass


def test_sha256_is_of_the_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False)
    if mount.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("a small file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def write_text(path):
    with atomic(path) as part:
        part.write_text("x" * 200_000)


def write_picture(path):
    with atomic(path) as part:
        cv2.imwrite(str(part), NOISE)


NOISE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
WRITERS = {
    "a.txt": write_text,
    "a.png": write_picture,
    "a.npz": lambda path: save(path, drafts=NOISE),
    "a.zip": lambda path: write_clip(path, [NOISE]),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_said_and_cleaned_up(full_disk, name):
    with pytest.raises(InputError, match=f"{name}: cannot be written.*make room"):
        WRITERS[name](full_disk / name)
    assert os.listdir(full_disk) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_errors_of_the_disk_are_one_sentence(tmp_path, error):
    with pytest.raises(InputError, match=f"a.txt: cannot be written .{error.strerror}"), atomic(tmp_path / "a.txt"):
        raise error


def test_a_writer_that_fails_without_a_word_is_noticed(tmp_path):
    with pytest.raises(InputError, match="a.png: cannot be written"), atomic(tmp_path / "a.png"):
        pass

"""deepsr.data.contents: contents decide; names, sizes, times and inodes only tell what has to be read again."""

import json
import os
import shutil
import zipfile

import pytest

from deepsr.data import contents as module
from deepsr.data.contents import contents
from deepsr.errors import InputError


@pytest.fixture
def clip(tmp_path):
    """A folder of three files."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.png").write_bytes(b"frame %d" % i)
    return folder


@pytest.fixture
def read(monkeypatch):
    """Names of the files that are read, as they are read."""
    names = []

    def sha256(path, real=module.sha256):
        names.append(os.path.basename(path))
        return real(path)

    monkeypatch.setattr(module, "sha256", sha256)
    return names


def of(folder, memory=None):
    return contents(sorted(folder.iterdir()), memory or folder.parent / "memory/clips/clip.json")


def later(memory):
    """The memory as it is if it was written a second after the files."""
    time = os.stat(memory).st_mtime_ns + 10**9
    os.utime(memory, ns=(time, time))


def test_nothing_is_read_twice(clip, read, tmp_path):
    first = of(clip)
    assert read == ["0.png", "1.png", "2.png"]
    later(tmp_path / "memory/clips/clip.json")
    assert of(clip) == first and len(read) == 3


def swap_folder(clip):
    """Other frames of the same names, sizes and times in its place, as `mv` and `cp -a` do."""
    other = shutil.copytree(clip, clip.parent / "v2")
    (other / "1.png").write_bytes(b"other 1")
    shutil.copystat(clip / "1.png", other / "1.png")
    clip.rename(clip.parent / "elsewhere")
    other.rename(clip)


def same_size_and_time(clip):
    times = os.stat(clip / "1.png")
    (clip / "1.png").write_bytes(b"other 1")
    os.utime(clip / "1.png", ns=(times.st_atime_ns, times.st_mtime_ns))


def rename(clip):
    (clip / "1.png").rename(clip / "1b.png")


def reorder(clip):
    (clip / "1.png").rename(clip / "x")
    (clip / "2.png").rename(clip / "1.png")
    (clip / "x").rename(clip / "2.png")


def add(clip):
    (clip / "3.png").write_bytes(b"frame 3")


def remove(clip):
    (clip / "2.png").unlink()


@pytest.mark.parametrize("change", [swap_folder, same_size_and_time, rename, reorder, add, remove])
def test_other_contents_have_another_hash(clip, tmp_path, change):
    first = of(clip)
    later(tmp_path / "memory/clips/clip.json")
    change(clip)
    second = of(clip)
    assert second != first
    later(tmp_path / "memory/clips/clip.json")
    assert of(clip) == second


def test_a_link_to_a_folder_that_is_turned_to_another(clip, tmp_path):
    other = shutil.copytree(clip, tmp_path / "v2")
    (other / "0.png").write_bytes(b"FRAME 0")
    (tmp_path / "link").symlink_to(clip)
    first = of(tmp_path / "link")
    later(tmp_path / "memory/clips/clip.json")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(other)
    assert of(tmp_path / "link") != first


def touch(clip):
    for path in clip.iterdir():
        path.touch()


def copy(clip):
    shutil.copytree(clip, clip.parent / "copy")
    shutil.rmtree(clip)
    (clip.parent / "copy").rename(clip)


@pytest.mark.parametrize("change", [touch, copy])
def test_equal_contents_are_read_again_once(clip, read, tmp_path, change):
    first = of(clip)
    later(tmp_path / "memory/clips/clip.json")
    change(clip)
    assert of(clip) == first and len(read) == 6
    later(tmp_path / "memory/clips/clip.json")
    assert of(clip) == first and len(read) == 6


def test_of_a_folder_the_images_are_meant(clip, tmp_path):
    (clip / "10.png").write_bytes(b"frame 10")
    (clip / "notes.txt").write_text("not an image")
    images = [clip / f"{i}.png" for i in (0, 1, 2, 10)]
    assert contents([clip], tmp_path / "memory.json") == contents(images, tmp_path / "other.json")


def test_only_the_file_that_has_changed_is_read(clip, read, tmp_path):
    of(clip)
    later(tmp_path / "memory/clips/clip.json")
    (clip / "1.png").touch()
    of(clip)
    assert read[3:] == ["1.png"]


def test_where_the_files_are_does_not_count(clip, tmp_path):
    shutil.copytree(clip, tmp_path / "moved/deep")
    assert of(clip) == of(tmp_path / "moved/deep")
    assert of(clip) == contents([str(path) for path in sorted(clip.iterdir())], tmp_path / "other.json")


def test_a_file_written_when_the_memory_was_is_not_trusted(clip, read, tmp_path):
    """A change within one tick of the clock leaves size and times as they were. The time of the last writing may be any."""
    for path in clip.iterdir():
        os.utime(path, (10**9, 10**9))
    of(clip)
    memory = tmp_path / "memory/clips/clip.json"
    for since, again in ((-1, True), (0, True), (1, False)):
        read.clear()
        time = max(os.stat(path).st_ctime_ns for path in clip.iterdir()) + since
        os.utime(memory, ns=(time, time))
        of(clip)
        assert ("2.png" in read) is again


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": 1}', b"\xff"])
def test_a_damaged_memory_is_no_memory(clip, tmp_path, text):
    first = of(clip)
    memory = tmp_path / "memory/clips/clip.json"
    memory.write_bytes(text if isinstance(text, bytes) else text.replace("a", str(clip / "0.png")).encode())
    later(memory)
    assert of(clip) == first
    assert list(json.loads(memory.read_text())) == [str(clip / f"{i}.png") for i in range(3)]


def test_a_memory_that_cannot_be_written_costs_only_time(clip, tmp_path):
    (tmp_path / "file").write_text("")
    assert of(clip, tmp_path / "file/clip.json") == of(clip)


def test_a_file_that_is_not_there_is_named(clip, tmp_path):
    with pytest.raises(InputError, match="3.png: cannot be read .No such file or directory.; put the file back"):
        contents([clip / "3.png"], tmp_path / "memory.json")


def write_zip(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_an_archive_counts_by_its_directory(tmp_path, read):
    path, memory = tmp_path / "a.zip", tmp_path / "memory.json"
    hashes = []
    for members in ({"x": "1", "y": "22"}, {"y": "22", "x": "1"}, {"x": "2", "y": "22"}, {"x": "1", "z": "22"}, {"x": "1"}):
        write_zip(path, **members)
        hashes.append(contents([path], memory))
        later(memory)
        assert contents([path], memory) == hashes[-1]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 4
    assert read == []


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "a.zip").write_text("<html>")
    with pytest.raises(InputError, match="a.zip: is not a complete zip archive"):
        contents([tmp_path / "a.zip"], tmp_path / "memory.json")


def test_many_clips_of_one_archive_read_its_directory_once(tmp_path, monkeypatch):
    write_zip(tmp_path / "a.zip", x="1")
    opened = []
    monkeypatch.setattr(module, "open_zip", lambda path, real=module.open_zip: opened.append(path) or real(path))
    hashes = {contents([tmp_path / "a.zip"], tmp_path / f"{clip}.json") for clip in range(3)}
    assert len(hashes) == len(opened) == 1

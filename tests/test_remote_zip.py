"""deepsr.fetch.remote_zip: only what is asked for is transferred, and nothing harmful is let through."""

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reds_server import Fault, RedsServer, picture, reds_archive

from deepsr.data import reds
from deepsr.data.zips import check_members, open_zip
from deepsr.errors import InputError
from deepsr.fetch.remote import Remote
from deepsr.fetch.remote_zip import HttpFile, fetch_clip

NAME = "train_sharp.zip"
PREFIX = reds.ARCHIVES["train_sharp"]["prefix"]
CLIPS = ["000", "001", "011"]
FRAMES = 4


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A ZIP64 archive of some 4 MB with the tree of REDS, and its members."""
    path = tmp_path_factory.mktemp("tree") / NAME
    return path, reds_archive(path, PREFIX, CLIPS, FRAMES, height=240, width=426)


@pytest.fixture
def server(tree, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with RedsServer({NAME: tree[0]}) as server:
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "clips" / "001.zip"


def fetch(server, target, clip="001", **options):
    waits = []
    fetch_clip(server.url(NAME), f"{PREFIX}{clip}/", target, **{"timeout": 5, "sleep": waits.append} | options)
    return waits


def sent(server):
    return server.sent[f"/cdn/{NAME}"]


def frames_of(members, clip="001"):
    return {name.rpartition("/")[2]: data for name, data in members.items() if f"/{clip}/" in name}


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def assert_complete(target, members, clip="001"):
    assert contents(target) == frames_of(members, clip)
    assert os.listdir(target.parent) == [target.name]


def directory_size(path):
    with zipfile.ZipFile(path) as archive:
        return path.stat().st_size - archive.start_dir


# ---- HttpFile


def test_archive_is_zip64(tree):
    data = tree[0].read_bytes()
    assert b"PK\x06\x06" in data[-4096:]  # the ZIP64 end of central directory record
    assert data[-22:].startswith(b"PK\x05\x06")


def test_http_file_reads_as_the_file_itself(server, tree):
    rng = random.Random(1)
    remote = HttpFile(Remote(server.url(NAME)))
    with open(tree[0], "rb") as local:
        size = local.seek(0, os.SEEK_END)
        assert remote.seek(0, os.SEEK_END) == size
        for _ in range(200):
            whence = rng.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])
            goal = rng.randrange(size)
            offset = goal - {os.SEEK_SET: 0, os.SEEK_CUR: local.tell(), os.SEEK_END: size}[whence]
            n = rng.choice([0, 1, 30, 5_000, 2_000_000])
            assert remote.seek(offset, whence) == local.seek(offset, whence) == goal
            assert remote.read(n) == local.read(n)
            assert remote.tell() == local.tell()
        assert remote.read(10) == local.read(10)


def test_long_forward_reading_is_one_request_and_forgets_what_has_passed(tmp_path):
    data = random.Random(2).randbytes(12_000_000)
    with RedsServer({"x": data}) as server:
        file = HttpFile(Remote(server.url("x")))
        file.expect(0, len(data))
        read = b""
        while block := file.read(100_000):
            read += block
            assert len(file._buffer) < 7_000_000
        assert read == data
        assert server.ranges("x") == ["bytes=0-0", f"bytes=0-{len(data) - 1}"]


def test_directory_of_a_full_size_training_archive_takes_few_requests(tmp_path):
    path = tmp_path / NAME
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("padding", random.Random(3).randbytes(5_000_000))
        for clip in range(240):
            for frame in range(100):
                archive.writestr(f"{PREFIX}{clip:03d}/{frame:08d}.png", b"")
    with RedsServer({NAME: path}) as server:
        archive = open_zip(HttpFile(Remote(server.url(NAME))))
        assert len(archive.namelist()) == 1 + 240 * 100
        assert len(server.ranges(NAME)) <= 4
        assert sent(server) < directory_size(path) + 3 * (1 << 20)


# ---- fetch_clip


def test_only_the_clip_and_the_directory_are_transferred(server, tree, target):
    fetch(server, target)
    assert_complete(target, tree[1])
    clip = sum(len(data) + 200 for data in frames_of(tree[1]).values())
    assert sent(server) <= 1 + (1 << 20) + directory_size(tree[0]) + clip
    assert sent(server) < tree[0].stat().st_size * 0.7
    assert len(server.ranges(NAME)) <= 4  # size, directory (1 or 2), all frames at once


def test_same_frames_give_the_same_bytes(server, tree, tmp_path):
    digests = set()
    for name in ("first.zip", "second.zip"):
        fetch(server, tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_first_frames_only(server, tree, target):
    fetch(server, target, frames=2)
    assert contents(target) == dict(list(frames_of(tree[1]).items())[:2])


def test_fetched_clip_passes_the_checks_of_local_archives(server, target):
    fetch(server, target)
    with open_zip(target) as archive:
        assert archive.namelist() == [f"{i:08d}.png" for i in range(FRAMES)]


def test_members_in_any_order_and_between_others(tmp_path, target):
    path = tmp_path / NAME
    members = {f"{PREFIX}{clip}/{i:08d}.png": picture((int(clip), i)) for clip in CLIPS for i in range(FRAMES)}
    names = list(members)
    random.Random(4).shuffle(names)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, members[name])
            archive.writestr(f"padding/{name}", bytes(70_000))
    with RedsServer({NAME: path}) as server:
        fetch(server, target)
        assert_complete(target, members)
        assert list(contents(target)) == [f"{i:08d}.png" for i in range(FRAMES)]
        spans = [re.findall(r"\d+", wanted) for wanted in server.ranges(NAME)[-FRAMES:]]
        frames = sum(len(data) + 200 for data in frames_of(members).values())
        assert sum(int(last) + 1 - int(first) for first, last in spans) < frames


def test_connection_cut_at_ten_points(server, tree, target):
    with zipfile.ZipFile(tree[0]) as archive:
        spans = [m.header_offset for m in archive.infolist() if "/001/" in m.filename]
    cuts = sorted(random.Random(5).sample(range(min(spans), max(spans)), 10))
    server.faults.extend([Fault(), Fault(), *(Fault(cut=cut) for cut in cuts)])
    waits = fetch(server, target)
    assert_complete(target, tree[1])
    assert len(waits) == 10
    clip = sum(len(data) + 200 for data in frames_of(tree[1]).values())
    assert sent(server) <= 1 + (2 << 20) + directory_size(tree[0]) + clip


@pytest.mark.parametrize("status", [500, 429])
def test_passing_failures_of_the_server(server, tree, target, status):
    server.faults.extend([Fault(), Fault(status=status, retry_after="11"), Fault(few=10_000), Fault(stall=0)])
    assert fetch(server, target, timeout=1)[0] == 11
    assert_complete(target, tree[1])


def broken(tmp_path, what):
    """A mirror's archive with something wrong in it."""
    path = tmp_path / f"{what}.zip"
    if what == "no archive":
        path.write_bytes(b"PK" + bytes(3000))
    else:
        clips = {"no clip": ["000"], "few frames": CLIPS, "damaged frame": CLIPS}[what]
        members = reds_archive(path, PREFIX, clips, 2 if what == "few frames" else FRAMES, height=240, width=426)
    if what == "damaged frame":
        frame = members[f"{PREFIX}001/00000001.png"]
        path.write_bytes(path.read_bytes().replace(frame, frame[:-30] + bytes([frame[-30] ^ 1]) + frame[-29:]))
    return path


@pytest.mark.parametrize("what", ["no archive", "no clip", "few frames", "damaged frame"])
def test_mirror_takes_over_from_a_wrong_archive(server, tree, target, tmp_path, what):
    server.put("wrong.zip", broken(tmp_path, what).read_bytes())
    urls = [server.url("wrong.zip"), server.url(NAME)]
    fetch_clip(urls, f"{PREFIX}001/", target, FRAMES, timeout=5, sleep=[].append)
    assert_complete(target, tree[1])


def test_a_file_in_the_way_is_named(server, target):
    target.parent.mkdir()
    Path(f"{target}.part").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"001.zip.part: is a file, but the frames of a clip .* go into a folder there; remove"
    ):
        fetch(server, target)


def kept(target):
    return sorted(path.name for path in Path(f"{target}.part").glob("0*.png"))


def fail_in_third_frame(server, tree, target):
    with zipfile.ZipFile(tree[0]) as archive:
        third = archive.getinfo(f"{PREFIX}001/00000002.png").header_offset
    server.faults.extend([Fault(), Fault(), Fault(cut=third + 1000)])
    with pytest.raises(InputError, match="could not be downloaded"):
        fetch(server, target, retries=0)
    assert not target.exists()
    assert kept(target) == ["00000000.png", "00000001.png"]
    server.requests.clear()
    server.sent.clear()
    return third


def test_frames_that_have_arrived_are_not_fetched_again(server, tree, target):
    third = fail_in_third_frame(server, tree, target)
    fetch(server, target)
    assert_complete(target, tree[1])
    assert server.ranges(NAME)[-1].startswith(f"bytes={third}-")


def test_killed_process_is_resumed(server, tree, target):
    with zipfile.ZipFile(tree[0]) as archive:
        third = archive.getinfo(f"{PREFIX}001/00000002.png").header_offset
    server.faults.extend([Fault(), Fault(), Fault(stall=third + 1000)])
    code = "import sys; from deepsr.fetch.remote_zip import fetch_clip; fetch_clip(*sys.argv[1:])"
    command = [sys.executable, "-c", code, server.url(NAME), f"{PREFIX}001/", target]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    try:
        deadline = time.monotonic() + 30
        while len(kept(target)) < 2:
            assert time.monotonic() < deadline, "the other process did not get there"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait(10)
    fetch(server, target)
    assert_complete(target, tree[1])
    assert server.ranges(NAME)[-1].startswith(f"bytes={third}-")


def test_frames_of_another_version_of_the_archive_are_not_kept(server, tree, target, tmp_path):
    fail_in_third_frame(server, tree, target)
    other = {name: tree[1][name] if name.endswith("0.png") else picture(i, 240, 426) for i, name in enumerate(tree[1])}
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        for name, data in other.items():
            archive.writestr(name, data)
    server.put(NAME, (tmp_path / "other.zip").read_bytes())
    (tmp_path / "other.zip").unlink()
    fetch(server, target)
    assert contents(target) == frames_of(other)


def test_damaged_kept_frame_is_fetched_again(server, tree, target):
    fail_in_third_frame(server, tree, target)
    frame = Path(f"{target}.part") / "00000001.png"
    frame.write_bytes(bytes(frame.stat().st_size))
    fetch(server, target)
    assert_complete(target, tree[1])


def test_archive_that_changes_meanwhile_is_refused(server, tree, target):
    server.faults.extend([Fault(), Fault(), Fault(status=500)])
    with pytest.raises(InputError, match="it has changed on the server"):
        fetch(server, target, sleep=lambda seconds: server.put(NAME, tree[0].read_bytes(), etag='"new"'))
    assert not target.exists()


def test_mirror_is_tried_when_the_first_cannot_send_parts(server, tree, target):
    server.put("whole.zip", tree[0].read_bytes(), ranges=False)
    fetch_clip([server.url("whole.zip"), server.url(NAME)], f"{PREFIX}001/", target, sleep=print)
    assert_complete(target, tree[1])


def test_server_without_ranges_is_refused_before_the_whole_is_sent(server, tree, target):
    server.put(NAME, tree[0].read_bytes(), ranges=False)
    with pytest.raises(InputError, match="cannot send parts of a file, so download the whole file"):
        fetch(server, target)


def test_wrong_size_is_refused(server, tree, target):
    with pytest.raises(InputError, match=r"bytes long, but 34,261,573,976 are expected"):
        fetch(server, target, size=reds.ARCHIVES["train_sharp"]["size"])


def test_missing_clip(server, target):
    with pytest.raises(InputError, match=r"train_sharp.zip: has no clip 'train/train_sharp/999/'"):
        fetch(server, target, clip="999")


def test_too_few_frames(server, target):
    with pytest.raises(InputError, match=r"'train/train_sharp/001/' has 4 frames, but 100 are asked for"):
        fetch(server, target, frames=100)


def test_wrong_crc_is_refused_and_names_the_frame(server, tree, target):
    data = bytearray(tree[0].read_bytes())
    with zipfile.ZipFile(tree[0]) as archive:
        member = archive.getinfo(f"{PREFIX}001/00000002.png")
    data[member.header_offset + 5_000] ^= 1
    server.put(NAME, bytes(data))
    with pytest.raises(InputError, match=r"001/00000002.png' is damaged"):
        fetch(server, target)
    assert not target.exists()
    assert kept(target) == ["00000000.png", "00000001.png"]


def test_web_page_is_refused(server, target):
    server.faults.append(Fault(page=True))
    with pytest.raises(InputError, match="a web page instead of the file"):
        fetch(server, target)


def test_remote_file_that_is_no_zip(server, target):
    server.put(NAME, bytes(100_000))
    with pytest.raises(InputError, match="not a complete zip archive"):
        fetch(server, target)


def test_no_space(server, target, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(InputError, match="GB more are needed"):
        fetch(server, target)
    assert kept(target) == []


def test_harmful_archive_is_refused_before_a_frame_is_fetched(server, target, tmp_path):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{PREFIX}001/00000000.png", picture(1))
        archive.writestr(f"{PREFIX}001/../../../../evil.png", picture(2))
    server.put(NAME, path.read_bytes())
    with pytest.raises(InputError, match="outside of its folder"):
        fetch(server, target)
    assert kept(target) == []


# ---- check_members, open_zip


def crafted(path, name="000/1.png", data=b"x" * 1000, change=None, compress_type=zipfile.ZIP_STORED):
    """An archive of one sound member and another that `change(member)` has tampered with in the directory."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("000/0.png", b"y" * 1000)
        member = zipfile.ZipInfo(name)
        archive.writestr(member, data, compress_type)
        if change:
            change(member)
    return path


def set_(**values):
    return lambda member: [setattr(member, key, value) for key, value in values.items()]


@pytest.mark.parametrize("name", ["../evil", "000/../../evil.png", "/etc/evil", "..\\evil", "\\evil", "C:\\evil", "c:evil"])
def test_names_that_leave_the_folder(tmp_path, name):
    with pytest.raises(InputError, match=re.escape(repr(name)) + " would be written outside"):
        open_zip(crafted(tmp_path / "a.zip", name))


@pytest.mark.parametrize("name", ["a..b/1.png", "000/1..png", "...", "000/"])
def test_harmless_names(tmp_path, name):
    open_zip(crafted(tmp_path / "a.zip", name, data=b"" if name.endswith("/") else b"x"))


@pytest.mark.parametrize(
    "change, sentence",
    [
        (set_(external_attr=0o120777 << 16), "is a link or a special file"),
        (set_(external_attr=0o010644 << 16), "is a link or a special file"),
        (set_(flag_bits=1), "is encrypted"),
        (set_(compress_type=zipfile.ZIP_LZMA), "another method"),
        (set_(header_offset=0), "overlaps another member"),
        (set_(file_size=1001), "contradictory sizes, 1,001 and 1,000 bytes"),
        (set_(file_size=1 << 20, compress_size=1 << 20), "reaches beyond the end"),
        (set_(file_size=600 << 20, compress_size=600 << 20), "zip bomb"),
        (set_(file_size=1 << 40, compress_type=zipfile.ZIP_DEFLATED), "zip bomb"),
    ],
)
def test_refused_members(tmp_path, change, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        open_zip(crafted(tmp_path / "a.zip", change=change))
    assert "000/" in str(error.value)
    assert str(tmp_path / "a.zip") in str(error.value)


def test_real_bomb(tmp_path):
    path = crafted(tmp_path / "a.zip", data=bytes(20_000_000), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="would unpack to 20,000,000 bytes"):
        open_zip(path)


def test_bomb_of_many_small_members(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(20):
            archive.writestr(f"{i}.png", bytes(900_000))
    with pytest.raises(InputError, match="and those before it would unpack to"):
        open_zip(tmp_path / "a.zip")


def test_duplicate(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        crafted(tmp_path / "a.zip", "000/0.png")
    with pytest.raises(InputError, match="is there twice"):
        open_zip(tmp_path / "a.zip")


def test_sound_archive_passes(tree):
    with zipfile.ZipFile(tree[0]) as archive:
        check_members(archive)


def test_web_page_saved_as_archive(tmp_path):
    (tmp_path / "a.zip").write_text("<!DOCTYPE html><title>Quota exceeded</title>")
    with pytest.raises(InputError, match=r"a\.zip: is not a complete zip archive .*web page"):
        open_zip(tmp_path / "a.zip")


def test_missing_archive(tmp_path):
    with pytest.raises(InputError, match=r"a\.zip: there is no such file"):
        open_zip(tmp_path / "a.zip")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.integers(-400, -1), st.integers(1, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 29),
)
def test_damaged_directory_is_never_a_traceback(tmp_path, flips, cut):
    path = crafted(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    for offset, bits in flips:
        data[offset] ^= bits
    path.write_bytes(data[: len(data) - cut])
    try:
        open_zip(path).close()
    except InputError as error:
        assert str(path) in str(error)


# ---- reds


def test_splits_do_not_overlap():
    every = {f"{part}_{clip}" for part in ("train", "val") for clip in reds.ARCHIVES[f"{part}_sharp"]["clips"]}
    for split in reds.SPLITS.values():
        assert len({*split["train"], *split["test"]}) == len(split["train"]) + len(split["test"])
        assert {*split["train"], *split["test"]} <= every
    for part in ("train", "val"):
        assert reds.ARCHIVES[f"{part}_sharp_bicubic"]["clips"] == reds.ARCHIVES[f"{part}_sharp"]["clips"]


def test_sizes_of_splits():
    four = ["train_000", "train_011", "train_015", "train_020"]
    official, reds4, without = (reds.SPLITS[name] for name in ("official", "reds4", "reds4_without_val"))
    assert [len(official["train"]), len(official["test"])] == [240, 30]
    assert len(reds4["train"]) == 266 and set(official["test"]) < set(reds4["train"])
    assert len(without["train"]) == 236 and reds4["test"] == without["test"] == four

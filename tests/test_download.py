"""deepsr.fetch.download: whatever happens on the way, the same bytes arrive in the end, and no good byte twice."""

import errno
import hashlib
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reds_server import Fault, RedsServer

import deepsr.fetch.download
from deepsr.errors import InputError
from deepsr.fetch.download import download

DATA = random.Random(1).randbytes(1_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "train_sharp.zip"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with RedsServer({NAME: DATA}) as server:
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / NAME


class Sleep(list):
    """Notes the waits instead of waiting."""

    def __call__(self, seconds):
        self.append(seconds)


def get(server, target, **options):
    waits = Sleep()
    download(server.url(NAME), target, **{"size": len(DATA), "digest": SHA256, "timeout": 5, "sleep": waits} | options)
    return waits


def sent(server):
    return server.sent[f"/cdn/{NAME}"]


def leave_part(server, target, at=600_000):
    """A first try that fails at byte `at`."""
    server.faults.append(Fault(cut=at))
    with pytest.raises(InputError):
        get(server, target, retries=0)
    assert part(target).stat().st_size == at


def part(target):
    return Path(f"{target}.part")


def assert_complete(target, data=DATA):
    assert target.read_bytes() == data
    assert os.listdir(target.parent) == [target.name]


def test_plain_download_follows_the_redirect_and_leaves_only_the_file(server, target):
    assert get(server, target) == []
    assert_complete(target)
    assert [path for path, _ in server.requests] == [f"/resolve/{NAME}", f"/cdn/{NAME}"]


@pytest.mark.parametrize("size, digest", [(None, None), (len(DATA), None), (None, SHA256.upper())])
def test_size_and_digest_need_not_be_known(server, target, size, digest):
    get(server, target, size=size, digest=digest)
    assert_complete(target)


def test_connection_cut_at_ten_points_in_one_run(server, target):
    cuts = sorted(random.Random(2).sample(range(1, len(DATA)), 10))
    server.faults.extend(Fault(cut=cut) for cut in cuts)
    waits = get(server, target)
    assert_complete(target)
    assert sent(server) == len(DATA)  # no byte twice
    assert len(waits) == 10
    assert set(waits) == {2}  # each try brought something, so patience starts anew


@pytest.mark.parametrize("cut", random.Random(3).sample(range(1, len(DATA)), 10))
def test_run_that_failed_is_resumed_by_the_next(server, target, cut):
    leave_part(server, target, cut)
    assert not target.exists()
    get(server, target)
    assert_complete(target)
    assert server.ranges(NAME) == [None, f"bytes={cut}-"]
    assert sent(server) == len(DATA)


def test_killed_process_is_resumed(server, target):
    server.faults.append(Fault(stall=700_000))
    code = "import sys; from deepsr.fetch.download import download; download(sys.argv[1], sys.argv[2])"
    repository = Path(__file__).parents[1]
    process = subprocess.Popen([sys.executable, "-c", code, server.url(NAME), target], cwd=repository)
    try:
        wait_for(lambda: part(target).exists() and part(target).stat().st_size > 600_000)
        with pytest.raises(InputError, match="another process is downloading"):
            get(server, target)
    finally:
        process.kill()
        process.wait(10)
    kept = part(target).stat().st_size
    assert not target.exists()
    get(server, target)
    assert_complete(target)
    assert server.ranges(NAME)[-1] == f"bytes={kept}-"


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the other process did not get there"
        time.sleep(0.05)


def test_interruption_keeps_what_has_arrived(server, target):
    def interrupt(seconds):
        raise KeyboardInterrupt

    server.faults.append(Fault(cut=300_000))
    with pytest.raises(KeyboardInterrupt):
        get(server, target, sleep=interrupt)
    get(server, target)
    assert_complete(target)
    assert sent(server) == len(DATA)


def test_too_few_bytes_are_followed_by_the_rest(server, target):
    server.faults.extend([Fault(cut=400_000), Fault(few=500_000), Fault(few=900_000)])
    get(server, target)
    assert_complete(target)
    assert sent(server) == len(DATA)


def test_500_is_tried_again_with_growing_waits(server, target):
    server.faults.extend(Fault(status=status) for status in (500, 502, 503, 504, 500, 500, 500))
    assert get(server, target, retries=7) == [2, 4, 8, 16, 32, 60, 60]
    assert_complete(target)


def test_429_waits_as_long_as_the_server_asks(server, target):
    server.faults.append(Fault(status=429, retry_after="17"))
    assert get(server, target) == [17]
    assert_complete(target)


def test_retry_after_as_a_date(server, target):
    server.faults.append(
        Fault(status=503, retry_after=time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 600)))
    )
    (wait,) = get(server, target)
    assert 300 < wait <= 600


def test_server_that_asks_for_a_day_is_given_up(server, target):
    server.faults.append(Fault(status=429, retry_after="86400"))
    with pytest.raises(InputError, match="asks to wait 86400 s"):
        get(server, target)


def test_retries_are_bounded_and_keep_what_has_arrived(server, target):
    leave_part(server, target)
    server.faults.extend(Fault(status=500) for _ in range(9))
    with pytest.raises(InputError, match="HTTP status 500"):
        get(server, target, retries=5)
    assert len(server.faults) == 3  # one try and five more
    assert part(target).stat().st_size == 600_000


def test_stalled_connection_times_out_and_is_resumed(server, target):
    server.faults.append(Fault(stall=500_000))
    assert get(server, target, timeout=1) == [2]
    assert_complete(target)
    assert server.ranges(NAME) == [None, "bytes=500000-"]


def test_server_without_ranges_starts_over_and_says_so(server, target, caplog):
    leave_part(server, target)
    server.put(NAME, DATA, ranges=False)
    with caplog.at_level(logging.WARNING):
        get(server, target)
    assert "cannot resume; the transfer starts over" in caplog.text
    assert_complete(target)


def test_server_without_ranges_does_not_cost_what_was_there(server, target):
    leave_part(server, target)
    server.put(NAME, DATA, ranges=False)
    server.faults.append(Fault(cut=100_000))
    with pytest.raises(InputError):
        get(server, target, retries=0)
    assert part(target).read_bytes() == DATA[:600_000]
    server.put(NAME, DATA)
    get(server, target)
    assert_complete(target)
    assert server.ranges(NAME)[-1] == "bytes=600000-"


def test_server_that_has_no_ranges_now_and_then(server, target):
    def sleep(seconds):
        server.put(NAME, DATA, ranges=not server.faults)

    server.put(NAME, DATA, ranges=False)
    server.faults.extend([Fault(cut=600_000), Fault(cut=100_000)])
    get(server, target, sleep=sleep)
    assert_complete(target)
    assert server.ranges(NAME) == [None, "bytes=600000-", "bytes=600000-"]
    assert sent(server) == len(DATA) + 100_000


@pytest.mark.parametrize("length, etag", [(len(DATA), {}), (1_200_000, {}), (500_000, {}), (1_200_000, {"etag": None})])
def test_changed_file_is_started_over_and_said(server, target, caplog, length, etag):
    server.put(NAME, DATA, **etag)
    leave_part(server, target)
    other = random.Random(4).randbytes(length)
    server.put(NAME, other, **etag)
    with caplog.at_level(logging.WARNING):
        get(server, target, size=None, digest=None)
    assert "starting over" in caplog.text
    assert_complete(target, other)


def test_file_that_changes_within_a_run_is_started_over(server, target):
    other = random.Random(5).randbytes(len(DATA))
    server.faults.append(Fault(cut=600_000))
    get(server, target, digest=None, sleep=lambda seconds: server.put(NAME, other))
    assert_complete(target, other)


def test_file_that_changes_all_the_time_is_given_up(server, target):
    server.faults.extend(Fault(cut=10_000) for _ in range(50))
    versions = iter(range(50))
    with pytest.raises(InputError, match="changes all the time"):
        get(server, target, sleep=lambda seconds: server.put(NAME, DATA, etag=f'"{next(versions)}"'))


def test_mirror_takes_over_where_the_first_one_stopped(server, target):
    server.put("mirror.zip", DATA, etag='"its own"')
    server.faults.extend([Fault(cut=600_000), Fault(status=404)])
    download([server.url(NAME), server.url("mirror.zip")], target, len(DATA), SHA256, sleep=Sleep())
    assert_complete(target)
    assert server.sent["/cdn/mirror.zip"] == 400_000


def test_mirror_takes_over_from_one_with_another_file_of_the_same_size(server, target):
    server.put("wrong.zip", random.Random(6).randbytes(len(DATA)))
    download([server.url("wrong.zip"), server.url(NAME)], target, len(DATA), SHA256, sleep=Sleep())
    assert_complete(target)
    assert sent(server) == server.sent["/cdn/wrong.zip"] == len(DATA)


def test_a_complete_part_that_is_wrong_is_replaced_by_the_next_mirror(server, target):
    """Refused by a first run with one address; the next run has two, and tries the second."""
    server.put("wrong.zip", random.Random(6).randbytes(len(DATA)))
    with pytest.raises(InputError, match=f"expected; .*delete {part(target)} to download"):
        download(server.url("wrong.zip"), target, len(DATA), SHA256, sleep=Sleep())
    download([server.url("wrong.zip"), server.url(NAME)], target, len(DATA), SHA256, sleep=Sleep())
    assert_complete(target)
    assert server.sent["/cdn/wrong.zip"] == len(DATA)  # not a second time


def test_a_file_that_is_there_is_left_as_it_is(server, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    get(server, target)
    assert_complete(target, b"mine")
    assert server.requests == []


@pytest.mark.parametrize("first_has_part", [True, False])
def test_a_download_that_ends_while_another_begins_keeps_its_file(server, target, monkeypatch, first_has_part):
    """The other has opened the part, and locks it when it has become the finished file."""
    if first_has_part:
        leave_part(server, target)
    real, others = deepsr.fetch.download._Part._lock, []

    def lock(part):
        if not others:
            others.append(part)
            get(server, target)  # from beginning to end, between the other's opening and locking
        real(part)

    monkeypatch.setattr(deepsr.fetch.download._Part, "_lock", lock)
    get(server, target)
    assert len(others) == 1
    assert_complete(target)
    assert sent(server) == len(DATA)


@pytest.mark.parametrize("note", ["{}", "[]", "null", "7", '{"size": 1}', '{"size": 1, "etags": 5}', "{"])
def test_a_damaged_note_is_no_note(server, target, note):
    leave_part(server, target)
    Path(f"{target}.part.json").write_text(note)
    get(server, target)
    assert_complete(target)
    assert server.ranges(NAME)[-1] is None  # from the beginning


def test_a_folder_in_the_way_is_named(server, target):
    part(target).mkdir(parents=True)
    with pytest.raises(InputError, match=r"train_sharp.zip.part: is a folder, but a download goes there; remove it"):
        get(server, target)


def test_every_mirror_is_named_when_none_works(server, target):
    urls = [server.url("gone.zip"), "ftp://127.0.0.1/x.zip", "http://127.0.0.1:9/x.zip"]
    with pytest.raises(InputError) as error:
        download(urls, target, retries=1, sleep=Sleep())
    for text in [*urls, "HTTP status 404", "http:// or https://", "refused", "already there in the config"]:
        assert text in str(error.value)


@pytest.mark.parametrize("length", [400_000, 600_000, 999_999])
def test_wrong_size_is_refused_before_anything_is_lost(server, target, length):
    leave_part(server, target)
    server.put(NAME, DATA[:length])
    with pytest.raises(InputError, match=f"{length:,} bytes long, but 1,000,000 are expected"):
        get(server, target)
    assert part(target).stat().st_size == 600_000


def test_wrong_sha256_is_refused_and_can_be_corrected_without_a_new_transfer(server, target):
    with pytest.raises(InputError, match=f"sha256 is {SHA256}, but {'0' * 64} is expected"):
        get(server, target, digest="0" * 64)
    assert not target.exists()
    get(server, target)
    assert_complete(target)
    assert sent(server) == len(DATA)


@pytest.mark.parametrize("size", [len(DATA), None])
def test_complete_part_needs_no_network(server, target, size):
    with pytest.raises(InputError, match="sha256"):
        get(server, target, digest="0" * 64)
    download("http://127.0.0.1:9/" + NAME, target, size, SHA256, sleep=Sleep())
    assert_complete(target)


def test_server_that_does_not_tell_the_size(server, target):
    server.put(NAME, DATA, length=False)
    with pytest.raises(InputError, match="does not tell the file's size"):
        get(server, target, size=None, digest=None)
    get(server, target)
    assert_complete(target)


def test_more_bytes_than_expected_are_refused(server, target):
    server.put(NAME, DATA + b"?", length=False)
    with pytest.raises(InputError, match="more than"):
        get(server, target)
    assert not target.exists()


def test_other_range_than_asked_for_is_refused(server, target):
    leave_part(server, target)
    server.faults.append(Fault(shift=10))
    with pytest.raises(InputError, match="other bytes than those asked for"):
        get(server, target)
    assert part(target).read_bytes() == DATA[:600_000]


@pytest.mark.parametrize("resumed", [False, True])
def test_web_page_is_refused(server, target, resumed):
    if resumed:
        leave_part(server, target)
    server.faults.append(Fault(page=True))
    with pytest.raises(InputError, match="sent a web page instead of the file"):
        get(server, target)
    assert part(target).stat().st_size == (600_000 if resumed else 0)


def test_web_page_under_the_type_of_an_archive_is_refused(server, target):
    server.put(NAME, b"\n<html><body>Sign in</body></html>")
    with pytest.raises(InputError, match="sent a web page instead of the file"):
        get(server, target, size=None, digest=None)
    assert not target.exists()


def test_no_space_is_noticed_before_a_byte_is_written(server, target, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=300_000))
    with pytest.raises(InputError, match="GB more are needed"):
        get(server, target)
    assert part(target).stat().st_size == 0


def test_space_is_needed_only_for_what_is_missing(server, target, monkeypatch):
    leave_part(server, target, 800_000)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=300_000))
    get(server, target)
    assert_complete(target)


def test_full_disk_in_the_middle_is_one_sentence_and_keeps_what_is_there(server, target, monkeypatch):
    def write(part, offset, data, write=deepsr.fetch.download._Part.write):
        if offset >= 200_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(part, offset, data)

    with monkeypatch.context() as patch, pytest.raises(InputError, match="No space left on device"):
        patch.setattr("deepsr.fetch.download._Part.write", write)
        get(server, target)
    kept = part(target).stat().st_size
    assert kept >= 200_000
    get(server, target)
    assert_complete(target)
    assert server.ranges(NAME)[-1] == f"bytes={kept}-"


def test_part_of_unknown_origin_is_not_trusted(server, target):
    target.parent.mkdir()
    part(target).write_bytes(b"?" * 10_000)
    get(server, target)
    assert_complete(target)


def test_part_that_is_too_long_is_started_over(server, target):
    leave_part(server, target)
    part(target).write_bytes(bytes(len(DATA) + 5))
    get(server, target)
    assert_complete(target)


def test_note_tells_size_and_etag(server, target):
    leave_part(server, target)
    note = json.loads(Path(f"{target}.part.json").read_text())
    assert note == {"size": len(DATA), "etags": {server.url(NAME): f'"{SHA256}"'}}


def test_proxy_of_the_environment_is_used(server, target, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url("").removesuffix("/resolve/"))
    monkeypatch.setenv("no_proxy", "")
    download(f"http://reds.invalid/resolve/{NAME}", target, len(DATA), SHA256, sleep=Sleep())
    assert_complete(target)

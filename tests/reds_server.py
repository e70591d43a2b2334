"""A host of REDS archives on the loopback interface, with the real one's manners and, when asked, its failures.

/resolve/NAME redirects to /cdn/NAME, which has an ETag and serves byte ranges. Each request for /cdn/ takes the next
of `faults`, if there is one. `sent` counts the body bytes of each path; `requests` lists (path, Range).
"""

import hashlib
import re
import threading
import zipfile
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

PATIENCE = 20  # seconds, after which the server gives up on a client or on a stall


@dataclass
class Fault:
    """What goes wrong with one request."""

    status: int = None  # answer this status, and no file
    retry_after: str = None
    page: bool = False  # answer 200 with a web page
    cut: int = None  # close the connection before this byte of the file
    stall: int = None  # fall silent before this byte of the file
    few: int = None  # promise and send no byte from this one on
    shift: int = 0  # send the range that begins so many bytes later


@dataclass
class Served:
    """A file of the server; `etag` None: not sent; `length` False: its size is not told."""

    data: bytes
    etag: str = None
    ranges: bool = True
    length: bool = True


class RedsServer:
    def __init__(self, files):
        self.files = {}
        for name, data in files.items():
            self.put(name, data.read_bytes() if isinstance(data, Path) else data)
        self.faults = deque()
        self.sent = Counter()
        self.requests = []
        self.over = threading.Event()

    def put(self, name, data, **options):
        self.files[name] = Served(data, **{"etag": f'"{hashlib.sha256(data).hexdigest()}"'} | options)

    def url(self, name):
        return f"http://127.0.0.1:{self._http.server_port}/resolve/{name}"

    def ranges(self, name):
        return [wanted for path, wanted in self.requests if path == f"/cdn/{name}"]

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"host": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    host = None

    def handle(self):
        with suppress(ConnectionError):  # a client that was killed
            super().handle()

    def do_GET(self):
        path = re.sub(r"^http://[^/]*", "", self.path)  # a proxy is asked for the whole address
        self.host.requests.append((path, self.headers.get("Range")))
        _, kind, name = path.split("/", 2)
        if name not in self.host.files:
            self._answer(404, {}, b"no such file")
        elif kind == "resolve":
            self._answer(302, {"Location": f"/cdn/{name}"}, b"")
        else:
            fault = self.host.faults.popleft() if self.host.faults else Fault()
            if fault.status:
                self._answer(fault.status, {"Retry-After": fault.retry_after} if fault.retry_after else {}, b"not now")
            elif fault.page:
                self._answer(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><title>Quota exceeded</title>")
            else:
                self._file(path, self.host.files[name], fault)

    def _file(self, path, file, fault):
        size = len(file.data)
        headers = {"Content-Type": "application/zip"} | ({"ETag": file.etag} if file.etag else {})
        wanted = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", "")) if file.ranges else None
        start = int(wanted[1]) + fault.shift if wanted else 0
        if wanted and start >= size:
            self._answer(416, headers | {"Content-Range": f"bytes */{size}"}, b"")
            return
        stop = min(int(wanted[2]) + 1, size) if wanted and wanted[2] else size
        if fault.few is not None:
            stop = min(stop, fault.few)
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size if file.length else '*'}"
        self._head(206 if wanted else 200, headers, stop - start if file.length else None)
        broken = min(stop, *(k for k in (fault.cut, fault.stall, stop) if k is not None))
        self._send(path, file.data[start : max(start, broken)])
        if fault.stall is not None and fault.stall < stop:
            self.host.over.wait(PATIENCE)
        if broken < stop:
            self.close_connection = True

    def _answer(self, status, headers, body):
        self._head(status, headers, len(body))
        self._send(self.path, body)

    def _head(self, status, headers, length):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, path, data):
        for i in range(0, len(data), 1 << 16):
            self.wfile.write(data[i : i + (1 << 16)])
            self.host.sent[path] += len(data[i : i + (1 << 16)])

    def log_message(self, *args):
        pass


def picture(seed, height=36, width=64):
    """A PNG of noise, as bytes: no two alike."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()


def reds_archive(path, prefix, clips, frames=3, zip64=True, height=36, width=64):
    """Write an archive with the tree of REDS; return {member name: bytes}. zip64: as archives above 4 GB are."""
    members = {
        f"{prefix}{clip}/{frame:08d}.png": picture((int(clip), frame), height, width)
        for clip in clips
        for frame in range(frames)
    }
    limit = 100 if zip64 else zipfile.ZIP64_LIMIT
    with mock.patch("zipfile.ZIP64_LIMIT", limit), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir(prefix)
        for name, data in members.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=zip64) as member:
                member.write(data)
    return members

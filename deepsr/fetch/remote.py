"""A file behind an HTTP address, read in ranges. After a broken connection, reading goes on where it broke."""

import logging
import re
import time
import urllib.request

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

log = logging.getLogger(__name__)

BLOCK = 1 << 20  # bytes, at most, of one read
LONGEST_WAIT = 3600  # seconds; a server that asks for more patience is given up
BUSY = (408, 425, 429, 500, 502, 503, 504)  # HTTP status that may pass
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "deepsr"}  # identity: byte ranges of the file itself


class Refused(Exception):
    """This address does not give the file; asking again would not help."""


class Changed(Exception):
    """The file behind the address is no longer the one whose beginning was read."""


class _Busy(Exception):
    """A failure that may pass; `wait` is the server's Retry-After in seconds."""

    def __init__(self, message, wait=0):
        super().__init__(message)
        self.wait = wait


class Remote:
    """A file behind an HTTP address, read in ranges; neither its size nor its ETag may change meanwhile."""

    def __init__(self, url, expected=None, size=None, etag=None, timeout=60, retries=5, sleep=time.sleep):
        """`size` (bytes) and `etag`: known from an earlier try, or None. `expected`: the size that it must have, or None.

        `timeout` (seconds) is for connecting and for each wait for data. After `retries` failures in a row, without
        a new byte between them, the address is given up; `sleep` waits between tries. Raises Refused.
        """
        if not re.match(r"https?://", url):
            raise Refused("the address does not begin with http:// or https://")
        self.url, self.expected, self.size, self.etag = url, expected, size, etag
        self._retries, self._sleep = retries, sleep
        proxy = urllib.request.getproxies().get(url.partition(":")[0])  # http_proxy, https_proxy, no_proxy
        if proxy and not urllib.request.proxy_bypass(urllib3.util.parse_url(url).host):
            self._pool = urllib3.ProxyManager(proxy if "://" in proxy else f"http://{proxy}")
        else:
            self._pool = urllib3.PoolManager()
        self._options = {
            "preload_content": False,
            "timeout": urllib3.Timeout(connect=timeout, read=timeout),
            # Only redirects are followed here: urllib3 cannot go on within a body.
            "retries": urllib3.Retry(connect=0, read=0, status=0, other=0, redirect=10, respect_retry_after_header=False),
        }

    def blocks(self, start, stop=None):
        """Yield (offset, bytes) of the file from byte `start` to `stop` (None: its end), in order.

        After a broken connection, the transfer goes on at the byte where it broke. If the server cannot send ranges and
        `stop` is None, the offsets start over at 0. Raises Refused and Changed.
        """
        best, failures = start, 0
        while True:
            at, wait = best, 0
            try:
                response, at = self._get(best, stop)
                end = self.size if stop is None else stop
                try:
                    # read1: what has arrived is handed over at once, not lost when the connection breaks
                    while at < end and (data := response.read1(BLOCK, decode_content=False)):
                        if at + len(data) > end:
                            raise Refused(f"the server sent more than the {end - at:,} bytes left")
                        if at == 0 and data.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
                            raise Refused("the server sent a web page instead of the file")
                        yield at, data
                        at += len(data)
                finally:
                    response.close()
                if at >= end:
                    return
                reason = f"the connection ended at byte {at:,} of {end:,}"
            except LocationValueError as error:
                raise Refused(str(error)) from error
            except (HTTPError, _Busy) as error:
                reason, wait = _why(error), getattr(error, "wait", 0)
            if at > best:
                best, failures = at, 0
            failures += 1
            if failures > self._retries:
                raise Refused(reason)
            if wait > LONGEST_WAIT:
                raise Refused(f"{reason}, and the server asks to wait {wait:.0f} s")
            wait = max(wait, min(2**failures, 60))
            log.warning("%s: %s; trying again in %.0f s", self.url, reason, wait)
            self._sleep(wait)

    def _get(self, start, stop):
        """Ask for the bytes; return the response and the offset at which its body begins."""
        ranged = start > 0 or stop is not None
        wanted = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if ranged else {}
        response = self._pool.request("GET", self.url, headers=HEADERS | wanted, **self._options)
        try:
            return response, self._check(response, start, stop)
        except BaseException:
            response.close()
            raise

    def _check(self, response, start, stop):
        status, headers = response.status, response.headers
        content_range = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
        if status in BUSY:
            raise _Busy(f"HTTP status {status}", _retry_after(headers.get("Retry-After")))
        if status == 416 and content_range and content_range[2] != "*":
            self._expect(int(content_range[2]))
            raise Changed("it has become shorter")
        if status not in (200, 206):
            raise Refused(f"HTTP status {status}")
        if headers.get("Content-Type", "").startswith("text/html"):
            raise Refused("the server sent a web page instead of the file")
        if status == 200:
            offset, total = 0, headers.get("Content-Length")
            if stop is not None:
                raise Refused("the server cannot send parts of a file, so download the whole file instead")
            if start:
                log.warning("%s: the server cannot resume; the transfer starts over", self.url)
        elif content_range and content_range[1] == str(start):
            offset, total = start, content_range[2]
        else:
            raise Refused("the server sent other bytes than those asked for")
        total = int(total) if total and total.isdigit() else self.size or self.expected
        if total is None:
            raise Refused("the server does not tell the file's size")
        self._expect(total)
        etag = headers.get("ETag") or headers.get("Last-Modified")
        if self.size not in (None, total) or self.etag not in (None, etag):
            raise Changed("it has changed on the server")
        self.size, self.etag = total, etag
        return offset

    def _expect(self, total):
        if self.expected not in (None, total):
            raise Refused(f"the file there is {total:,} bytes long, but {self.expected:,} are expected")


def _why(error):
    """The message of the innermost of urllib3's nested errors."""
    error = getattr(error, "reason", None) or error
    return str(error.args[0] if error.args else error)


def _retry_after(value):
    try:
        return urllib3.Retry(retry_after_max=10**9).parse_retry_after(value) if value else 0
    except HTTPError:
        return 0

"""A headless Chromium, asked through the pipe that its developer tools speak over.

It needs nothing but the browser: messages are JSON, each ended by a zero byte.
"""

import base64
import fcntl
import json
import os
import shutil
import signal
import tempfile

__all__ = ["Chromium", "find_chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It asks for nothing by itself, so that all requests are those of the page.
OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
)


def find_chromium():
    """Return the path of a browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """One browser with one page; a context manager.

    Parameters
    ----------
    program : str
        Path of the browser.

    Attributes
    ----------
    complaints : list of str
        Errors and warnings of the console, and exceptions, since the last `open`.
    requests : list of str
        Addresses that the page has asked for, since the last `open`.
    """

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="skae-chromium-")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        options = [*OPTIONS, f"--user-data-dir={self.profile}"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # it refuses to have one for root
        # It reads from descriptor 3 and writes to 4. Copies of high numbers come
        # first, so that none is overwritten before it is in its place.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_browser, from_browser)]
        self._pid = os.posix_spawn(
            program,
            [program, *options, "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                (os.POSIX_SPAWN_DUP2, ends[0], 3),
                (os.POSIX_SPAWN_DUP2, ends[1], 4),
                *((os.POSIX_SPAWN_CLOSE, fd) for fd in ends),
            ],
            setpgroup=0,
        )
        for fd in (to_browser, from_browser, *ends):
            os.close(fd)
        self._buffer, self._number, self._session = b"", 0, None
        self.complaints, self.requests, self._loaded = [], [], False

    def __enter__(self):
        try:
            (page,) = [
                target["targetId"]
                for target in self.ask("Target.getTargets")["targetInfos"]
                if target["type"] == "page"
            ]
            attached = self.ask("Target.attachToTarget", targetId=page, flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the browser and all of its processes."""
        os.close(self._out)
        os.close(self._in)
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, address, *, scheme="light", width=1200):
        """Open a page, and wait until it is there.

        Parameters
        ----------
        address : str
        scheme : {"light", "dark"}
            What the reader prefers.
        width : int
            Of the window, in pixels.
        """
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", features=[feature])
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.complaints, self.requests, self._loaded = [], [], False
        answer = self.ask("Page.navigate", url=address)
        if "errorText" in answer:
            raise RuntimeError(f"{address}: {answer['errorText']}")
        while not self._loaded:
            self._read()
        self.evaluate("new Promise(f => setTimeout(f, 50))")  # what scripts add

    def evaluate(self, expression):
        """Return what an expression of JavaScript is on the page, as plain values."""
        answer = self.ask(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def screenshot(self):
        """Return the whole page as the bytes of a PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        answer = self.ask(
            "Page.captureScreenshot",
            captureBeyondViewport=True,
            clip={**size, "scale": 1},
        )
        return base64.b64decode(answer["data"])

    def ask(self, method, **params):
        """Return the answer to a command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _read(self):
        """Return the next message, and remember what it says of the page."""
        while b"\0" not in self._buffer:
            some = os.read(self._in, 1 << 16)
            if not some:
                raise BrokenPipeError("The browser has ended.")
            self._buffer += some
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        params = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                self.complaints.append(json.dumps(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(params["entry"]["text"])
        return message

"""A real browser for tests of pages.

Chromium is driven through chromedriver's own protocol (W3C WebDriver), which the standard library
speaks well enough.
"""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key that W3C WebDriver gives elements


class Browser:
    """A session of headless Chromium.

    Args:
        profile: New folder for its settings.
    """

    def __init__(self, profile):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([DRIVER, f"--port={port}"], **quiet)
        options = {
            "binary": CHROMIUM,
            "args": [*SWITCHES, f"--user-data-dir={profile}"],
        }
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        try:
            self._wait_for_driver()
            made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        except BaseException:
            self.process.kill()
            raise
        self.session = f"/session/{made['sessionId']}"

    def _wait_for_driver(self):
        for _ in range(200):
            try:
                if self._call("GET", "/status")["ready"]:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise TimeoutError("chromedriver does not answer")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:500]) from error

    def devtools(self, command, **params):
        body = {"cmd": command, "params": params}
        return self._call("POST", f"{self.session}/goog/cdp/execute", body)

    def open(self, path, width=1280, scheme="light"):
        """Opens a file in a window of some width, in a color scheme."""
        phone = {"deviceScaleFactor": 1, "mobile": width < 500}
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            screenWidth=width,
            **phone,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])
        self._call("POST", f"{self.session}/url", {"url": path.as_uri()})

    def run(self, script, *arguments):
        """Runs the body of a function in the page and returns what it returns."""
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", f"{self.session}/execute/sync", body)

    def click(self, selector):
        """Clicks an element as a user does: it must be visible, and nothing over it."""
        found = {"using": "css selector", "value": selector}
        element = self._call("POST", f"{self.session}/element", found)[ELEMENT]
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})",
                 {ELEMENT: element})  # fmt: skip
        self._call("POST", f"{self.session}/element/{element}/click", {})

    def press(self, key):
        """Presses and releases a key."""
        steps = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        actions = {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]}
        self._call("POST", f"{self.session}/actions", actions)

    def errors(self):
        """Returns what the console said since it was last asked."""
        entries = self._call("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    def screenshot(self, path):
        """Writes what the window shows."""
        path.write_bytes(base64.b64decode(self._call("GET", f"{self.session}/screenshot")))

    def close(self):
        try:
            self._call("DELETE", self.session)
        finally:
            self.process.terminate()
            self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser for all tests of a module."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()

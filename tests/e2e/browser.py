# SPDX-License-Identifier: LGPL-2.1-or-later
"""A headless Chromium, driven by chromedriver over WebDriver's HTTP: as much of that protocol as the tests need."""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

WAIT = 20
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowDown": "\ue015", "ArrowUp": "\ue013", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Tab": "\ue004"}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="stray-browser-")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       text=True, env={**os.environ, "HOME": self.home, "TMPDIR": self.home}, start_new_session=True)
        try:
            self.port = self._port()
            self.session = None
            options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
                                "--disable-extensions", "--disable-background-networking", "--force-device-scale-factor=1", "--window-size=1280,900",
                                f"--user-data-dir={self.home}/profile"]}
            always = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}, "unhandledPromptBehavior": "ignore"}
            self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": always}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def _port(self):
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found[1])
        raise AssertionError(f"chromedriver did not start: {self.driver.wait()}")

    def _call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        finally:
            connection.close()
        assert answer.status == 200, f"{method} {path}: {value.get('error')}: {value.get('message')}"
        return value

    def _do(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def close(self):
        """Ends the browser and all it started."""
        try:
            if getattr(self, "session", None):
                self._do("DELETE", "")
        finally:
            os.killpg(self.driver.pid, signal.SIGKILL)
            self.driver.wait()
            self.driver.stdout.close()
            shutil.rmtree(self.home, ignore_errors=True)

    def open(self, path, route=""):
        """Loads the page anew, from its file."""
        self._do("POST", "/url", {"url": "about:blank"})
        self._do("POST", "/url", {"url": f"file://{path}{route}"})

    def go(self, route):
        self.run("location.hash = arguments[0]", route)
        self.until("return location.hash === arguments[0]", route)

    def run(self, script, *arguments):
        return self._do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script, *arguments):
        """What the script returns, once that is true."""
        end = time.monotonic() + WAIT
        while True:
            value = self.run(script, *arguments)
            if value or time.monotonic() > end:
                assert value, f"never true: {script}\n{self.text()[:2000]}"
                return value
            time.sleep(0.02)

    def text(self, selector="body"):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText).join('\\n')", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector)

    def find(self, selector):
        return self._do("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self._do("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self._do("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys):
        """Keys of the keyboard, to what has the focus."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self._do("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def drag(self, selector, first, last):
        """Presses at a share of the element's width, and lets go at another."""
        box = self.run("const b = document.querySelector(arguments[0]); b.scrollIntoView({block: 'center'}); const r = b.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]", selector)
        def at(share):
            return {"type": "pointerMove", "duration": 50, "x": round(box[0] + share * box[2]), "y": round(box[1] + box[3] / 2)}
        actions = [at(first), {"type": "pointerDown", "button": 0}, at(last), {"type": "pointerUp", "button": 0}]
        self._do("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}]})

    def cdp(self, command, **parameters):
        return self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def scheme(self, name):
        """What the system prefers: light or dark."""
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def size(self, width, height=900):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def complaints(self):
        """What the console holds since it was asked last: errors, warnings, refusals."""
        return [entry["message"] for entry in self._do("POST", "/se/log", {"type": "browser"}) if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path, whole=True):
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": self._whole()} if whole else {}))
        path.write_bytes(base64.b64decode(shot["data"]))

    def _whole(self):
        width, height = self.run("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        return {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}

    def pdf(self):
        return base64.b64decode(self.cdp("Page.printToPDF", printBackground=True)["data"])

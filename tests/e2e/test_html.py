# SPDX-License-Identifier: LGPL-2.1-or-later
"""The HTML report, opened from its file in a real browser: it shows what the report says, works by mouse and keyboard, and no
name in a trace can do anything in it."""
import itertools
import json
import os
import re
import signal
import subprocess
import time

import pytest

from browser import Browser
from conftest import BUILD, PYTHON, ROOT, TIMEOUT
from test_service import Run

PAGE_MOST = 3_000_000  # bytes, of a day's trace


@pytest.fixture(scope="module")
def browser():
    made = Browser()
    yield made
    made.close()


class Page:
    def __init__(self, stray, browser, path, trace, *options, verb="report"):
        self.browser, self.path = browser, path
        done = stray.call(verb, *trace, "--format", "html", "-o", path, *options)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        text = path.read_text()
        self.data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])

    def open(self, route=""):
        self.browser.size(1280)
        self.browser.scheme("light")
        self.browser.complaints()
        self.browser.open(self.path, route)
        self.browser.until("return document.querySelector('main h1') !== null || document.querySelector('main .empty') !== null")
        return self.browser

    def routes(self):
        yield from ("#/" + name for name in ("", "findings", "connections", "flame", "memory", "statements", "places", "processes"))
        yield from ("#/finding/" + each["id"] for each in self.data["findings"])
        yield from (f"#/place/{index}" for index in range(min(5, len(self.data["page"]["places"]))))
        yield from (f"#/connections/{index}" for index in range(len(self.data["page"]["timelines"])))


@pytest.fixture(scope="module")
def service(stray, postgres, redis):
    return Run(stray, postgres, redis, signal.SIGTERM)


@pytest.fixture(scope="module")
def page(stray, browser, service, tmp_path_factory):
    return Page(stray, browser, tmp_path_factory.mktemp("html") / "report.html", [service.trace])


@pytest.fixture(scope="module")
def growth(stray, browser, target, tmp_path_factory):
    trace = stray.run([target("target_growth")]).ok().trace
    return Page(stray, browser, tmp_path_factory.mktemp("html") / "growth.html", [trace])


def number(text):
    """As the page writes it: a narrow space between thousands."""
    return int(re.match(r"~?([\d\u202f]+)", text)[1].replace("\u202f", ""))


def plots(browser):
    """Charts are drawn when their width is known."""
    browser.until("const p = [...document.querySelectorAll('.plot')]; return p.length > 0 && p.every((e) => e.querySelector('canvas'))")
    return browser.run("return document.querySelectorAll('.plot').length")


# the file

def test_one_file_that_asks_for_nothing(page):
    text = page.path.read_text()
    assert os.stat(page.path).st_mode & 0o777 == 0o600
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)[1]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
    outside = re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)[^"'\s>]+|@import|url\([^)]*\)|\bfetch\(|XMLHttpRequest|WebSocket|importScripts""", re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.S))
    assert not [each for each in outside if "#" not in each], outside
    assert "The above copyright notice and this permission notice shall be included" in text


def test_output_is_the_same_each_time(page, stray, service):
    to_stdout = stray.call("report", service.trace, "--format", "html", "-o", "-")
    assert (to_stdout.returncode, to_stdout.stderr) == (0, "")
    assert to_stdout.stdout == page.path.read_text()


def test_data_is_the_reports(page, stray, service):
    wanted = json.loads(stray.call("report", service.trace, "--format", "json").stdout)
    for name in ("schema", "processes", "connections", "memory", "forecasts"):
        assert page.data[name] == wanted[name]
    for ours, other in zip(page.data["findings"], wanted["findings"], strict=True):
        assert {key: value for key, value in ours.items() if key not in ("node", "places", "suppression", "accepted")} == {key: value for key, value in other.items() if key != "stack"}
        assert len(stack_of(page, ours["node"])) == len(other["stack"])


def stack_of(page, node):
    frames, data = [], page.data["page"]
    while node is not None and node >= 0:
        frames.append(data["frames"][data["node_frames"][node]])
        node = data["parents"][node]
    return frames


@pytest.mark.parametrize("arguments, word", [(["--format", "pdf"], "must be text, json or html"), (["--format", "html", "-o", "/nonexistent/x.html"], "/nonexistent/x.html")])
@pytest.mark.parametrize("verb", ["report", "diff"])
def test_wrong_usage(stray, service, verb, arguments, word):
    done = stray.call(verb, *[service.trace] * (2 if verb == "diff" else 1), *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("stray: ") and word in done.stderr and done.stderr.count("\n") == 1


def test_a_full_disk_is_told(stray, service):
    with open("/dev/full", "w") as full:
        done = stray.call("report", service.trace, "--format", "html", stdout=full)
    assert done.returncode == 2 and done.stderr.startswith("stray: standard output: ")


# what it shows

def test_the_first_line_is_the_answer(page, service):
    browser = page.open()
    own = [each for each in service.report.findings if "caused_by" not in each and each["severity"] in ("error", "warning")]
    leaks = sum(each["verdict"] == "leaked" for each in own)
    assert browser.texts("main h1")[0].startswith(f"{leaks} leaks")
    assert browser.run("return document.querySelector('main h1').getBoundingClientRect().top") < 150
    assert browser.run("return document.title").startswith(f"stray: {leaks} leaks")
    cards = browser.texts(".card")
    assert len(cards) == len(own)
    for card, finding in zip(cards, own):
        assert finding["message"] in card and finding["site"]["function"] in card and f"confidence {finding['confidence']}" in card
    assert [number(text) for text in browser.texts(".card-number")] == [each["count"] for each in own]
    assert "none lost" in browser.text(".quality")


def test_every_view_is_shown_without_complaint(page, growth):
    for each in (page, growth):
        browser = each.open()
        assert browser.complaints() == []
        for route in each.routes():
            browser.go(route)
            browser.until("return document.querySelector('main h1') !== null")
            assert browser.complaints() == [], route
            assert not re.search(r"\b(undefined|NaN|null|Infinity|\[object)\b", browser.text("main")), (route, browser.text("main"))
        assert browser.run("return document.querySelector('nav a[aria-current]') !== null")


def test_unknown_routes_lead_somewhere(page):
    browser = page.open("#/finding/no-such")
    assert "No such finding" in browser.text("main")
    for route in ("#/nonsense", "#/__proto__", "#/toString", "#/%E0%A4%A", "#/finding/%E0%A4%A", "#/place/999", "#/connections/999"):
        browser.go(route)
        browser.until("return document.querySelector('main').children.length > 0")
    assert browser.complaints() == []


def test_a_findings_page(page, service):
    finding = service.report.finding("revoke_session", "connection", "leaked")
    browser = page.open("#/finding/" + finding["id"])
    assert browser.text("main h1") == finding["message"]
    assert plots(browser) >= 3
    assert browser.texts("figcaption b") == ["Live at each time", "Cohorts", "Survival"]
    blamed = browser.text(".stack .blamed")
    assert "revoke_session" in blamed and f"auth.py:{finding['site']['line']}" in blamed
    folded = browser.run("return document.querySelectorAll('.stack .fold').length")
    assert folded > 0
    before = browser.run("return document.querySelectorAll('.stack li').length")
    browser.click(".stack .fold")
    assert browser.run("return document.querySelectorAll('.stack li').length") > before
    assert {"py", "C"} <= set(browser.texts(".stack .language"))
    (item,) = [page.data["page"]["places"][index] for index in next(each for each in page.data["findings"] if each["id"] == finding["id"])["places"]]
    assert sum(item["born"]) == finding["evidence"]["opened"] and sum(item["kept"]) == finding["count"] == item["live"][-1]
    ages = [step[0] for step in item["curve"]]
    assert ages == sorted(ages) and all(low <= share <= high for _, share, low, high in item["curve"])


def test_where_connections_were_last_used(stray, browser, postgres, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import os, time, psycopg2
kept = []
def connect():
    return psycopg2.connect(os.environ["DATABASE_URL"])
def forgets(number):
    conn = connect()
    conn.cursor().execute("select 1")
    kept.append(conn) if number % 2 else conn.close()
for number in range(60):
    forgets(number)
time.sleep(0.1)
""")
    trace = stray.run([PYTHON, program], env={"DATABASE_URL": postgres.url}).ok().trace
    page = Page(stray, browser, tmp_path / "page.html", [trace])
    finding = next(each for each in page.data["findings"] if each["site"]["function"] == "connect" and each["resource"] == "pgconn")
    browser = page.open("#/finding/" + finding["id"])
    assert browser.text(".last").startswith("Last used at ") and browser.text(".last").endswith(f"({finding['last_used']['count']} of {finding['count']})")
    assert "forgets" in browser.text(".last") and f"program.py:{finding['last_used']['site']['line']}" in browser.text(".last")


def test_heap_cohorts_add_up(growth):
    for finding in growth.data["findings"]:
        for item in (growth.data["page"]["places"][index] for index in finding["places"]):
            if "live" in item:
                assert all(born >= kept for born, kept in zip(item["born"], item["kept"]))
                assert sum(item["born"]) >= item["opened"] * 0.95
                assert item["resource"] != "heap" or sum(item["kept"]) == sum(stack["alive"] for stack in item["stacks"])


def test_connections_over_time(page, service, postgres):
    index, timeline = next((index, each) for index, each in enumerate(page.data["page"]["timelines"]) if each["peer"] == postgres.peer)
    leaked = sum(each["count"] for each in service.report.find(resource="connection", verdict="leaked") if each["peer"] == postgres.peer)
    last = sum(timeline[state][-1] for state in ("in_use", "idle", "in_transaction", "close_wait"))
    (row,) = [each for each in service.report.json["connections"] if each["peer"] == postgres.peer]
    assert leaked <= last <= row["peak"] and timeline["total"] == row["opened"] == len(timeline["lives"])
    busy = sum(timeline["busy"]) * page.data["page"]["span_s"] / len(timeline["busy"])
    assert busy == pytest.approx(sum(life["busy_s"] for life in timeline["lives"]), rel=0.1, abs=0.05) and busy > 0
    browser = page.open(f"#/connections/{index}")
    assert browser.text("main section h2") == postgres.peer
    assert browser.run("return document.querySelectorAll('.life').length") == len(timeline["lives"])
    browser.run("document.querySelector('.lives').focus()")
    told = []
    for life in timeline["lives"]:
        browser.press("ArrowDown")
        told.append(browser.text(".life-detail"))
        assert f"descriptor {life['handle']}," in told[-1]
    assert any("last statement: SELECT" in text for text in told)


def test_statements(page, stray, service):
    listed = json.loads(stray.call("sql", service.trace, "--format", "json").stdout)["statements"]
    browser = page.open("#/statements")
    assert browser.texts("tbody td:nth-child(2)") == [str(each["calls"]) for each in listed]
    browser.click("details.statement summary")
    assert listed[0]["sites"][0]["site"]["function"] in browser.text("tbody tr:first-child")


def test_all_places_are_listed_if_asked_for(stray, browser, service, tmp_path):
    page = Page(stray, browser, tmp_path / "all.html", [service.trace], "--all")
    assert page.data["sites"] == service.report.json["sites"][:len(page.data["sites"])]
    assert "All that acquired something" in page.open("#/places").text("main")


# what can be done with it

def test_sorting(page, service):
    browser = page.open("#/findings")
    column = browser.texts("thead th").index("Count") + 1
    counts = sorted((each["count"] for each in service.report.findings), reverse=True)
    browser.click(f"thead th:nth-child({column}) button")
    assert [number(text) for text in browser.texts(f"tbody td:nth-child({column})")] == counts
    browser.run(f"document.querySelector('thead th:nth-child({column}) button').focus()")
    browser.press("Enter")
    assert [number(text) for text in browser.texts(f"tbody td:nth-child({column})")] == counts[::-1]
    assert browser.run(f"return document.querySelector('thead th:nth-child({column})').getAttribute('aria-sort')") == "ascending"


def test_filtering(page, service):
    browser = page.open("#/findings")
    rows = "return document.querySelectorAll('tbody tr').length"
    assert browser.run(rows) == len(service.report.findings)
    browser.press("/")
    browser.press(*"health")
    wanted = service.report.find("health")
    assert browser.run(rows) == len(wanted) > 0
    assert all("health" in text for text in browser.texts("tbody tr"))
    browser.open(page.path, "#/findings")
    browser.run("const s = document.querySelector('.tools select'); s.value = 'leaked'; s.dispatchEvent(new Event('change'))")
    assert browser.run(rows) == len(service.report.find(verdict="leaked"))
    browser.click(".tools input[type=checkbox]")
    assert browser.run(rows) == sum("caused_by" not in each for each in service.report.find(verdict="leaked"))
    assert " of " in browser.text(".tools [role=status]")


def test_suppressions_are_those_of_check(page, stray, service, tmp_path):
    lines = [each["suppression"] for each in page.data["findings"]]
    (tmp_path / "known.supp").write_text("\n".join(dict.fromkeys(lines)) + "\n")
    done = stray.call("check", service.trace, "--suppressions", tmp_path / "known.supp")
    assert done.returncode == 0, done.stdout + done.stderr
    browser = page.open("#/findings")
    assert lines[0] in [text.replace("\u2026", "") for text in browser.run("return [...document.querySelectorAll('.suppress code')].map((e) => e.textContent)")]
    browser.click(".suppress button")
    browser.until("return document.querySelector('.suppress button').textContent !== 'Copy'")
    assert browser.complaints() == []


def test_zooming_moves_all_charts(page):
    browser = page.open()
    many = plots(browser)
    assert many >= 2
    browser.drag(".plot .u-over", 0.3, 0.6)
    zoomed = "return [...document.querySelectorAll('.plot')].filter((e) => e.dataset.zoomed === 'yes').length"
    browser.until(f"{zoomed} === {many}")
    browser.click(".chart button:not([hidden])")
    browser.until(f"{zoomed} === 0")
    browser.run("document.querySelector('.plot').focus()")
    browser.press("+", "ArrowRight")
    browser.until(f"{zoomed} === {many}")
    browser.press("0")
    browser.until(f"{zoomed} === 0")
    assert browser.complaints() == []


def test_flame_graph(page, service):
    browser = page.open("#/flame")
    leaked = sum(each["count"] for each in service.report.find(resource="connection", verdict="leaked"))
    assert f"{leaked} connection" in browser.text(".flame-detail")
    names = browser.run("return [...document.querySelectorAll('.box')].map((e) => e.getAttribute('aria-label'))")
    assert any(name.startswith("validate_jwt, ") for name in names)
    boxes = "return document.querySelectorAll('.flame .box').length"
    few = browser.run(boxes)
    browser.click("#native")
    assert browser.run(boxes) > few
    browser.click(".box[aria-label^='validate_jwt']")
    assert browser.text(".flame-detail").startswith("validate_jwt") and browser.run("return document.activeElement.getAttribute('aria-label')").startswith("validate_jwt")
    assert browser.run("return document.querySelector('.box[aria-label^=\"validate_jwt\"]').style.width") == "100%"
    browser.press("Escape")
    browser.press("ArrowDown")
    assert browser.run("return document.activeElement.getAttribute('aria-label')").startswith("validate_jwt")
    browser.press("Enter")
    assert browser.run("return document.querySelectorAll('.box[aria-label^=\"health\"]').length") == 0
    browser.click(".flame-frame .tools button")
    browser.type(".flame-frame input[type=search]", "health")
    assert browser.run("return document.querySelectorAll('.box.match').length") > 0 and "%" in browser.text(".flame-frame [role=status]")
    browser.click("[data-mode=all]")
    opened = sum(process["resources"]["connection"]["opened"] for process in service.report.processes)
    assert f"{opened} connection" in browser.text(".flame-detail")
    browser.click("[data-mode=live]")
    browser.run("const s = document.querySelector('input[type=range]'); s.value = 0; s.dispatchEvent(new Event('input'))")
    assert "Nothing was live then" in browser.text("main") or "1 connection" in browser.text("main")
    assert browser.complaints() == []


def test_dark_and_light(page):
    browser = page.open()
    paper = "return getComputedStyle(document.documentElement).backgroundColor"
    light = browser.run(paper)
    browser.scheme("dark")
    browser.until(f"return document.documentElement.dataset.theme === 'dark'")
    dark = browser.run(paper)
    assert light != dark
    browser.click("#theme")
    assert browser.run(paper) == light
    browser.scheme("light")
    browser.click("#theme")
    assert browser.run(paper) == dark
    plots(browser)
    assert browser.complaints() == []


def test_contrast_is_enough(page):
    """Text against what is behind it, as WCAG reckons it: 4.5 to 1."""
    script = """
      const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
      const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4)).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
      return [...document.querySelectorAll('main *, #bar *')].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.getClientRects().length && !e.closest('svg'))
        .map((e) => { const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e)); return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 40)]; })
        .filter(([ratio]) => ratio < 4.5)"""
    browser = page.open()
    for scheme, route in itertools.product(("light", "dark"), ("#/", "#/flame", "#/findings", "#/connections")):
        browser.scheme(scheme)
        browser.go(route)
        browser.until("return document.documentElement.dataset.theme === arguments[0]", scheme)
        assert browser.run(script) == [], (scheme, route)


def test_print(page):
    browser = page.open()
    browser.scheme("dark")
    plots(browser)
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
    browser.cdp("Emulation.setEmulatedMedia", media="print", features=[])
    assert browser.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.cdp("Emulation.setEmulatedMedia", media="", features=[])
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out(page, growth, width):
    for each in (page, growth):
        browser = each.open()
        browser.size(width)
        for route in each.routes():
            browser.go(route)
            wide, seen = browser.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            assert wide <= seen, (route, wide, seen)


def test_keyboard(page):
    browser = page.open()
    browser.press("Tab")
    assert browser.run("return document.activeElement.textContent") == "Skip to the report"
    browser.press("Tab", "Tab", "Tab")
    assert browser.run("return document.activeElement.closest('nav') !== null")
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    browser.until("return location.hash === '#/findings' && document.activeElement.id === 'main'")
    unnamed = browser.run("""return [...document.querySelectorAll('button, input, select, a, [role=img], [role=region]')]
      .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels && e.labels.length)).map((e) => e.outerHTML)""")
    assert unnamed == []


# other traces

def quiet_everywhere(page):
    browser = page.open()
    for route in page.routes():
        browser.go(route)
        browser.until("return document.querySelector('main h1') !== null")
        assert not re.search(r"\b(undefined|NaN|null|Infinity|\[object)\b", browser.text("main")), (route, browser.text("main"))
    assert browser.complaints() == []
    return browser


@pytest.mark.parametrize("name", ["small.stray", "grouped.stray", "damaged.stray"])
def test_golden_traces(stray, browser, tmp_path, name):
    quiet_everywhere(Page(stray, browser, tmp_path / "page.html", [ROOT / "tests" / "golden" / name], "--all"))


def test_several_processes(stray, browser, listener, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import os, socket, sys
kept = []
def connect(): kept.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
for _ in range(3):
    if os.fork() == 0:
        for _ in range(40): connect()
        blocks = [bytearray(3000) for _ in range(200)]
        os._exit(0)
for _ in range(3): os.wait()
""")
    trace = stray.run([PYTHON, program, listener]).ok().trace
    page = Page(stray, browser, tmp_path / "page.html", [trace])
    browser = quiet_everywhere(page)
    assert len(page.data["page"]["windows"]) == 4
    timeline = page.data["page"]["timelines"][0]
    assert timeline["total"] == 120 and len({life["pid"] for life in timeline["lives"]}) == 3
    browser.go("#/flame")
    browser.click("[data-mode=live]")
    assert browser.run("return document.querySelectorAll('select[aria-label=process] option').length") == 4
    browser.go("#/processes")
    assert len(browser.texts("tbody tr")) == 4
    browser.go("#/")
    browser.run("const s = document.querySelector('.charts select'); if (s) { s.selectedIndex = 1; s.dispatchEvent(new Event('change')); }")
    assert browser.complaints() == []


def test_attached_to(stray, browser, listener, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import socket, sys, time
kept = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(3)]
print("ready", flush=True)
while True:
    kept.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    time.sleep(0.05)
""")
    with subprocess.Popen([PYTHON, program, str(listener)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            done = stray.call("attach", process.pid, "-o", tmp_path / "trace", "--for", "1")
        finally:
            process.kill()
    assert done.returncode == 0, done.stderr
    page = Page(stray, browser, tmp_path / "page.html", [tmp_path / "trace"])
    browser = quiet_everywhere(page)
    browser.go("#/")
    before = page.data["processes"][0]["before_attach"]["resources"]["connection"]["open"]
    assert before >= 3
    assert "Open before it was attached to" in browser.text("main") and f"{before} connections" in browser.text("main") and "attached to while it ran" in browser.text(".quality")


# when there is nothing to say

def test_no_leak(stray, browser, tmp_path):
    trace = stray.run(["/bin/ls", "/"]).ok().trace
    browser = Page(stray, browser, tmp_path / "page.html", [trace]).open()
    assert browser.texts("main h1") == ["No leak found"] or browser.texts("main h1") == ["Too little happened to tell"]
    assert "Looked at" in browser.text("main") and "No connections." in browser.text("main")
    for name in ("findings", "connections", "flame", "memory", "statements", "places", "processes"):
        browser.go("#/" + name)
        assert not re.search(r"\b(undefined|NaN|null|Infinity)\b", browser.text("main"))
    assert browser.complaints() == []


def test_a_damaged_trace_says_so(stray, browser, service, tmp_path):
    whole = sorted(service.trace.glob("*.stray"))[0].read_bytes()
    (tmp_path / "cut.stray").write_bytes(whole[:len(whole) // 2])
    browser = Page(stray, browser, tmp_path / "page.html", [tmp_path / "cut.stray"]).open()
    assert "trace damaged or cut short" in browser.text(".quality.bad")


# traces that mean harm

HARM = ["</script><script>window.harmed=1</script>", "<img src=x onerror=window.harmed=1>", "<!--<script>", "\u2028\u2029window.harmed=1", "\x1b[2J\x1b]0;harm\x07", "\u202ecod.exe",
        "\"><svg onload=window.harmed=1>", "'};window.harmed=1;//", "{{7*7}}${window.harmed=1}", "javascript:window.harmed=1", "__proto__", "x" * 100_000, "\ud800\udfff", "]]>&lt;b&gt;<b>"]

HOSTILE = """
import os, socket, sys, psycopg2
harm, folder, url = eval(sys.argv[1]), sys.argv[2], sys.argv[3]
kept = []

def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.sendall(b"x")
    kept.append((client, bytearray(5000)))

servers = []
for number, name in enumerate(harm):
    path = os.path.join(folder, str(number) + name.replace("/", "|").replace("\\0", "")[:50])
    server = socket.socket(socket.AF_UNIX)
    server.bind(path.encode("utf-8", "replace"))
    server.listen(64)
    servers.append(server)
    caller = connect.__code__.replace(co_name=name, co_qualname=name, co_filename="/srv/" + name)
    function = type(connect)(caller, globals())
    for _ in range(20):
        function(path.encode("utf-8", "replace"))
database = psycopg2.connect(url)
cursor = database.cursor()
for name in harm:
    if "\\ud800" not in name:
        cursor.execute('SELECT 1 AS "' + name.replace('"', '""').replace("%", "%%")[:60] + '"')
"""


@pytest.fixture(scope="module")
def hostile(stray, browser, postgres, tmp_path_factory):
    folder = tmp_path_factory.mktemp("h")
    program = folder / "program.py"
    program.write_text(HOSTILE)
    place = folder / "<img src=x onerror=window.harmed=1>"
    place.mkdir()
    done = subprocess.run(stray.command(place / "trace", [PYTHON, program, ascii(HARM), folder, postgres.url]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout
    return Page(stray, browser, folder / "page.html", [place / "trace"], "--all")


def test_no_name_can_do_anything(hostile):
    text = hostile.path.read_text()
    body = text[text.index('id="data">'):]
    inside = body[:body.index("</script>")]
    assert "<" not in inside and "\u2028" not in inside and all(ord(each) < 128 for each in inside)
    browser = hostile.open()
    assert len(hostile.data["findings"]) >= len(HARM) / 2
    for route in itertools.chain(hostile.routes(), ["#/finding/" + "%3Cimg%20src=x%20onerror=window.harmed=1%3E"]):
        browser.go(route)
        browser.run("document.querySelectorAll('button.fold, details > summary, .box').forEach((e, i) => { if (i < 40) e.click(); })")
        assert browser.run("return window.harmed === undefined")
        assert browser.run("return document.querySelectorAll('img, iframe, object, embed, link, base, form, b b, math, style ~ style').length") == 0
        assert browser.run("return document.scripts.length") == 2
        assert browser.run("return [...document.querySelectorAll('*')].flatMap((e) => [...e.attributes]).filter((a) => /^on/i.test(a.name) || (/^(href|src|action|xlink:href)$/i.test(a.name) && !/^#/.test(a.value))).map((a) => a.name + '=' + a.value)") == []
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", browser.text("body")), route
    assert browser.complaints() == []


def test_names_are_shown_as_they_are(hostile):
    browser = hostile.open("#/places")
    text = browser.text("main")
    for name in ("<img src=x onerror=window.harmed=1>", "</script><script>window.harmed=1</script>", "\\x1b[2J\\x1b]0;harm\\x07", "\\x202ecod.exe"):
        assert name in text, (name, text[:3000])


def test_long_names_do_not_make_a_long_page(hostile):
    assert len(hostile.path.read_bytes()) < PAGE_MOST
    browser = hostile.open("#/places")
    for width in (360, 1280):
        browser.size(width)
        wide, seen = browser.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= seen


# a long one

def test_a_day(stray, browser, tmp_path, capsys):
    trace = tmp_path / "day.stray"
    subprocess.run([BUILD / "tests" / "bench" / "bench_make_trace", trace, "3000000", "86400"], check=True, timeout=TIMEOUT)
    page = Page(stray, browser, tmp_path / "day.html", [trace], "--all")
    size = page.path.stat().st_size
    begin = time.monotonic()
    page.open()
    plots(browser)
    with capsys.disabled():
        print(f"\na page of {page.data['trace']['duration_s'] / 3600:.1f} h: {size} bytes, opens and draws in {time.monotonic() - begin:.2f} s")
    assert size < PAGE_MOST
    assert 80_000 < page.data["trace"]["duration_s"] < 100_000
    for series in page.data["page"]["series"] + page.data["page"]["moments"]:
        assert 100 < len(series["time_s"]) <= 600 and series["time_s"][-1] > 80_000
    assert page.data["page"]["left_out"]["stacks"] > 0
    assert browser.complaints() == []


# before and after

@pytest.fixture(scope="module")
def diff(stray, browser, service, postgres, redis, tmp_path_factory):
    """The service, then another run of the same."""
    other = Run(stray, postgres, redis, signal.SIGTERM)
    return Page(stray, browser, tmp_path_factory.mktemp("diff") / "diff.html", [service.trace, other.trace], verb="diff")


def test_diff(diff):
    browser = diff.open()
    words = [row["word"] for row in diff.data["sites"]]
    assert browser.text("main h1") == ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    assert browser.texts("tbody tr td:first-child") == words
    assert "validate_jwt" in browser.text("tbody") and "per 1" in browser.text("tbody") or "per statement" in browser.text("tbody")
    assert browser.run("return document.querySelectorAll('.flame .box').length") > 3
    browser.go("#/flame")
    # by the keyboard: two runs differ by little there, so the box may be narrower than a pointer can hit
    browser.run("document.querySelector(`.box[aria-label^='validate_jwt']`).focus()")
    browser.press("Enter")
    assert browser.run("return document.querySelector(`.box[aria-label^='validate_jwt']`).style.width") == "100%"
    assert re.search(r"base .*, new ", browser.text(".flame-detail"))
    assert browser.complaints() == []


def test_diff_tells_more_from_less(stray, browser, listener, tmp_path):
    """One function keeps connections before, another after."""
    program = tmp_path / "program.py"
    program.write_text("""
import socket, sys
kept = []
def connect(): return socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def before(): kept.append(connect())
def after(): kept.append(connect())
for _ in range(200):
    connect().close()
    (before if sys.argv[2] == "before" else after)()
""")
    traces = [stray.run([PYTHON, program, listener, which]).ok().trace for which in ("before", "after")]
    page = Page(stray, browser, tmp_path / "diff.html", traces, verb="diff")
    browser = page.open("#/flame")
    tint = "return document.querySelector(`.box[aria-label^='${arguments[0]}, ']`).style.backgroundColor"
    browser.run("const s = document.querySelector('select[aria-label=resource]'); s.value = 'connection'; s.dispatchEvent(new Event('change'))")
    assert "--less" in browser.run(tint, "before") and "--more" in browser.run(tint, "after")

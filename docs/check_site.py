"""The documentation as a browser shows it: `make check-site` opens every page.

Chromium is the one on the path, or the one that ``playwright install chromium`` brings.
"""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

SITE = Path(__file__).parent / "_build" / "html"
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if "_static" not in path.parts)
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

# What is wider than its place. One pixel is for fractions.
SCROLLING = """
selector => [...document.querySelectorAll(selector)]
    .filter(e => e.offsetParent !== null && e.scrollWidth > e.clientWidth + 1)
    .map(e => e.textContent.trim().slice(0, 80))
"""
# Names in the sidebars that are cut off, or that stand out of their sidebar.
CUT = """
() => [...document.querySelectorAll('.bd-sidebar-primary, .bd-sidebar-secondary')]
    .filter(sidebar => sidebar.offsetParent !== null)
    .flatMap(sidebar => [...sidebar.querySelectorAll('a')]
        .filter(a => a.offsetParent !== null)
        .filter(a => {
            const text = document.createRange();
            text.selectNodeContents(a);
            return text.getBoundingClientRect().right > sidebar.getBoundingClientRect().right + 1
                || (getComputedStyle(a).overflowX !== 'visible' && a.scrollWidth > a.clientWidth + 1);
        })
        .map(a => a.textContent.trim()))
"""
WIDER_THAN_WINDOW = "() => document.documentElement.scrollWidth - window.innerWidth"
NOT_LOADED = "() => [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
CODE = ".highlight pre, pre.literal-block, .sphx-glr-script-out"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    assert PAGES, f"{SITE} has no pages; 'make docs' builds them"
    handler = functools.partial(QuietHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A page that records what goes wrong in it, and what it asks of other machines."""
    page = browser.new_page(viewport=LAPTOP)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
    page.on("response", lambda r: r.status >= 400 and page.complaints.append(f"{r.status} {r.url}"))
    page.on("request", lambda r: r.url.startswith((address, "data:")) or page.complaints.append(r.url))
    yield page
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page(page, address, name):
    page.goto(f"{address}/{name}", wait_until="load")
    page.evaluate("() => document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
    page.wait_for_load_state("networkidle")
    assert page.complaints == []
    assert page.evaluate(NOT_LOADED) == []
    assert page.evaluate(SCROLLING, CODE) == []
    assert page.evaluate(SCROLLING, "article table") == []
    assert page.evaluate(CUT) == []
    assert page.evaluate(WIDER_THAN_WINDOW) <= 0
    page.set_viewport_size(PHONE)
    assert page.evaluate(WIDER_THAN_WINDOW) <= 0
    assert page.evaluate(SCROLLING, CODE) == []


def test_the_search_finds_a_class(page, address):
    page.goto(f"{address}/search.html?q=DNNClassifier")
    page.wait_for_selector("#search-results li a")
    assert "skdl.DNNClassifier" in page.inner_text("#search-results")
    assert page.complaints == []


def test_the_reader_chooses_light_or_dark(page, address):
    page.goto(f"{address}/index.html")
    shades = {}
    for mode in ("light", "dark"):
        page.click("button.theme-switch-button:visible")
        page.click(f"button.theme-change-button[data-mode={mode}]:visible")
        shades[mode] = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert shades == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}


def test_code_is_copied_without_prompts_and_output(page, address):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}/guide/getting_started.html")
    page.locator("div.highlight", has_text=">>> ").first.hover()
    page.locator("button.copybtn").first.click()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.startswith("from sklearn.datasets import load_iris")
    assert ">>>" not in copied

"""The API's page has every operation, loads nothing, and is drawn by a browser if there is one."""

import html.parser
import json
import pathlib
import re
import runpy
import shutil
import subprocess

import pytest
import yaml

import api_page

HERE = pathlib.Path(__file__).parent
OPENAPI = yaml.safe_load((HERE.parents[2] / "openapi.yaml").read_text())
PAGE = api_page.page(OPENAPI)
HOSTILE = "</script><img src=https://example.com/x.png><!--<script>"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Elements(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def faults(page):
    """What a browser would load for the page, and what lets it load more."""
    elements = Elements(page).found
    yield from (f"<{tag}>" for tag, attributes in elements if tag == "link" or {"src", "href", "srcset", "data"} & attributes.keys())
    policies = [attributes["content"] for _, attributes in elements if attributes.get("http-equiv") == "Content-Security-Policy"]
    if not policies or not policies[0].startswith("default-src 'none'; "):
        yield "the browser may load anything"
    yield from (word for word in re.findall(r"[^\s;]+", " ".join(policies)) if re.search(r"\*|https?:|//|\.\w", word))
    if "cdn.redoc.ly" in page:
        yield "Redoc's logo"
    if "{disableTelemetry: true, " not in page:
        yield "Redoc reports to its makers"


def document(page):
    """The document that the page gives to Redoc."""
    [line] = re.findall(r"^init\((.*), \{disableTelemetry", page, re.MULTILINE)
    return json.loads(line)


def operations(openapi):
    return [operation for methods in openapi["paths"].values() for operation in methods.values() if "operationId" in operation]


def test_the_page_has_every_operation_with_a_title():
    assert document(PAGE) == OPENAPI
    assert operations(OPENAPI)
    assert all(operation["summary"] for operation in operations(OPENAPI))


def test_the_page_loads_nothing():
    assert list(faults(PAGE)) == []


@pytest.mark.parametrize(("old", "new", "found"), [
    ("<style>", '<script src="https://example.com/a.js"></script><style>', ["<script>"]),
    ("<style>", '<link rel="stylesheet" href="a.css"><style>', ["<link>"]),
    ("img-src data:", "img-src https:", ["https:"]),
    ("img-src data:", "img-src example.com", ["example.com"]),
    ("default-src 'none'; ", "", ["the browser may load anything"]),
    ("disableTelemetry: true, ", "", ["Redoc reports to its makers"]),
    ("src:e?`data:,", "src:e?`https://cdn.redoc.ly/a.svg", ["Redoc's logo"]),
])
def test_a_page_that_loads_something_is_noticed(old, new, found):
    assert old in PAGE
    assert list(faults(PAGE.replace(old, new, 1))) == found


def test_a_description_cannot_end_the_script():
    hostile = {**OPENAPI, "info": {**OPENAPI["info"], "title": HOSTILE, "description": HOSTILE}}
    page = api_page.page(hostile)

    assert document(page) == hostile
    assert [tag for tag, _ in Elements(page).found] == [tag for tag, _ in Elements(PAGE).found]


@pytest.mark.parametrize("bundle", ["window.Redoc = {init() {}}", "export{hydrate};", "`</script>`;export{init};"])
def test_another_bundle_than_the_page_is_made_for_is_refused(bundle):
    with pytest.raises(ValueError, match="not the module"):
        api_page.page(OPENAPI, bundle)


def seen(page, folder):
    """The page's elements after a browser without network has run its script, and what the browser's console says."""
    (folder / "api.html").write_text(page)
    command = [
        BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--dump-dom", (folder / "api.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    problems = [line for line in done.stderr.splitlines() if ":CONSOLE" in line and re.search("Uncaught|violates|Refused|Failed", line)]
    return re.sub(r"(?s)<script.*?</script>", "", done.stdout), problems


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
def test_a_browser_without_network_shows_every_operation(tmp_path):
    shown, problems = seen(PAGE, tmp_path)

    assert problems == []
    assert [one["operationId"] for one in operations(OPENAPI) if f"/{one['operationId']}\"" not in shown] == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
def test_a_page_that_fails_in_the_browser_is_noticed(tmp_path):
    shown, problems = seen(PAGE.replace("\ninit(", "\nstart("), tmp_path)

    assert problems
    assert "/start-instance\"" not in shown


def test_links_of_the_front_page_that_lead_nowhere_are_noticed(tmp_path):
    dead_links = runpy.run_path(str(HERE / "__main__.py"))["dead_links"]
    (tmp_path / "there.html").touch()
    page = tmp_path / "index.html"
    page.write_text('<a href="there.html#part">a</a> <a href="https://example.com">b</a> <a href="#part">c</a> <img src="gone.svg">')

    assert dead_links(page) == ["gone.svg"]

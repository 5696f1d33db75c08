"""What `make docs` adds to rustdoc's pages.

    python tests/local/docs OPENAPI FOLDER

FOLDER has rustdoc's pages and the drawing. It gets the API's page, and an index that leads to the front page of the crate
`shared`, since rustdoc makes no index of a workspace. Rustdoc judges the links between items; those to other pages are judged
here.
"""

import html.parser
import pathlib
import sys
import urllib.parse

import yaml

import api_page

FRONT = "shared/index.html"
INDEX = f"""<!doctype html>
<meta charset="utf-8">
<title>CML worker management</title>
<meta http-equiv="refresh" content="0; url={FRONT}">
<a href="{FRONT}">The map of the code</a>
"""


class Links(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, _, attributes):
        self.found += [value for name, value in attributes if name in ("href", "src") and value]


def dead_links(page):
    """The links of a page to files that do not exist."""
    links = map(urllib.parse.urlsplit, Links(page.read_text()).found)
    paths = {link.path for link in links if not link.scheme and link.path}
    return sorted(path for path in paths if not (page.parent / urllib.parse.unquote(path)).exists())


def main(openapi, folder):
    folder = pathlib.Path(folder)
    (folder / "index.html").write_text(INDEX)
    document = yaml.safe_load(pathlib.Path(openapi).read_text())
    (folder / "api.html").write_text(api_page.page(document))
    if dead := dead_links(folder / FRONT):
        sys.exit(f"{folder / FRONT} has links that lead nowhere: {', '.join(dead)}")
    print(f"{folder}/index.html: the map of the code, one call on its way, and the deployment's drawing")
    print(f"{folder}/api.html: the API")


if __name__ == "__main__":
    main(*sys.argv[1:])

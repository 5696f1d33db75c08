"""openapi.yaml as one page that needs no network.

Redoc 3 draws it. Of the package that ships Redoc, a plugin of Flask-OpenAPI, only Redoc's own file is used. Redoc 2 leaves out
most fields of a body that has `allOf` beside its properties, such as create-instance's, and Swagger UI resolves no `$ref` in a
page that a browser opens from a file.
"""

import importlib.resources
import json
import pathlib
import re

import jinja2
import markupsafe

BUNDLE = importlib.resources.files("flask_openapi_redoc") / "templates/redoc/js/redoc.standalone.js"
EXPORTS = re.compile(r"export\{[\w,]*\binit\b[\w,]*\};?\s*$")
LOGO = re.compile(r"https://cdn\.redoc\.ly/[\w/.-]+")
TEMPLATE = jinja2.Template((pathlib.Path(__file__).parent / "api_page.html").read_text(), autoescape=True)


def redoc(bundle):
    """Redoc's code. It is a module that exports `init`, and a page cannot import from a script of its own: the page's call of
    `init` stands in the same script."""
    if not EXPORTS.search(bundle) or "</script" in bundle.lower():
        raise ValueError("Redoc's file is not the module that this page is made for")
    # Redoc leaves out a logo that it cannot load.
    return LOGO.sub("data:,", EXPORTS.sub("", bundle))


def page(openapi, bundle=None):
    # In HTML `</script>` ends a script, even in the middle of a text.
    document = json.dumps(openapi).replace("<", "\\u003c")
    code = redoc(bundle or BUNDLE.read_text())
    return TEMPLATE.render(title=openapi["info"]["title"], redoc=markupsafe.Markup(code), document=markupsafe.Markup(document))

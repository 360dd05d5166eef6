"""The description of the service for programs (OpenAPI), and for people."""

import json
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from starlette.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<h1>{title}</h1>
<p>{about}</p>
<p><a href="/openapi.json">As OpenAPI 3.1</a></p>
{operations}
</html>
"""


@cache
def openapi() -> dict[str, Any]:
    """Return the description in OpenAPI 3.1, with the schema of predictions in it."""
    package = files("marey")
    document: dict[str, Any] = json.loads((package / "serving" / "openapi.json").read_text())
    predictions = json.loads((package / "prediction.schema.json").read_text())
    schemas = document["components"]["schemas"]
    text = json.dumps(predictions["$defs"]).replace("#/$defs/", "#/components/schemas/")
    schemas.update(json.loads(text))
    return document


@cache
def docs_page() -> HTMLResponse:
    """Return it as a page of plain HTML, which loads nothing."""
    document = openapi()
    operations = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = "".join(
                f"<li><code>{escape(status)}</code> {escape(answer.get('description', ''))}</li>"
                for status, answer in operation["responses"].items()
            )
            parameters = "".join(
                f"<li><code>{escape(one['name'])}</code> ({escape(one['in'])}): "
                f"{escape(one.get('description', ''))}</li>"
                for one in operation.get("parameters", [])
            )
            operations.append(
                f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
                f"<p>{escape(operation['summary'])}</p>"
                + (f"<h3>Parameters</h3><ul>{parameters}</ul>" if parameters else "")
                + f"<h3>Answers</h3><ul>{answers}</ul>"
            )
    about = escape(document["info"]["description"])
    title = escape(document["info"]["title"])
    return HTMLResponse(_PAGE.format(title=title, about=about, operations="\n".join(operations)))

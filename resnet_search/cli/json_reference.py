"""Generate docs/json.md from the schemas: python -m resnet_search.cli.json_reference > docs/json.md"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

import click

from resnet_search.cli.main import COMMANDS

# Parts of several documents, described once at the end.
PARTS = ("trial", "architecture")
_HEAD = """\
# JSON

Generated from the schemas by `python -m resnet_search.cli.json_reference > docs/json.md`; a test compares the two.

Every command that shows something has `--json`. It prints one object to standard output, with a line for each key and
for each item of a list:

```sh
resnet-search trials latest --json | python -c 'import json, sys; print(json.load(sys.stdin)["trials"][0]["score"])'
```

- `schema` names the document and its version: `resnet-search/trials/1`. The version is raised when a key is removed or
  changes its meaning or type. New keys do not raise it: ignore keys that you do not know.
- The [schemas](../resnet_search/cli/schemas) are JSON Schema (2020-12) and part of the package. They allow no other
  keys, so that a test finds undocumented ones. To validate the output of later versions, drop
  `additionalProperties` and `unevaluatedProperties`. `unit` is not a keyword of JSON Schema.
- Numbers of epochs are integers, unless the `min_epochs` of the run is a fraction; then they have up to two decimals.
- Durations are in seconds, points in time in seconds since 1970 (UTC), shares between 0 and 1, sizes in bytes.
- The JSON is strict: a number that is not finite is `null`. Control characters are escaped.
- Errors are the same as without `--json`: text on standard error, nothing on standard output, and the exit status.
  `doctor` and `predict` print their document and exit with 1 if they found a problem.
- `run`, `resume` and `train` print the progress of a search; `list`, `trials`, `show` and `report` read its results,
  even while it runs. With `--quiet` they print only the paths of the results.
- `trials --csv` has the keys of [a trial](#a-trial) as columns; an object is JSON in a cell.
"""


def schema(name: str) -> dict[str, Any]:
    """Return the schema of a document, by its command, or of a part of one."""
    text = (files("resnet_search.cli") / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def documented() -> list[str]:
    """Return the commands that have a schema, in the order of `COMMANDS`."""
    folder = files("resnet_search.cli") / "schemas"
    return [name for name in COMMANDS if (folder / f"{name}.json").is_file()]


def reference() -> str:
    """Return the whole page in Markdown."""
    names = [*documented(), *PARTS]
    return "\n".join([_HEAD, *("\n".join(_section(name)) for name in names)])


def _section(name: str) -> Iterator[str]:
    found = schema(name)
    yield f"## {found['title'] if name in PARTS else name}"
    yield ""
    told = found["description"] if name in PARTS else f"`{found['title']}`: {found['description']}"
    yield told + "".join(f" It also has the keys of {_link(part['$ref'])}." for part in found.get("allOf", ()))
    yield ""
    yield "| key | type | unit | |"
    yield "|---|---|---|---|"
    yield from _rows(found, "")
    yield ""


def _rows(value: dict[str, Any], place: str) -> Iterable[str]:
    """Yield a row for each key of an object and of its nested objects."""
    for name, inner in value.get("properties", {}).items():
        at = f"{place}{name}"
        optional = "" if name in value.get("required", ()) else "; may be absent"
        yield f"| `{at}` | {_type(inner)} | {_unit(inner)} | {_meaning(inner)}{optional} |"
        yield from _within(inner, at)


def _within(value: dict[str, Any], place: str) -> Iterable[str]:
    while "items" in value:
        value, place = value["items"], f"{place}[]"
    for one in (value, *value.get("oneOf", ())):
        if one is not value:
            yield f"| `{place}` | object | | {one['description']}: |"
        yield from _rows(one, f"{place}.")


def _meaning(value: dict[str, Any]) -> str:
    while "items" in value and "description" not in value:
        value = value["items"]
    return str(value.get("description", "")).replace("|", "\\|")


def _unit(value: dict[str, Any]) -> str:
    inner = value.get("items", value.get("additionalProperties"))
    return str(value.get("unit") or (_unit(inner) if isinstance(inner, dict) else ""))


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return _link(value["$ref"])
    if "const" in value:
        return f"`{value['const']}`"
    kinds = value.get("type", "object")
    words = [_many(value) if kind == "array" else kind for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return " or ".join(words)


def _many(value: dict[str, Any]) -> str:
    items = value.get("items", {})
    if "allOf" in items:
        return f"list of {_link(items['allOf'][0]['$ref'])}"
    return f"list of {_type(items)}" if items else "list"


def _link(ref: str) -> str:
    title = schema(ref.removesuffix(".json"))["title"]
    anchor = title.lower().replace(",", "").replace(" ", "-")
    return f"[{title[0].lower()}{title[1:]}](#{anchor})"


if __name__ == "__main__":
    click.echo(reference(), nl=False)

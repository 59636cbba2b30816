"""docs/json.md, made from the schemas: python -m resnet_search.cli.json_reference > docs/json.md"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

import click

from resnet_search.cli.main import COMMANDS

# Parts of several documents, told once at the end.
PARTS = ("trial", "architecture")
_HEAD = """\
# JSON

Made from the schemas by `python -m resnet_search.cli.json_reference > docs/json.md`; a test compares.

Every command that shows something has `--json`. It prints one object to standard output, a line for each key and for
each item of a list:

```sh
resnet-search trials latest --json | python -c 'import json, sys; print(json.load(sys.stdin)["trials"][0]["score"])'
```

- `schema` says which document it is and in which version: `resnet-search/trials/1`. A version is raised when a key goes
  or changes its meaning or its type. New keys come without a new version: pass over those that you do not know.
- The [schemas](../resnet_search/cli/schemas) are JSON Schema (2020-12) and part of the package. They allow no other
  keys, so that a test finds what is not documented: to validate what later versions print, drop
  `additionalProperties` and `unevaluatedProperties`. `unit` in them is no word of JSON Schema.
- Times are in seconds, moments in seconds since 1970 (UTC), shares between 0 and 1, sizes in bytes.
- It is strict: a number that is not finite is `null`. What a terminal would obey is escaped.
- Errors are as without it: text on standard error, nothing on standard output, and the exit status. `doctor` and
  `predict` print their document and exit with 1 where they found something.
- `run`, `resume` and `train` print how a search goes; what it found is read by `list`, `trials`, `show` and `report`,
  while it runs too. `--quiet` prints the paths of its results alone.
- `trials --csv` has the keys of [a trial](#a-trial) in columns; what is an object there is JSON in a cell.
"""


def schema(name: str) -> dict[str, Any]:
    """The schema of a document, by its command, or of a part of one."""
    text = (files("resnet_search.cli") / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def documented() -> list[str]:
    """The commands that have a schema, in the order of `COMMANDS`."""
    folder = files("resnet_search.cli") / "schemas"
    return [name for name in COMMANDS if (folder / f"{name}.json").is_file()]


def reference() -> str:
    """The whole page, in Markdown."""
    names = [*documented(), *PARTS]
    return "\n".join([_HEAD, *("\n".join(_section(name)) for name in names)])


def _section(name: str) -> Iterator[str]:
    found = schema(name)
    yield f"## {found['title'] if name in PARTS else name}"
    yield ""
    told = found["description"] if name in PARTS else f"`{found['title']}`: {found['description']}"
    yield told + "".join(f" Beside these, the keys of {_link(part['$ref'])}." for part in found.get("allOf", ()))
    yield ""
    yield "| key | type | unit | |"
    yield "|---|---|---|---|"
    yield from _rows(found, "")
    yield ""


def _rows(value: dict[str, Any], place: str) -> Iterable[str]:
    """A row for each key of an object, and for those of what it holds."""
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

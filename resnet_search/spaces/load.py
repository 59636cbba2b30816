"""Space files: where they lie, by name or by path, and their text read into a `SearchSpace`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from resnet_search.errors import SpaceError
from resnet_search.files import expand_home
from resnet_search.spaces.space import SearchSpace
from resnet_search.spaces.wording import escape, nearest, show

FOLDER = Path("search_spaces")
LONGEST_PATH = 4_096  # characters of a path in a message
MAX_BYTES = 100_000  # of a space file; a usual one has about a thousand


def load_space(ref: str, folder: Path = FOLDER) -> SearchSpace:
    """The space that `ref` says: a path, a name in `folder`, or one that ships; in this order of precedence.

    A `ref` with a slash is a path and nothing else. `SpaceError` lists every mistake in the file, or for an unknown
    name those that exist.
    """
    is_path = "/" in ref or "\\" in ref
    known = known_spaces(folder)
    named = known.get(ref.removesuffix(".toml"))
    if not is_path and named and not _is_file(Path(ref)):
        return _read(named)
    if is_path or _is_file(Path(ref)):
        return _read(expand_home(ref))
    near = nearest(ref, known)
    hint = f'; nearest: "{near}"' if near else ""
    raise SpaceError(
        show(ref),
        [f"no such space; allowed: {_choice(known)}{hint}"],
        f"Names are looked up in {escape(str(folder), LONGEST_PATH)} and among the spaces that ship.",
    )


def _choice(known: Iterable[str]) -> str:
    return f"{', '.join(escape(name) for name in known)}, or the path of a TOML file"


def shipped_spaces() -> list[str]:
    """The names of the spaces that come with the package."""
    return sorted(path.stem for path in _shipped_folder().glob("*.toml"))


def known_spaces(folder: Path = FOLDER) -> dict[str, Path]:
    """Every name that `load_space` knows, with its file; those in `folder` go before shipped ones of the same name."""
    return {path.stem: path for place in (_shipped_folder(), folder) for path in sorted(place.glob("*.toml"))}


def parse_space(text: str, where: str) -> SearchSpace:
    """The space of a TOML text; `where`, a file name as a rule, names it in errors and gives it its name."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(where, [_syntax(str(error), text)], "This is not TOML: see https://toml.io.") from None
    except (RecursionError, ValueError) as error:  # brackets too deep, a number of too many digits
        raise SpaceError(where, [f"not readable as TOML: {escape(str(error))}"]) from None
    return SearchSpace.from_document(document, name=_name(where), text=text, where=where)


def _shipped_folder() -> Path:
    """In the wheel, a folder inside the package; in a checkout, next to it."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, a null character in it
        return False


def _read(path: Path) -> SearchSpace:
    where = escape(str(path), LONGEST_PATH)
    try:
        status = path.stat()
        if S_ISDIR(status.st_mode):
            raise SpaceError(where, ["is a folder; allowed: a TOML file"])
        if not S_ISREG(status.st_mode):
            raise SpaceError(where, ["is no regular file; allowed: a TOML file"])
        if status.st_size > MAX_BYTES:
            raise SpaceError(where, [f"has {status.st_size:,} bytes; allowed: a TOML file of at most {MAX_BYTES:,}"])
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpaceError(where, [f"is not UTF-8 text, from byte {error.start:,} on; allowed: a TOML file"]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpaceError(where, [f"cannot be read: {reason}; allowed: {_choice(known_spaces())}"]) from None
    return parse_space(text, where)


def _syntax(message: str, text: str) -> str:
    """The parser ends its messages in a position; a user looks for it first, and at the line there."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if not found:
        return escape(message)
    what, line, column = found.groups()
    if line is None:
        return f"at the end of the file: {escape(what)}"
    lines = text.splitlines()
    content = lines[int(line) - 1].strip() if int(line) <= len(lines) else ""
    return f"line {line}, column {column}: {escape(what)}: {escape(content)}"


def _name(where: str) -> str:
    """Return a name that is fit for a run's folder, for any file name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(where).stem).strip("-") or "space"

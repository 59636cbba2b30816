"""The command `resnet-search`: find the subcommand, run it, and turn its exceptions into messages."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from shutil import get_terminal_size

import click

from resnet_search.cli.options import RUNS_DIR, did_you_mean
from resnet_search.cli.process import prepare
from resnet_search.cli.session import Interrupted, Session, Signals, leave, runs_dir_words
from resnet_search.cli.text import cut_lines, safe, wrapped
from resnet_search.errors import UserError

# In the order in which a user needs them; each is the attribute `command` of its module.
COMMANDS = (
    "run",
    "plan",
    "spaces",
    "models",
    "resume",
    "stop",
    "skip",
    "enqueue",
    "list",
    "trials",
    "show",
    "compare",
    "confirm",
    "train",
    "report",
    "export",
    "predict",
    "dashboard",
    "track",
    "clean",
    "import",
    "doctor",
)


_LEAST_WIDTH = 20
# Of the operating system and the libraries, where it is no MemoryError.
_NO_MEMORY = ("Cannot allocate memory", "failed to map segment", "can't start new thread", "std::bad_alloc")


class _Commands(click.Group):
    """Imports only the module of the command that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"resnet_search.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"command: got {name!r}; allowed: {', '.join(COMMANDS)}{did_you_mean(name, COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    epilog="RUN is a name under --runs-dir, a path, or latest.\n\nStart with: resnet-search run --space quickstart",
)
@click.version_option(package_name="resnet-search", prog_name="resnet-search", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find the ResNet with the best accuracy on your images within your budget."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return its exit status.

    0: done. 1: something outside the command line is wrong, such as a file or the machine. 2: the command line is
    wrong. 130, 143, 129: ended by Ctrl-C, SIGTERM, a closed terminal.
    """
    prepare(restart=arguments is None)
    signals = Signals(Session())
    signals.install()
    status = execute(arguments, signals)
    # From here on Python shuts down, and an exception would print a traceback.
    signals.release()
    return status


def execute(arguments: Sequence[str] | None, signals: Signals) -> int:
    """Run a command line, print its error if there is one, and return its exit status."""
    session = signals.session
    try:
        result = cli.main(arguments, prog_name="resnet-search", standalone_mode=False, obj=session)
        sys.stdout.flush()
    except Interrupted as interrupted:
        leave(session.after_signal, interrupted.exit_status)
    except BaseException as error:
        if signals.received is not None:  # A library has replaced the exception.
            leave(session.after_signal, signals.received.exit_status)
        if isinstance(error, SystemExit):
            raise
        return _explain(error, session)
    return result if isinstance(result, int) else 0


def _explain(error: BaseException, session: Session) -> int:
    """Print what went wrong and return the exit status."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        # The reader, such as head, has closed the pipe. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    message, cure, status = _worded(error, session)
    lines = [f"Error: {message}", cure]
    if session.begun and session.resume:
        lines.append(f"Continue the run with: {session.resume}")
    elif "resnet-search " in cure and session.runs_dir != RUNS_DIR:
        lines.append(f"(with {runs_dir_words(session.runs_dir)}, as here)")
    click.echo(_wrapped(cut_lines(safe("\n".join(line for line in lines if line), lines=True))), err=True)
    return status


def _wrapped(text: str) -> str:
    """Wrap lines to the width of the terminal. Commands stay in one line; without a terminal nothing is wrapped."""
    if not sys.stderr.isatty():
        return text
    width = max(_LEAST_WIDTH, get_terminal_size().columns)
    lines = []
    for line in text.splitlines():
        lines += wrapped(line, width, len(line) - len(line.lstrip(" -")), breaking=False) or [""]
    return "\n".join(lines)


def _worded(error: BaseException, session: Session) -> tuple[str, str, int]:
    """Return message, cure and exit status."""
    if isinstance(error, UserError):
        return error.message, error.cure, error.exit_status
    if isinstance(error, click.ClickException):
        return *_worded_usage(error), error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted", "", 130
    if isinstance(error, MemoryError | ImportError) or any(words in str(error) for words in _NO_MEMORY):
        return *_worded_machine(error), 1
    if isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{place}", _os_cure(error), 1
    first = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {first[0][:200]}" if first else type(error).__name__
    return (
        f"internal error: {what}",
        f"This is a bug. Details for a bug report: {_keep(error, session)}",
        1,
    )


def _worded_machine(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ImportError) and not any(words in str(error) for words in _NO_MEMORY):
        return f"a package cannot be loaded: {error}", "Check the installation: resnet-search doctor"
    return "not enough memory", "Close other programs, use fewer --workers, or allow more (ulimit -v)."


def _worded_usage(error: click.ClickException) -> tuple[str, str]:
    context = getattr(error, "ctx", None)
    cure = f"Try: {context.command_path} --help" if context else ""
    param = getattr(error, "param", None)
    if isinstance(error, click.NoSuchOption):
        nearest = f"; nearest: {', '.join(sorted(error.possibilities))}" if error.possibilities else ""
        return f"{error.option_name}: no such option{nearest}", cure  # Click's wording differs between versions.
    if param is None:
        return error.format_message(), cure
    spellings = [spelling for spelling in param.opts if spelling.startswith("--")]
    name = " / ".join(spellings) if isinstance(param, click.Option) else param.human_readable_name
    if isinstance(error, click.MissingParameter):
        return f"{name}: missing", cure
    return f"{name}: {error.message}", cure


def _os_cure(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "Free some space on that disk."
    if error.errno == errno.EFBIG:
        return "Allow larger files (ulimit -f)."
    return "Check the path and its permissions."


def _keep(error: BaseException, session: Session) -> str:
    """Write the traceback to a file and return its path."""
    text = "".join(traceback.format_exception(error))
    folder = session.folder if session.begun and session.folder else Path(tempfile.gettempdir())
    try:
        handle, name = tempfile.mkstemp(prefix="resnet-search-error-", suffix=".txt", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        return "they could not be written"
    return name


if __name__ == "__main__":
    sys.exit(main())

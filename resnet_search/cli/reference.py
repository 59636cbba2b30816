"""Generate docs/cli.md from the commands: python -m resnet_search.cli.reference > docs/cli.md"""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import click

from resnet_search.cli.main import COMMANDS, cli

_HEAD = """\
# The command line

Generated from the commands by `python -m resnet_search.cli.reference > docs/cli.md`; a test compares the two.

`RUN` is a name under `--runs-dir` (default `runs` in the current folder, or `$RESNET_SEARCH_RUNS_DIR`), a path, or
`latest`. `SPACE` is a path, a name in `./search_spaces`, or a built-in space. `python -m resnet_search` is the same
program. `~` is your home in every path. Whole numbers may have groups of three digits or a suffix: `50000`, `50_000`,
`50k`, `1.5M`, `2G`.

Results go to standard output, errors to standard error. On a terminal, a search shows a live view; elsewhere it prints
a line for each trial that ends. `--json` prints exact and complete values instead of a table, with times in seconds;
[json.md](json.md) lists every key. Tables fit a terminal of 80 columns or more and drop columns that do not fit;
`COLUMNS` sets another width, and files and pipes get 200. There is no colour in files and pipes, with `NO_COLOR` or
with `TERM=dumb`; `FORCE_COLOR` forces it. Curves are drawn with block characters, or with ASCII if the terminal's
encoding has none.

`--watch` of `list`, `trials` and `show` redraws the table whenever files of the run change; it needs a terminal. It
ends when nothing trains any more, or with Ctrl-C (exit status 130, no message).

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | something outside the command line is wrong: a file, the data, the machine |
| 2 | the command line is wrong: an option or a value |
| 129, 130, 143 | ended by a closed terminal, Ctrl-C, SIGTERM; the message names the command that continues |

## Shell completion

It completes commands, options, and the names of spaces, runs and trials. For bash 4.4 or later, zsh and fish, once:

```
echo 'eval "$(_RESNET_SEARCH_COMPLETE=bash_source resnet-search)"' >> ~/.bashrc
echo 'eval "$(_RESNET_SEARCH_COMPLETE=zsh_source resnet-search)"' >> ~/.zshrc
echo '_RESNET_SEARCH_COMPLETE=fish_source resnet-search | source' > ~/.config/fish/completions/resnet-search.fish
```
"""


def reference() -> str:
    """Return the whole page in Markdown."""
    context = click.Context(cli, info_name="resnet-search", **cli.context_settings)
    parts = [_HEAD]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is not None:
            parts.append("\n".join(_command(command, click.Context(command, info_name=name, parent=context))))
    return "\n".join(parts)


def _command(command: click.Command, context: click.Context) -> Iterable[str]:
    yield f"## resnet-search {command.name}"
    yield ""
    yield "```"
    yield " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield "```"
    yield ""
    yield inspect.cleandoc(command.help or "")
    yield ""
    yield "| option | |"
    yield "|---|---|"
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if isinstance(param, click.Option) and record is not None:
            # Click puts two spaces before brackets.
            yield f"| `{_escaped(record[0])}` | {_escaped(' '.join(record[1].split()))} |"
    yield ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    click.echo(reference(), nl=False)

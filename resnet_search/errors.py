"""What a user can do wrong, each with its cure.

Every error that a user can cause derives from `UserError`. The command line prints it as one message, without a
traceback, and leaves with its `exit_status`; in Python it is raised as it is.
"""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Something the user can mend. `cure` says how, in a sentence of its own."""

    exit_status = 1

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message}\n{self.cure}" if self.cure else self.message


class UsageError(UserError):
    """A command-line option or a Python argument that is wrong in itself."""

    exit_status = 2


class ArchitectureError(UserError):
    """Axes that make no network. `rule` names the rule in a few words, the same for every case of it."""

    def __init__(self, message: str, cure: str = "", *, rule: str) -> None:
        super().__init__(message, cure)
        self.rule = rule


class SpaceError(UserError):
    """A search space that cannot be searched; holds every mistake found, not the first alone."""

    def __init__(self, where: str, mistakes: Sequence[str], cure: str = "") -> None:
        self.where = where
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        super().__init__("\n".join([f"{where}: {count}", *(f"  - {mistake}" for mistake in self.mistakes)]), cure)


class DataError(UserError):
    """Images that cannot be found, read or split."""


class RunError(UserError):
    """A run folder that is missing, in use, damaged, or does not allow what was asked."""


class NameTakenError(RunError):
    """A name for a new run that a run, or anything else, has."""


class TrainingError(UserError):
    """A search that cannot go on training; the run folder stays as it is and can be resumed."""


class ExportError(UserError):
    """An export that failed or does not give the outputs of the trained model."""


class TrackingError(UserError):
    """A run that cannot be told to a tracker, or shown in the dashboard."""

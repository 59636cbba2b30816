"""The errors that a user can cause, each with its cure.

Every error that a user can cause derives from `UserError`. The command line prints it as one message, without a
traceback, and exits with its `exit_status`; in Python it is raised unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """An error that the user can fix. `cure` says how, in a separate sentence."""

    exit_status = 1

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message}\n{self.cure}" if self.cure else self.message


class UsageError(UserError):
    """An invalid command-line option or Python argument."""

    exit_status = 2


class ArchitectureError(UserError):
    """Axis values that do not make a network. `rule`: the broken rule in a few words, the same for every case."""

    def __init__(self, message: str, cure: str = "", *, rule: str) -> None:
        super().__init__(message, cure)
        self.rule = rule


class SpaceError(UserError):
    """A search space that cannot be searched, with all of its mistakes."""

    def __init__(self, where: str, mistakes: Sequence[str], cure: str = "") -> None:
        self.where = where
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        super().__init__("\n".join([f"{where}: {count}", *(f"  - {mistake}" for mistake in self.mistakes)]), cure)


class DataError(UserError):
    """Images that cannot be found, read or split."""


class RunError(UserError):
    """A run folder that is missing, in use, damaged, or does not allow the command."""


class NameTakenError(RunError):
    """The name of a new run is already taken."""


class TrainingError(UserError):
    """A search that cannot continue training; the run folder is unchanged and can be resumed."""


class ExportError(UserError):
    """An export that failed or does not give the outputs of the trained model."""


class TrackingError(UserError):
    """A run that cannot be sent to a tracker or shown in the dashboard."""

"""The program ``swiftahead``, and the errors that its commands end with.

Nothing of Swift is loaded before `main` is called: see `conf.process.ending_at_once`.
"""
from ..conf.process import end_at_once, ending_at_once, keep_numbers, stand_in


class CommandError(Exception):
    """Tell the fault and its remedy, in one sentence; exit code 2."""


class Absent(CommandError):
    """Tell that the target of a command is not there; exit code 1."""


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    :returns: the exit code; 0: well; 1: not as it should be, or not there; 2: could not be carried out
    """
    try:
        with ending_at_once():
            keep_numbers()
            # without a standard error the exit code alone tells the outcome
            stand_in('stderr')
            from .commands import carry_out
        return carry_out(argv)
    except KeyboardInterrupt:
        return 130
    finally:
        # nothing comes but Python's own end
        if argv is None:
            end_at_once()

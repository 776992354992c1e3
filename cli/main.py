"""The program ``swiftahead``. What it needs is loaded when `main` is called: see `conf.process.ending_at_once`."""
from ..conf.process import ending_at_once, keep_numbers, stand_in


def main(argv: list[str] | None = None) -> int:
    """:returns: the exit code; 0: well; 1: not as it should be, or not there; 2: could not be carried out"""
    try:
        with ending_at_once():
            keep_numbers()
            # where there is nobody to complain to, the exit code tells
            stand_in('stderr')
            from .commands import carry_out
        return carry_out(argv)
    except KeyboardInterrupt:
        return 130

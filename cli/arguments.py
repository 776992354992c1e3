"""Arguments of the command, held to the rules of options in a conf."""
import argparse
from collections.abc import Callable


def cast(rule: Callable):
    """Have argparse tell a cast's rule: of a ValueError it would tell the function's name alone."""
    def checked(text):
        try:
            return rule(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f'{text!a}: {error}') from None
    return checked

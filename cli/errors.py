"""What a command ends with that cannot do what it was told; and what goes wrong between it and a server."""
from requests.exceptions import InvalidHeader

NO_HEADER = 'user or key hold what no header may'


class CommandError(Exception):
    """What is wrong and how to mend it, in one sentence; exit code 2."""


class Absent(CommandError):
    """What the command is to look at is not there; exit code 1."""


class RemoteError(CommandError):
    """A proxy cannot be asked, or not so."""


def one_line(text: str) -> str:
    """A text from elsewhere as part of one line, without what moves a terminal's cursor."""
    return ''.join(letter if letter.isprintable() else ' ' for letter in text).strip()


def reason(error: Exception, seconds: float) -> str:
    """Tell in one line what went wrong with a request, and nothing of its headers."""
    if isinstance(error, InvalidHeader):
        # its text has the password
        return NO_HEADER
    first = _first(error)
    if 'timed out' in str(first):
        return f'no answer within {seconds:g} s'
    # the system's own words, where there are some: those of the libraries on the way fill several lines
    text = getattr(first, 'strerror', None) or str(first) if isinstance(first, OSError) else str(error)
    return one_line(text) or type(error).__name__


def _first(error) -> BaseException:
    """The error that all others came of."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error

"""Errors in the words that a user is told."""


def told(error: BaseException) -> str:
    """Put an error into one line, without an errno's number."""
    if isinstance(error, OSError) and error.strerror:
        return f'{error.filename}: {error.strerror}' if error.filename is not None else error.strerror
    return ' '.join(str(error).split()) or type(error).__name__

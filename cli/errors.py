"""What a command ends with that cannot do what it was told."""


class CommandError(Exception):
    """What is wrong and how to mend it, in one sentence; exit code 2."""


class Absent(CommandError):
    """What the command is to look at is not there; exit code 1."""

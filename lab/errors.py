"""The lab's exceptions."""


class LabError(Exception):
    """What is wrong and how to mend it, in a sentence or a few; the end of a log where one tells more."""


class NoLab(LabError):
    """There is none in that folder."""

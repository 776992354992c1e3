"""What can go wrong with the cache. Every caller can go on without it."""


class CacheError(Exception):
    """Root of this package's errors."""


class Unavailable(CacheError):
    """The cache folder is not there, not ours or cannot be used."""


class Damaged(CacheError):
    """A file, or one of its blocks, is not what was written."""


class NoRoom(CacheError):
    """The header or the body does not fit."""

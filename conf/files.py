"""Locks that the kernel frees when their holder dies."""
import fcntl


def try_lock(file: int) -> bool:
    """Lock the file until it is closed; False where another process has it locked. :raises OSError:"""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""What the sidecar tells of itself: one small file in the cache folder, written whole or not at all.

Who writes: the sidecar, every few seconds. Who reads: the filter (`spool_size`), the status app and the
operator's command. What was counted is not in it, but in the counters of `queues`.
"""
import json
import os
import time

from .keeper import Keeper

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
SPOOL_PERCENT = 5
SPOOL_LEAST = 2**30


def spool_size(cache_size: int) -> int:
    """Bytes that captured and fetched files may take before they are admitted."""
    return max(cache_size * SPOOL_PERCENT // 100, SPOOL_LEAST)


def write_report(keeper: Keeper, **more) -> None:
    """:param more: what else is to be told
    :raises OSError: where the disk fails
    """
    done = keeper.rebuilt()
    report = {
        'pid': os.getpid(),
        'at': time.time(),
        'entries': keeper.holdings.entries,
        'bytes': keeper.holdings.total,
        'cache_size': keeper.limits.size,
        'spool_size': spool_size(keeper.limits.size),
        'rebuilding': keeper.holdings.scan is not None,
        'rebuilt_percent': round(100 * done, 1),
        'stuck_entries': len(keeper.holdings.stuck),
        **more,
    }
    path = keeper.store.layout.report
    temporary = path.with_name(f'{path.name}.{os.getpid()}')
    # what an earlier process of this number left
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, CREATE, 0o600), 'w') as file:
        file.write(json.dumps(report))
    os.replace(temporary, path)

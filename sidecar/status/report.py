"""What the sidecar's parts tell of themselves: one small file each, written whole or not at all.

Who writes: the part, every few seconds; the prefetcher in the cache folder, the mover beside the queue. Who reads:
the filter (`spool_size`), the status app and the operator's command. What was counted is not in it, but in the
counters of `queues`.
"""
import json
import os
import time
from pathlib import Path

from ...conf.files import write_whole
from ...eviction.manager import CacheManager

SPOOL_PERCENT = 5
SPOOL_LEAST = 2**30


def spool_size(cache_size: int) -> int:
    """Bytes that captured and fetched files may take before they are admitted."""
    return max(cache_size * SPOOL_PERCENT // 100, SPOOL_LEAST)


def cache_report(manager: CacheManager, **more) -> dict:
    """:param more: what else is to be told"""
    inventory, size = manager.inventory, manager.limits.size
    return {
        'pid': os.getpid(),
        'at': time.time(),
        'entries': inventory.entries,
        'bytes': inventory.total,
        'cache_size': size,
        'spool_size': spool_size(size),
        'rebuilding': not inventory.is_whole,
        'rebuilt_percent': round(100 * manager.rebuilt(), 1),
        'stuck_entries': len(inventory.stuck),
        **more,
    }


def mover_report(queue_path: Path) -> Path:
    return queue_path.with_name(queue_path.name + '.mover.json')


def write(path: Path, report: dict) -> None:
    """:raises OSError: where the disk fails"""
    write_whole(path, [json.dumps(report).encode()])

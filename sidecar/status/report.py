"""Reports of the sidecar's parts: one small file each, written whole or not at all.

Each part writes its report every few seconds: the prefetcher in the cache folder, the mover beside the queue. The
status app and the operator's command read the reports. The filter reads the prefetcher's, and goes by the options
in it. Counts are not in a report, but in the files of `metrics`.
"""
import json
import os
import time
from pathlib import Path

from ...cache import read_report
from ...cache.folder import CacheLayout
from ...conf.files import write_whole
from ...conf.options import SHARED
from ...eviction.manager import CacheManager
from ..settings import SidecarSettings

SPOOL_PERCENT = 5
SPOOL_LEAST = 2**30


def spool_size(cache_size: int) -> int:
    """Give the bytes that captured and fetched files may take before they are admitted."""
    return max(cache_size * SPOOL_PERCENT // 100, SPOOL_LEAST)


def for_filter(settings: SidecarSettings) -> dict:
    """Give the values that the sidecar's conf has for the filter too."""
    return {'spool_size': spool_size(settings.sidecar.cache_size),
            **{option.name: getattr(getattr(settings, section), option.name) for section, option in SHARED}}


def tell_filter(settings: SidecarSettings) -> None:
    """Bring the options in an earlier prefetcher's report up to date, where no prefetcher runs now.

    :raises OSError: where the disk fails
    """
    path = CacheLayout(Path(settings.sidecar.cache_dir)).report
    if before := read_report(path):
        write(path, {**before, **for_filter(settings)})


def cache_report(manager: CacheManager, **more) -> dict:
    """Make the report on the cache. :param more: further values for the report"""
    inventory = manager.inventory
    return {
        'pid': os.getpid(),
        'at': time.time(),
        'entries': inventory.entries,
        'bytes': inventory.total,
        'cache_size': manager.limits.size,
        'rebuilding': not inventory.is_whole,
        'rebuilt_percent': round(100 * manager.rebuilt(), 1),
        'stuck_entries': len(inventory.stuck),
        'failing_folders': manager.failing_folders(),
        **more,
    }


def mover_report(queue_path: Path) -> Path:
    return queue_path.with_name(queue_path.name + '.mover.json')


def write(path: Path, report: dict) -> None:
    """Write a report. :raises OSError: where the disk fails"""
    write_whole(path, [json.dumps(report).encode()])

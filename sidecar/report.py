"""What the sidecar tells of itself: one small file in the cache folder, written whole or not at all."""
import json
import os
import time
from collections import Counter

from .keeper import Keeper


def write_report(keeper: Keeper, counts: Counter) -> None:
    """:raises OSError: where the disk fails"""
    report = {
        'pid': os.getpid(),
        'at': time.time(),
        'entries': len(keeper.index),
        'bytes': keeper.index.currsize,
        'cache_size': keeper.index.maxsize,
        'counts': dict(sorted(counts.items())),
    }
    path = keeper.store.layout.report
    temporary = path.with_name(f'{path.name}.{os.getpid()}')
    temporary.write_text(json.dumps(report))
    os.replace(temporary, path)

"""The prefetch filter with constants of its modules changed: to choose them by measurement, for benchmarks alone.

    [filter:prefetch]
    use = call:bench.variant:filter_factory
    variant = cache.reader.BLOCKS_AT_A_TIME=16 middleware.hit.HOLD_SECONDS=0.01 tpool
"""
import os
from importlib import import_module

from swift.common.concurrency import tpool

from bench.common import BenchError


class ThreadedOs:
    """`os` for the reader of entries, with reads in a thread of eventlet's pool."""

    def __getattr__(self, name):
        return getattr(os, name)

    @staticmethod
    def pread(*args):
        return tpool.execute(os.pread, *args)


def change(variant: str) -> None:
    """:raises BenchError: for a constant that is not there, or a value that is no number"""
    for one in variant.split():
        if one == 'tpool':
            import_module('swiftahead.cache.reader').os = ThreadedOs()
            continue
        target, _, value = one.partition('=')
        module, _, name = target.rpartition('.')
        try:
            found = import_module(f'swiftahead.{module}')
            setattr(found, name, type(getattr(found, name))(value))
        except (ImportError, AttributeError, ValueError) as error:
            raise BenchError(f'variant {one}: {error}') from None


def filter_factory(global_conf, **local_conf):
    change(local_conf.pop('variant'))
    return import_module('swiftahead.middleware').filter_factory(global_conf, **local_conf)

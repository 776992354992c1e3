"""Option tables of the filter and the sidecar. A test compares them with the samples in etc/."""
from .casts import absolute_path, boolean, choice, ip_address, number, queue_url, seconds, size, text
from .options import REQUIRED, Option, Table

# keys that PasteDeploy adds, and that Swift's get_logger and statsd client read from any section
LOGGING = ('log_*', 'set log_*', 'statsd_*', '__*', 'here', 'use')

# numbers among them; the errors of get_logger do not name the key
LOGGED = (
    *(Option(name, number(int, 1, 65535), None, 'a port of the log') for name in (
        'log_udp_port', 'log_statsd_port', 'statsd_port')),
    *(Option(f'{prefix}statsd_{name}', number(float, 0), None, 'a rate of statsd') for prefix in ('', 'log_')
      for name in ('default_sample_rate', 'sample_rate_factor')),
)
# options of Swift's memcached client, which reads their values at the first request
MEMCACHED = (
    *(Option(name, seconds(0), None, 'seconds, of memcached') for name in (
        'connect_timeout', 'pool_timeout', 'io_timeout', 'error_suppression_interval')),
    Option('error_suppression_limit', number(float, 0), None, 'errors of a memcached server'),
    Option('tries', number(int, 1), None, 'times that memcached is asked'),
    Option('item_size_warning_threshold', number(int, -1), None, 'bytes of a value, of memcached'),
    *(Option(name, number(int, 0), None, 'connections to a server; 0: as Swift likes') for name in (
        'memcache_max_connections', 'max_connections')),
)

CACHE_DIR = Option('cache_dir', absolute_path, REQUIRED,
                   'folder of the disk cache, on the SSD; the sidecar makes it')
QUEUE = Option('queue', queue_url, REQUIRED,
               'where records wait for the sidecar, such as sqlite:/var/cache/swiftahead/queue.db')
SWIFT_DIR = Option('swift_dir', absolute_path, '/etc/swift', "folder of swift.conf, rings and memcache.conf")

FREE_SPACE = Option('free_space', number(float, 0, 90, 'percent'), '5',
                    'percent of the file system that is kept free: nothing more is captured or admitted below')
MAX_OBJECT_SIZE = Option('max_object_size', size, '1 GiB',
                         'objects above this size are neither kept nor fetched ahead')
RECLAIM_AGE = Option(
    'reclaim_age', seconds(1), '604800',
    "the object servers' reclaim_age, seconds after which tombstones are gone: an older copy is no misplaced "
    'object unless a row of its container names it, and a record is given up whose object cannot be found by then')
SPOOL_SIZE = Option('spool_size', size, None,
                    'bytes that captured misses may occupy before the sidecar has admitted them; 5 percent of the '
                    "sidecar's cache_size when not given, and at least 1 GiB")
# where neither the filter's conf nor the sidecar says more
SPOOL_BYTES = 2**30
# options that the sidecar's conf has, in these sections, and that the sidecar's report tells the filter
SHARED = (('sidecar', FREE_SPACE), ('prefetcher', MAX_OBJECT_SIZE), ('mover', RECLAIM_AGE))


def told_settings(report: dict, spool_size: int | None) -> dict:
    """Values of the filter's settings that the sidecar's report tells; defaults where it tells none.

    :param spool_size: of the filter's own conf
    """
    found = {option.name: option.understood(report.get(option.name), option.read(section, None))
             for section, option in SHARED}
    # where nobody tells, no copy is young enough to be moved without a row: a deleted object must not come back
    found['reclaim_age'] = RECLAIM_AGE.understood(report.get('reclaim_age'), 0.0)
    told = SPOOL_SIZE.understood(report.get('spool_size'), SPOOL_BYTES)
    return {**found, 'spool_size': told if spool_size is None else spool_size}


FILTER = Table('filter:prefetch', (
    CACHE_DIR,
    QUEUE,
    SWIFT_DIR,
    Option('freshness', choice('coherent', 'validate', 'max-age'), 'coherent',
           'how a hit is known to be current: tokens in memcached, a HEAD before each hit, or age alone'),
    Option('max_age', seconds(0), '600', 'seconds for which a validated entry is trusted'),
    Option('capture', boolean, 'on', 'whether a miss is kept for the next reader'),
    Option('fetch_whole', size, '64 MiB',
           'objects up to this size are fetched whole by the sidecar when a part of them was asked for and they '
           'are not cached; 0: none'),
    Option('fetch_wait', seconds(0, 60), '0.25',
           'seconds for which a GET waits at most for a fetch of the same object by the sidecar; never much '
           'longer than Swift itself takes to answer'),
    SPOOL_SIZE,
    Option('cache_status', boolean, 'on', 'whether responses tell Cache-Status, Age and X-Object-Prefetched'),
    Option('memcache_servers', text, None,
           "memcached servers of the freshness tokens; those of Swift's cache filter, which must be the same, "
           'when not given'),
    Option('detect_misplaced', boolean, 'on',
           'whether the other storage policies are asked, after a 404, for the same object; copies that are '
           'found there are recorded for the mover'),
    Option('detect_rate', number(float, 0, 10000), '10',
           'objects in a second for which one worker asks other policies; more are asked for at a later read'),
    Option('serve_misplaced', boolean, 'off',
           'whether the client gets a misplaced object at once, where Swift alone would answer 404; needs '
           'detect_misplaced'),
), foreign=(*LOGGING, 'memcache_max_connections', 'memcache_serialization_support', 'connect_timeout',
            'pool_timeout', 'io_timeout', 'tries', 'error_suppression_*', 'tls_*', 'max_connections',
            'item_size_warning_threshold'), checked=(*LOGGED, *MEMCACHED),
    elsewhere={option.name: f"[{section}] of the sidecar's conf" for section, option in SHARED})

SIDECAR = Table('sidecar', (
    CACHE_DIR,
    QUEUE,
    SWIFT_DIR,
    Option('cache_size', size, '100 GiB', 'bytes on disk that the cache may occupy'),
    Option('user', text, None,
           "user to run as and owner of cache_dir; the proxy-server's user when not given"),
    Option('high_water', number(float, 1, 100, 'percent'), '95',
           'percent of cache_size at which eviction begins'),
    Option('low_water', number(float, 0, 100, 'percent'), '90',
           'percent of cache_size at which eviction ends'),
    FREE_SPACE,
    Option('eviction', choice('lru', 'lfu', 'gdsf', 's3fifo'), 'lru',
           'which entries leave first: those read longest ago; least often; least often for the room they take, '
           'with ageing; or new ones that were not read again'),
    Option('admit', choice('all', 'second_hit'), 'all',
           'which captured misses are kept: all, or those of objects that were read before, not long ago'),
    Option('spool_age', seconds(1), '3600',
           'seconds after which a spool file that nobody admitted is removed'),
), foreign=(*LOGGING, 'daemonize', 'nice_priority', 'ionice_class', 'ionice_priority', 'eventlet_debug',
            'disable_fallocate', 'fallocate_reserve'), checked=LOGGED)

PREFETCHER = Table('prefetcher', (
    Option('enabled', boolean, 'on', 'whether records are consumed and the cache is filled'),
    Option('learner', choice('sequence', 'off'), 'sequence',
           'how reads are learned from, so that objects are fetched ahead; off: they are not'),
    Option('concurrency', number(int, 1, 1000), '16', 'fetches at the same time'),
    Option('bytes_per_second', size, '0', 'bytes that are fetched in a second, by all fetches; 0: no limit'),
    Option('slow_factor', number(float, 1.1, 100), '3',
           'times its usual time to first byte at which the backend counts as slow; fetches at the same time are '
           'halved then, down to none'),
    Option('threshold', number(float, 0, 1), '0.35',
           'least probability at which an object of the usual size is fetched ahead'),
    Option('window', seconds(0.001), '60', 'seconds within which one read counts as following another'),
    Option('look_ahead', number(int, 1, 64), '8', 'steps that are looked ahead at most'),
    Option('neighbours', boolean, 'on',
           'whether objects that nobody has read are fetched ahead, if they stand next to read ones in the '
           'listing of their container'),
    MAX_OBJECT_SIZE,
    Option('max_contexts', number(int, 1), '100000', 'objects whose followers are remembered at most'),
), foreign=LOGGING)

MOVER = Table('mover', (
    Option('enabled', boolean, 'on', 'whether misplaced objects are moved to the policy of their container'),
    Option('swift_queue', choice('off', 'take', 'give', 'both'), 'off',
           "which way records go between the mover and Swift's own queue, .misplaced_objects: take: its rows are "
           "moved too, as Swift's container-reconciler does; give: misplaced objects that this node sees are put "
           'there for others to move, and not moved here; both; off: neither'),
    Option('interval', seconds(0.1), '30', "seconds from one pass over Swift's queue to the next"),
    Option('concurrency', number(int, 1, 1000), '8', 'objects that are moved at the same time'),
    Option('processes', number(int, 0), '0',
           "processes that share the rows of Swift's queue, on all nodes; 0: each takes all"),
    Option('process', number(int, 0), '0', 'which of these processes this one is, from 0'),
    Option('request_tries', number(int, 1), '3', 'times that a request of the mover is made'),
    RECLAIM_AGE,
    Option('ring_check_interval', seconds(0), '15', 'seconds between two looks whether a ring has changed'),
    Option('retry_backoff', seconds(0.1), '5',
           'seconds after which a move that failed is tried again; doubled each time, up to an hour'),
    Option('bytes_per_second', size, '0', 'bytes that are moved in a second, by all moves; 0: no limit'),
    Option('dry_run', boolean, 'off', 'whether moves are only logged, and not made'),
), foreign=LOGGING)

STATUS = Table('status', (
    Option('enabled', boolean, 'on', 'whether page, metrics and health check are served'),
    Option('bind_ip', ip_address, '127.0.0.1',
           'address to listen on; one of the loopback, unless allow_remote is on'),
    Option('bind_port', number(int, 0, 65535), '6090', 'port to listen on; 0: any that is free, told in the log'),
    Option('allow_remote', boolean, 'off',
           'whether bind_ip may be an address that other machines reach: no password is asked for'),
), foreign=LOGGING)

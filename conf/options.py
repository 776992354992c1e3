"""The options of the filter and the sidecar, each declared here alone. A test compares them with etc/."""
from dataclasses import dataclass

from .casts import (
    absolute_path,
    boolean,
    choice,
    hosts,
    ip_address,
    number,
    proxy_urls,
    queue_url,
    seconds,
    size,
    text,
)
from .reading import REQUIRED, Option, Table, option

# keys that PasteDeploy adds, and that Swift's get_logger and statsd client read from any section
LOGGING = ('log_*', 'set log_*', 'statsd_*', '__*', 'here', 'use')

# keys among them with numbers: the errors of get_logger do not name the key
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


@dataclass(frozen=True)
class Places:
    """Options that filter and sidecar must have alike."""
    cache_dir: str = option(absolute_path, REQUIRED, 'folder of the disk cache, on the SSD; the sidecar makes it')
    queue: str = option(queue_url, REQUIRED,
        'where records wait for the sidecar, such as sqlite:/var/cache/swiftahead/queue.db')
    swift_dir: str = option(absolute_path, '/etc/swift', "folder of swift.conf, rings and memcache.conf")


@dataclass(frozen=True)
class SidecarSection(Places):
    """Options of [sidecar]."""
    cache_size: int = option(size, '100 GiB', 'bytes on disk that the cache may occupy')
    user: str | None = option(text, None,
        "user to run as and owner of cache_dir; the proxy-server's user when not given")
    high_water: float = option(number(float, 1, 100, 'percent'), '95',
        'percent of cache_size at which eviction begins')
    low_water: float = option(number(float, 0, 100, 'percent'), '90',
        'percent of cache_size at which eviction ends')
    free_space: float = option(number(float, 0, 90, 'percent'), '5',
        'percent of the file system that is kept free: nothing more is captured or admitted below')
    eviction: str = option(choice('lru', 'lfu', 'gdsf', 's3fifo'), 'lru',
        'which entries leave first: those read longest ago; least often; least often for the room they take, '
        'with ageing; or new ones that were not read again')
    admit: str = option(choice('all', 'second_hit'), 'all',
        'which captured misses are kept: all, or those of objects that were read before, not long ago')
    spool_age: float = option(seconds(1), '3600',
        'seconds after which a spool file that nobody admitted is removed')


@dataclass(frozen=True)
class PrefetcherSection:
    """Options of [prefetcher]."""
    enabled: bool = option(boolean, 'on', 'whether records are consumed and the cache is filled')
    learner: str = option(choice('sequence', 'off'), 'sequence',
        'how reads are learned from, so that objects are fetched ahead; off: they are not')
    concurrency: int = option(number(int, 1, 1000), '16', 'fetches at the same time')
    bytes_per_second: int = option(size, '0', 'bytes that are fetched in a second, by all fetches; 0: no limit')
    slow_factor: float = option(number(float, 1.1, 100), '3',
        'times its usual time to first byte at which the backend counts as slow; fetches at the same time are '
        'halved then, down to none')
    threshold: float = option(number(float, 0, 1), '0.35',
        'least probability at which an object of the usual size is fetched ahead')
    window: float = option(seconds(0.001), '60', 'seconds within which one read counts as following another')
    look_ahead: int = option(number(int, 1, 64), '8', 'steps that are looked ahead at most')
    neighbours: bool = option(boolean, 'on',
        'whether objects that nobody has read are fetched ahead, if they stand next to read ones in the '
        'listing of their container')
    max_object_size: int = option(size, '1 GiB', 'objects above this size are neither kept nor fetched ahead')
    max_contexts: int = option(number(int, 1), '100000', 'objects whose followers are remembered at most')


@dataclass(frozen=True)
class MoverSection:
    """Options of [mover]."""
    enabled: bool = option(boolean, 'on', 'whether misplaced objects are moved to the policy of their container')
    swift_queue: str = option(choice('off', 'take', 'give', 'both'), 'off',
        "which way records go between the mover and Swift's own queue, .misplaced_objects: take: its rows are "
        "moved too, as Swift's container-reconciler does; give: misplaced objects that this node sees are put "
        'there for others to move, and not moved here; both; off: neither')
    interval: float = option(seconds(0.1), '30', "seconds from one pass over Swift's queue to the next")
    concurrency: int = option(number(int, 1, 1000), '8', 'objects that are moved at the same time')
    processes: int = option(number(int, 0), '0',
        "processes that share the rows of Swift's queue, on all nodes; 0: each takes all")
    process: int = option(number(int, 0), '0', 'which of these processes this one is, from 0')
    request_tries: int = option(number(int, 1), '3', 'times that a request of the mover is made')
    reclaim_age: float = option(seconds(1), '604800',
        "the object servers' reclaim_age, seconds after which tombstones are gone: an older copy is no misplaced "
        'object unless a row of its container names it, and a record is given up whose object cannot be found '
        'by then')
    ring_check_interval: float = option(seconds(0), '15', 'seconds between two looks whether a ring has changed')
    retry_backoff: float = option(seconds(0.1), '5',
        'seconds after which a move that failed is tried again; doubled each time, up to an hour')
    bytes_per_second: int = option(size, '0', 'bytes that are moved in a second, by all moves; 0: no limit')
    dry_run: bool = option(boolean, 'off', 'whether moves are only logged, and not made')


@dataclass(frozen=True)
class SyncerSection:
    """Options of [syncer]: those of upstream's [container-sync] have its names and defaults."""
    enabled: bool = option(boolean, 'off',
        'whether containers of this node are synced to other clusters; on nodes with a container-server, in '
        "place of Swift's own container-sync")
    devices: str = option(absolute_path, '/srv/node',
        "folder above the disks; the container-server's, as are mount_check, bind_ip and bind_port")
    mount_check: bool = option(boolean, 'on', 'whether a disk that is not mounted is left out')
    # nothing listens there: it says which devices of the ring are this node's
    bind_ip: str = option(ip_address, '0.0.0.0',  # nosec B104
        'address of this node in the container ring; 0.0.0.0 or ::, any of this machine')
    bind_port: int = option(number(int, 1, 65535), '6201', 'port of this node in the container ring')
    interval: float = option(seconds(0.1), '300', 'seconds from the beginning of one pass to the next')
    container_time: float = option(seconds(0.1), '60',
        'seconds after which the turn of a container is over, until the next pass')
    sync_proxy: tuple[str, ...] = option(proxy_urls, '',
        'URLs of HTTP proxies to the other clusters, with commas between them; each request takes one at random')
    conn_timeout: float = option(seconds(0.01), '5',
        'seconds within which a connection to the other cluster must be made')
    response_timeout: float = option(seconds(0.01), '60', 'seconds for which the other cluster may be silent')
    internal_client_conf_path: str | None = option(absolute_path, None,
        'conf of the client by which objects are read here; internal-client.conf in swift_dir when not given, '
        'or what Swift takes where there is none')
    allowed_sync_hosts: tuple[str, ...] = option(hosts, '127.0.0.1',
        'hosts that containers may be synced to without a realm, with commas between them')
    request_tries: int = option(number(int, 1, 100), '3', 'times that a request to this cluster is made')
    sync_row_concurrency: int = option(number(int, 1, 1000), '8',
        'rows of a container that are synced at the same time')
    bytes_per_second: int = option(size, '0', 'bytes that are sent in a second, by all of this node; 0: no limit')
    dry_run: bool = option(boolean, 'off', 'whether it is only logged what would be sent, and nothing changed')
    ca_file: str | None = option(absolute_path, None,
        'PEM file of the authorities that certify the other clusters; those of this machine when not given')


@dataclass(frozen=True)
class StatusSection:
    """Options of [status]."""
    enabled: bool = option(boolean, 'on', 'whether page, metrics and health check are served')
    bind_ip: str = option(ip_address, '127.0.0.1',
        'address to listen on; one of the loopback, unless allow_remote is on')
    bind_port: int = option(number(int, 0, 65535), '6090',
        'port to listen on; 0: any that is free, told in the log')
    allow_remote: bool = option(boolean, 'off',
        'whether bind_ip may be an address that other machines reach: no password is asked for')


SIDECAR = Table('sidecar', SidecarSection, foreign=(
    *LOGGING, 'daemonize', 'nice_priority', 'ionice_class', 'ionice_priority', 'eventlet_debug',
    'disable_fallocate', 'fallocate_reserve'), checked=LOGGED)
PREFETCHER = Table('prefetcher', PrefetcherSection, foreign=LOGGING)
# options of [container-sync] that are the whole sidecar's here
OF_SIDECAR = ('swift_dir', 'user', 'nice_priority', 'ionice_class', 'ionice_priority')
MOVER = Table('mover', MoverSection, foreign=LOGGING)
SYNCER = Table('syncer', SyncerSection, foreign=(*LOGGING, 'db_preallocation'), checked=LOGGED,
               elsewhere=dict.fromkeys(OF_SIDECAR, '[sidecar]'))
STATUS = Table('status', StatusSection, foreign=LOGGING)
# options of the sidecar's conf, with their sections, that the sidecar's report tells the filter
SHARED = tuple((table.section, table.option(name)) for table, name in (
    (SIDECAR, 'free_space'), (PREFETCHER, 'max_object_size'), (MOVER, 'reclaim_age')))


@dataclass(frozen=True)
class FilterSettings(Places):
    """Options of [filter:prefetch], and the values that the sidecar's report tells the filter."""
    freshness: str = option(choice('coherent', 'validate', 'max-age'), 'coherent',
        'how a hit is known to be current: tokens in memcached, a HEAD before each hit, or age alone')
    max_age: float = option(seconds(0), '600', 'seconds for which a validated entry is trusted')
    capture: bool = option(boolean, 'on', 'whether a miss is kept for the next reader')
    fetch_whole: int = option(size, '64 MiB',
        'objects up to this size are fetched whole by the sidecar when a part of them was asked for and they '
        'are not cached; 0: none')
    fetch_wait: float = option(seconds(0, 60), '0.25',
        'seconds for which a GET waits at most for a fetch of the same object by the sidecar; never much '
        'longer than Swift itself takes to answer')
    spool_size: int | None = option(size, None,
        'bytes that captured misses may occupy before the sidecar has admitted them; 5 percent of the '
        "sidecar's cache_size when not given, and at least 1 GiB")
    cache_status: bool = option(boolean, 'on', 'whether responses tell Cache-Status, Age and X-Object-Prefetched')
    memcache_servers: str | None = option(text, None,
        "memcached servers of the freshness tokens; those of Swift's cache filter, which must be the same, "
        'when not given')
    detect_misplaced: bool = option(boolean, 'on',
        'whether the other storage policies are asked, after a 404, for the same object; copies that are '
        'found there are recorded for the mover')
    detect_rate: float = option(number(float, 0, 10000), '10',
        'objects in a second for which one worker asks other policies; more are asked for at a later read')
    serve_misplaced: bool = option(boolean, 'off',
        'whether the client gets a misplaced object at once, where Swift alone would answer 404; needs '
        'detect_misplaced')
    # not options here, but told by the sidecar's report: see `told_settings`
    free_space: float = 0.0
    max_object_size: int = 0
    reclaim_age: float = 0.0
    spool_bytes: int = 0


FILTER = Table('filter:prefetch', FilterSettings, foreign=(
    *LOGGING, 'memcache_max_connections', 'memcache_serialization_support', 'connect_timeout', 'pool_timeout',
    'io_timeout', 'tries', 'error_suppression_*', 'tls_*', 'max_connections', 'item_size_warning_threshold'),
    checked=(*LOGGED, *MEMCACHED),
    elsewhere={option.name: f"[{section}] of the sidecar's conf" for section, option in SHARED})
# size of the spool where neither the filter's conf nor the sidecar's report tells one
SPOOL_BYTES = 2**30


def told_settings(report: dict, spool_size: int | None) -> dict:
    """Give the filter's settings that the sidecar's report tells; defaults where it tells none.

    :param spool_size: of the filter's own conf
    """
    found = {option.name: option.understood(report.get(option.name), option.read(section, None))
             for section, option in SHARED}
    # where the report does not tell it, no copy is young enough to be moved without a row: a deleted object must
    # not come back
    found['reclaim_age'] = MOVER.option('reclaim_age').understood(report.get('reclaim_age'), 0.0)
    told = FILTER.option('spool_size').understood(report.get('spool_size'), SPOOL_BYTES)
    return {**found, 'spool_bytes': told if spool_size is None else spool_size}

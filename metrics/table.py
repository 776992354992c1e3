"""Table of all metrics: the counters of filter and sidecar, and the gauges that the status app shows beside them.

A name is the same everywhere: ``hits`` here, ``prefetch.hits`` in statsd, ``swiftahead_hits_total`` in Prometheus,
``hits`` in ``swiftahead status``. Reasons are fixed lists, which are the words of Cache-Status too. Nothing
that a client sends can make a new one, so the number of series is bounded and none has a user's name in it.
"""
from dataclasses import dataclass

# for counts under a reason, or a name, that the table lacks: a fault in the program
OTHER = 'other'
UNKNOWN_NAME = 'unknown'

BYPASSES = ('no-authorize', 'denied-host', 'newest', 'origin', 'open-expired', 'request-body',
            'request-cache-control', 'backend-header', 'system-account', 'not-utf8', 'reserved-name', 'container',
            'container-opt-out', 'precondition')
# tokens are not relied on, since the conf leads to other memcached servers than Swift's cache filter has
MEMCACHED_CONF = 'memcached-conf'
VALIDATIONS = ('validate', MEMCACHED_CONF, 'no-token', 'write-pending', 'token', 'age', 'lifetime',
               'request-max-age')
STALE = ('policy', 'expired', 'written', 'changed', 'unvalidated')
UNCACHEABLE = ('no-length', 'too-large', 'no-version', 'stored-age', 'stored-cache-control', 'validated-each-time',
               'older')
DETECTIONS = ('recorded', 'nothing', 'old', 'deleted', 'settled', 'unknown', 'unrecorded', 'limited', 'fault')
# outcomes by the names of upstream's daemon, spelled as statsd and Prometheus want them
MOVES = ('noop-object', 'cleanup-success', 'unavailable-container', 'ppi-skip', 'unavailable-destination',
         'unavailable-source', 'copy-failed', 'delete-failed', 'cleanup-failed', 'lost-source', 'dry-run',
         'refused', 'unhandled-error', 'handed-over', 'hand-over-failed', 'invalid-record')
SYNC_STATES = ('failing', 'not-synced', 'behind', 'in-step')
RECORD_KINDS = ('access', 'admit', 'forget', 'warm', 'misplaced')


@dataclass(frozen=True)
class Metric:
    """One metric, or one family of them.

    :param kind: 'counter' or 'gauge'
    :param unit: of the number: '' where the name says it, 'bytes', 'seconds', or 'yes' for 1 and 0
    :param label: name of the label that tells the members of a family apart; '' where there is but one
    :param values: all values of the label
    """
    name: str
    kind: str
    meaning: str
    unit: str = ''
    label: str = ''
    values: tuple[str, ...] = ()

    @property
    def slots(self) -> tuple[str, ...]:
        """The metric's series, as statsd and the counters' files name them."""
        return tuple(f'{self.name}.{value}' for value in self.values) or (self.name,)


def _counter(name, meaning, unit='', label='reason', values=()):
    return Metric(name, 'counter', meaning, unit, label if values else '', (*values, OTHER) if values else ())


def _gauge(name, meaning, unit='', label='', values=()):
    return Metric(name, 'gauge', meaning, unit, label, values)


FILTER_COUNTERS = (
    _counter('hits', 'GETs and HEADs answered from the cache'),
    _counter('hits_prefetched', 'of the hits, those on entries that the sidecar had fetched before anyone asked'),
    _counter('bytes_hit', 'lengths of the objects whose GETs were hits', 'bytes'),
    _counter('misses', 'GETs and HEADs that were the cache\'s business and that Swift answered with 2xx or 3xx'),
    _counter('bytes_missed', 'Content-Lengths of the GETs that were misses', 'bytes'),
    _counter('bypassed', 'reads that are none of the cache\'s business', values=BYPASSES),
    _counter('denied', 'reads that Swift was left to refuse'),
    _counter('validations', 'HEADs that asked whether an entry is current', values=VALIDATIONS),
    _counter('stale', 'entries that were there and could not be used', values=STALE),
    _counter('captures', 'misses kept whole for the sidecar to admit'),
    _counter('not_captured', 'misses whose answer may not be kept', values=UNCACHEABLE),
    _counter('captures_failed', 'misses that could not be kept',
             values=('no-room', 'disk', 'backend', 'changed')),
    _counter('awaited',
             'GETs that came while the sidecar was fetching their object, and whether they waited for it',
             values=('in-time', 'in-vain', 'not')),
    _counter('collapsed', 'misses that read along with another\'s answer'),
    _counter('entries_damaged', 'entries with wrong bytes, none of which was sent'),
    _counter('tokens_unreachable', 'freshness tokens that memcached did not give or take in time'),
    _counter('writes', 'writes of objects that ended the life of cached versions'),
    _counter('controls', 'control requests taken', label='action', values=('warm', 'forget')),
    _counter('detections', 'objects read in vain, by the outcome of asking other policies for them',
             values=DETECTIONS),
    _counter('misplaced_served', 'reads answered with an object from another policy than its container\'s'),
    _counter('records_dropped', 'records lost because the queue did not take them in time'),
    _counter('passed_broken', 'requests that Swift alone answered because filter or cache were broken',
             values=('fault', 'folder', 'pipeline-error', 'disk')),
    _counter('errors', 'errors of the disk that no client noticed',
             values=('folder', 'entry', 'stamp', 'capture', 'record')),
)

SIDECAR_COUNTERS = (
    _counter('records', 'records taken from the queue', label='kind', values=RECORD_KINDS),
    _counter('records_failed', 'records that could not be handled'),
    _counter('prefetched', 'objects fetched and admitted because they were expected to be read'),
    _counter('prefetched_used', 'of those, the ones read afterwards, each once'),
    _counter('fetched_whole', 'objects fetched and admitted because a part of them was read'),
    _counter('fetched_whole_used', 'of those, the ones read again afterwards, each once'),
    _counter('prefetched_bytes', 'bytes of all objects that were fetched, ahead, whole or to warm', 'bytes'),
    _counter('prefetched_late', 'reads that were misses while their object was being fetched'),
    _counter('not_fetched', 'objects that were to be fetched and may not be cached, or are not there'),
    _counter('fetch_failed', 'fetches that failed'),
    _counter('no_room', 'fetches that were not begun because the disk is too full'),
    _counter('throttled',
             'fetches not begun, since too little was read of the objects fetched so for their account',
             values=('prefetch', 'segment', 'whole')),
    _counter('listings', 'containers whose listing was asked for names next to objects that are read',
             values=('read', 'failed')),
    _counter('manifests', 'manifests of large objects that were read to fetch segments ahead'),
    _counter('manifests_failed', 'manifests that could not be had, or are none'),
    _counter('warmed', 'objects fetched because someone asked for their container'),
    _counter('moves', 'misplaced objects that were looked at, by the outcome', values=MOVES),
    _counter('move_tokens_unreachable', 'freshness tokens of moved objects that memcached did not take'),
    _counter('admitted', 'files checked and linked into the cache'),
    _counter('refused', 'files that were not linked: damaged, older than the entry that is there, or no room'),
    _counter('first_reads', 'captured misses not kept, since admit = second_hit and nobody had read them lately'),
    _counter('evicted', 'entries evicted for others, or for free space'),
    _counter('evicted_bytes', 'bytes on disk of evicted entries', 'bytes'),
    _counter('evicted_unused', 'of the evicted, those fetched ahead or whole and not read since'),
    _counter('forgotten', 'entries dropped because they were stale, deleted or purged'),
    _counter('backoffs', 'times that fetching paused because the backend was slow'),
)

COMMON_COUNTERS = (
    _counter('queue_errors', 'times that the queue could not be read or written'),
    # kept for a fault that must be seen, and never raised in a request
    _counter(UNKNOWN_NAME, 'counts under a name that this table lacks: a fault in the program'),
)

# counters that every process has
COUNTERS = (*FILTER_COUNTERS, *SIDECAR_COUNTERS, *COMMON_COUNTERS)

# kept by the queue's file itself
QUEUE_COUNTERS = (
    _counter('queue_dropped', 'prefetch records dropped because the queue was full'),
)

# kept by the syncer's ledgers
SYNC_COUNTERS = (
    _counter('sync_puts', 'objects sent whole to other clusters'),
    _counter('sync_posts', 'objects of which the metadata alone was sent'),
    _counter('sync_deletes', 'deletes sent, by each node that looked at them'),
    _counter('sync_bytes', 'lengths of the objects that were sent whole', 'bytes'),
    _counter('sync_failures', 'rows that could not be sent, each time that it was tried'),
)

GAUGES = (
    _gauge('entries', 'entries in the cache'),
    _gauge('cache_bytes', 'bytes on disk of all entries', 'bytes'),
    _gauge('cache_size', 'bytes on disk that the entries may take', 'bytes'),
    _gauge('spool_bytes', 'bytes of captured misses that are not admitted yet', 'bytes'),
    _gauge('spool_size', 'bytes that the spool may take', 'bytes'),
    _gauge('free_bytes', 'bytes free on the cache\'s file system', 'bytes'),
    _gauge('stuck_entries', 'entries that cannot be removed; they stay counted, and it is tried again'),
    _gauge('queue_depth', 'records that wait or are leased', label='kind', values=RECORD_KINDS),
    _gauge('queue_age', 'age of the oldest record', 'seconds', 'kind', RECORD_KINDS),
    _gauge('queue_dead', 'records given up, kept for the operator'),
    _gauge('rebuilding', 'whether the index is being made anew after a start', 'yes'),
    _gauge('backing_off', 'whether fetching pauses because the backend is slow', 'yes'),
    _gauge('report_age', 'age of a part\'s last report', 'seconds', 'part', ('prefetcher', 'mover', 'syncer')),
    _gauge('moves_under_way', 'misplaced objects that are being moved'),
    _gauge('swift_queue_rows', 'rows of Swift\'s own queue that the last pass saw, of this process\'s share'),
    _gauge('swift_queue_age', 'age of the oldest of them', 'seconds'),
    _gauge('sync_containers', 'containers that this node has a share in syncing', label='state',
           values=SYNC_STATES),
    _gauge('sync_lag_seconds', 'age of the oldest row that is new or failed, of all these containers', 'seconds'),
    _gauge('sync_rows_behind', 'new rows that this node has still to send, about'),
    _gauge('sync_failed_rows', 'rows that failed and are tried again later'),
    _gauge('healthy', 'whether /healthz answers 200', 'yes'),
)

METRICS = (*COUNTERS, *QUEUE_COUNTERS, *SYNC_COUNTERS, *GAUGES)

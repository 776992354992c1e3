"""Fetching ahead along the manifests of static large objects.

A client that reads a manifest through slo reads its segments in its order, each as an object of its own. So the
manifest is fetched once, in memory alone, and the following reads tell where in it each client is
(`predict.manifest_order`). A segment that is a manifest itself is fetched like any other object; its own segments
are looked at when it is read in turn.

A manifest's text comes from its owner, so it is read with care, and names objects of its own account alone.
The prefetcher's loop writes the tables. Nothing is kept on disk: after a crash clients open their manifests anew.
"""
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cachetools import TTLCache
from swift.common.concurrency import GreenPool, Timeout

from ...conf.names import ObjectName
from ...predict import ManifestOrder, Prediction, Read
from ...predict.prediction import ObjectKey
from .backend_client import BackendFailed, NotFetched

# slo's own limit for the manifests that it writes, and ten times its number of segments
MANIFEST_BYTES = 8 * 2**20
MANIFEST_SEGMENTS = 10_000
# a longer name is none of Swift's; operators may raise that bound, and hardly do
NAME_BYTES = 4096
# seconds after which a manifest is fetched again when it is read
KNOWN_SECONDS = 60.0
KNOWN = 10_000
# manifests that are fetched at the same time; where more are read, the others wait for their next reader
AT_A_TIME = 4
# reads that are kept until their manifest is there
WAITING_READS = 64


class BadManifest(ValueError):
    """An object is no manifest that slo has written."""


def segments_of(manifest: bytes) -> Iterator[ObjectKey]:
    """Give (container, object) of the segments, in their order; leave out segments without a usable name.

    :raises BadManifest: where the manifest is no list; raised before the first segment is given
    """
    try:
        found = json.loads(manifest)
    except (ValueError, RecursionError) as error:
        raise BadManifest(f'no JSON: {error}') from None
    if not isinstance(found, list):
        raise BadManifest(f'a {type(found).__name__} where a list should be')
    keys = (_key_of(item) for item in found[:MANIFEST_SEGMENTS])
    return (key for key in keys if key is not None)


def _key_of(item) -> ObjectKey | None:
    # a segment whose data lies in the manifest itself has no name
    name = item.get('name') if isinstance(item, dict) else None
    if not isinstance(name, str) or not name.startswith('/') or '\0' in name:
        return None
    container, _, object_ = name[1:].partition('/')
    try:
        too_long = len(name.encode('utf-8')) > NAME_BYTES
    except UnicodeEncodeError:
        return None
    return (container, object_) if container and object_ and not too_long else None


@dataclass(frozen=True)
class Reading:
    """One read: whether it read a manifest, and whether it went to the object's end."""
    read: Read
    is_manifest: bool = False
    to_end: bool = True


class Manifests:
    """Follows each client through the manifests that it reads, and predicts the next segments.

    :param fetch: (name, most bytes) -> the manifest; raises NotFetched
    :param expect: takes the predictions of the objects to fetch, and their times
    :param lead: gives the seconds by which a fetch begins before its object is expected
    :param count: counts a metric: name, by, reason
    """

    def __init__(self, fetch: Callable[[ObjectName, int], bytes], expect: Callable[[list[Prediction]], object],
                 lead: Callable[[], float], count: Callable, logger, look_ahead: int = 8,
                 timer: Callable[[], float] = time.monotonic):
        self._fetch = fetch
        self._expect = expect
        self._lead = lead
        self._count = count
        self._logger = logger
        self._along = ManifestOrder(look_ahead)
        self._known: TTLCache = TTLCache(KNOWN, KNOWN_SECONDS, timer)
        self._coming: dict[ObjectName, list[Reading]] = {}
        self._pool = GreenPool(AT_A_TIME)

    def observe(self, reading: Reading) -> None:
        """Note a read, and have the segments fetched that follow it in a manifest."""
        read = reading.read
        for name, waiting in self._coming.items():
            if name.account == read.account and len(waiting) < WAITING_READS:
                waiting.append(reading)
        self._expect(self._follow(reading))
        if reading.is_manifest:
            self._open(reading)

    def _follow(self, reading):
        predictions = self._along.observe(reading.read, reading.to_end, self._lead())
        if reading.is_manifest:
            self._along.open(reading.read)
        return predictions

    def _open(self, reading):
        """Fetch the manifest, where it is not known, or was fetched too long ago."""
        name = ObjectName(reading.read.account, *reading.read.key)
        if name not in self._known and name not in self._coming and self._pool.free() > 0:
            self._known[name] = True
            self._coming[name] = [reading]
            self._pool.spawn_n(self._load, name, reading.read)

    def _load(self, name, opened):
        try:
            keys = list(segments_of(self._fetch(name, MANIFEST_BYTES)))
        except (Exception, Timeout) as error:  # noqa: BLE001 - one object's failure is not the daemon's
            level = self._logger.debug if isinstance(error, NotFetched | BadManifest) else self._logger.warning
            level('manifest %s not used: %r', name.quoted, error)
            self._count('manifests_failed')
            del self._coming[name]
            if isinstance(error, BackendFailed):
                # so that its next reader has it fetched again
                self._known.pop(name, None)
            return
        self._count('manifests')
        waiting = self._coming.pop(name)
        if self._along.know(name.account, opened.key, keys):
            self._catch_up(waiting)

    def _catch_up(self, waiting):
        """Predict from the last read of each client, since clients read on while the manifest came."""
        last = {reading.read.client: self._follow(reading) for reading in waiting}
        for predictions in last.values():
            self._expect(predictions)

    def wait(self) -> None:
        """Wait until no manifest is being fetched."""
        self._pool.waitall()

"""The backend client: fetches objects and listings, through one InternalClient for the process."""
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from cachetools import TTLCache
from swift.common.concurrency import sleep
from swift.common.internal_client import InternalClient, UnexpectedResponse
from swift.common.utils import close_if_possible

from ...cache import EntryMeta, NoRoom, Stamp, Store
from ...cache.headers import is_older, is_opted_out, length_of, objects_headers, uncacheable_reason
from ...conf.names import ObjectName
from ...freshness import Token, TokenRing, TokensUnreachable
from .congestion import Congestion

# seconds after which Swift's proxies read a container's policy and metadata again
CONTAINER_SECONDS = 60
CONTAINERS = 10_000
# marks fetches for a person who looks at the requests; no pipeline with the filter reads it
NO_PREFETCH = {'X-No-Prefetch': 'true'}
# an InternalClient sees reserved names, unless this header, in just these letters, says otherwise
ALLOW_RESERVED = 'x-backend-allow-reserved-names'
# Swift's servers hang up on a client that reads nothing for long
MOST_SLEEP = 5.0
# statuses of a backend that is down, full or overloaded
BUSY = (408, 429, 498, 499)


class NotFetched(Exception):
    """An object is not to be cached, or could not be fetched."""


class Uncacheable(NotFetched):
    """An object is not to be cached soon either, by its headers or its container's."""


class BackendFailed(NotFetched):
    """The backend could not give an object, though it may have it."""


@dataclass(frozen=True)
class FetchLimits:
    """Upper bounds on fetches.

    :param max_object_size: bytes
    :param spool_size: bytes that the spool may hold
    """
    max_object_size: int
    spool_size: int = 2**63


@dataclass(frozen=True)
class Container:
    policy_index: int
    opted_out: bool


class BackendClient:
    """Fetches objects into the spool or into memory, and reads containers and their listings.

    :param tokens: None: entries are not stamped, and are validated at their first hit
    """

    def __init__(self, client: InternalClient, store: Store, tokens: TokenRing | None,
                 limits: FetchLimits, clock: Callable[[], float] = time.time):
        self._client = client
        self._store = store
        self._tokens = tokens
        self._limits = limits
        self._clock = clock
        self._containers: TTLCache = TTLCache(CONTAINERS, CONTAINER_SECONDS)

    def fetch(self, name: ObjectName, origin: str, pace: Congestion) -> tuple[str, int]:
        """Fetch an object into the spool, with a stamp where that is possible.

        The cache must not keep an old version of a lagging replica. So all replicas are asked for the newest
        version where the token does not tell how old an answer may be.

        :param origin: 'prefetch', 'segment', 'whole' or 'warm'
        :param pace: notes when the answer and when bytes came, and gives the seconds to wait before more are read
        :returns: the spool file's name and the object's length in bytes
        :raises NotFetched: with the reason
        :raises OSError: where the disk fails
        """
        container = self.container(name.account, name.container)
        if container.opted_out:
            raise Uncacheable('the container has opted out')
        token = self._token(name)
        asked_at = self._clock()
        headers, body = self._get(name, newest=token is None or not token.timestamp)
        try:
            pace.answered(self._clock() - asked_at, self._clock())
            reason = uncacheable_reason(headers, self._limits.max_object_size, asked_at)
            if reason:
                raise Uncacheable(reason)
            if token is not None and is_older(headers, token.timestamp):
                raise NotFetched('from a replica that missed a write')
            meta = EntryMeta(name, container.policy_index, objects_headers(headers),
                             length_of(headers), origin, asked_at)
            stamp = Stamp(token.value, asked_at) if token is not None and not token.pending else None
            return self._spool(meta, self._paced(body, pace), stamp), meta.body_length
        finally:
            close_if_possible(body)

    def small(self, name: ObjectName, most: int, pace: Congestion) -> bytes:
        """Read an object's bytes, and keep them nowhere.

        :param most: upper bound on its bytes
        :raises NotFetched: with the reason
        """
        if self.container(name.account, name.container).opted_out:
            raise NotFetched('the container has opted out')
        asked_at = self._clock()
        headers, body = self._get(name, newest=False)
        try:
            pace.answered(self._clock() - asked_at, self._clock())
            length = length_of(headers)
            if length > most:
                raise NotFetched(f'{length} bytes are more than {most}')
            found = b''.join(self._paced(_at_most(body, length), pace))
        finally:
            close_if_possible(body)
        if len(found) < length:
            raise NotFetched(f'{len(found)} bytes where {length} were announced')
        return found

    def _get(self, name, newest):
        wanted = {'X-Newest': 'true', **NO_PREFETCH} if newest else NO_PREFETCH
        try:
            _, headers, body = self._client.get_object(
                name.account, name.container, name.object, headers=wanted, acceptable_statuses=(200,))
        except UnexpectedResponse as error:
            raise _failure(error) from None
        return list(headers.items()), body

    def _paced(self, body, pace):
        for chunk in body:
            yield chunk
            seconds = pace.took(len(chunk), self._clock())
            if seconds > 0:
                sleep(min(seconds, MOST_SLEEP))

    def _token(self, name) -> Token | None:
        if self._tokens is None:
            return None
        try:
            # set before the backend is asked, so that the answer is no older than the token
            return self._tokens.ensure(name)
        except TokensUnreachable:
            return None

    def _spool(self, meta, body, stamp):
        most = self._limits.spool_size - meta.body_length
        if most < 0 or self._store.spool_bytes(max(most, 1)) >= max(most, 1):
            raise NotFetched('the spool is full')
        try:
            writer = self._store.writer(meta)
        except NoRoom as error:
            raise NotFetched(str(error)) from None
        try:
            for chunk in body:
                writer.write(chunk)
            writer.finish(stamp)
        except NoRoom as error:
            writer.abort()
            raise NotFetched(str(error)) from None
        except BaseException:
            writer.abort()
            raise
        finally:
            writer.close()
        return writer.name

    def container(self, account: str, container: str) -> Container:
        """Give a container's policy and whether it has opted out. :raises NotFetched: where it is not there"""
        known = self._containers.get((account, container))
        if known is None:
            try:
                headers = self._client.make_request(
                    'HEAD', self._client.make_path(account, container), {}, (2,)).headers
            except UnexpectedResponse as error:
                raise _failure(error, 'container: ') from None
            known = Container(int(headers.get('X-Backend-Storage-Policy-Index', 0)),
                              is_opted_out(headers.get('X-Container-Meta-Prefetch')))
            self._containers[account, container] = known
        return known

    def listing(self, account: str, container: str, prefix: str) -> Iterator[tuple[ObjectName, int]]:
        """Give the container's objects in name order, with their lengths as the listing has them.

        :raises NotFetched: where the container cannot be listed
        """
        try:
            for item in self._client.iter_objects(account, container, prefix=prefix):
                yield ObjectName(account, container, item['name']), int(item['bytes'])
        except UnexpectedResponse as error:
            raise _failure(error, 'listing: ') from None

    def page(self, name: ObjectName, limit: int, reverse: bool = False) -> list[tuple[str, int]]:
        """Give names and lengths of the objects after this one in its container's listing, the nearest first.

        :param limit: upper bound on the number of objects; reserved names are left out
        :param reverse: give the objects before it instead
        :raises NotFetched: where the container cannot be listed
        """
        query = {'format': 'json', 'limit': limit, 'marker': name.object, 'reverse': str(reverse).lower()}
        path = f'{self._client.make_path(name.account, name.container)}?{urlencode(query)}'
        try:
            resp = self._client.make_request('GET', path, {ALLOW_RESERVED: 'false'}, (2,))
        except UnexpectedResponse as error:
            raise _failure(error, 'listing: ') from None
        return [(item['name'], int(item['bytes'])) for item in json.loads(resp.body or '[]')]


def _at_most(body, length):
    """Give the chunks of a body. :raises NotFetched: where they are longer than `length`"""
    for chunk in body:
        length -= len(chunk)
        if length < 0:
            raise NotFetched('more bytes than were announced')
        yield chunk


def _failure(error, what=''):
    status = error.resp.status_int
    kind = BackendFailed if status >= 500 or status in BUSY else NotFetched
    return kind(f'{what}{error}')

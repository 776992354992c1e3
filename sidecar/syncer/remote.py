"""Requests to the cluster that a container is sent to.

Header values, both ways, are WSGI strings as an InternalClient gives them: each character stands for one byte.
"""
import json
import random
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from urllib.parse import urlencode

from requests.exceptions import RequestException
from swift.common.concurrency import Timeout
from swift.common.swob import normalize_etag
from swift.common.utils import Timestamp
from swiftclient import ClientException
from urllib3.exceptions import HTTPError

from .destination import Destination, origin_of
from .remedies import ADDRESS, ITS_LOG, RemoteFailed, broken, is_late, refused
from .wire import MOST_BODY, Body, Limits, WholeAnswer, Wire, lower

__all__ = ['Destination', 'Found', 'Limits', 'Remote', 'RemoteFailed']

# a manifest and a symlink as they are; the signature has no query
AS_IT_IS = '?symlink=get&multipart-manifest=get'
# those that can be sent twice, since nothing of them is gone when a kept connection dies
REPEATED = ('HEAD', 'DELETE', 'POST')
# seconds for which a connection is kept; Swift's proxies hang up after 60, and a PUT is not to meet that moment
KEPT = 30
MOST_KEPT = 32
# the source's headers that belong to its connection and not to its object
HOPS = {'connection', 'content-length', 'host', 'keep-alive', 'proxy-authorization', 'te', 'trailer',
        'transfer-encoding', 'upgrade', 'expect'}
# an object that is newer by more than this is a lie: it would keep rows from being sent for ever
MOST_AHEAD = 86400
# bytes of a row in a listing: a name of 1024 letters, each as \\uXXXX, and the rest of it
MOST_ROW = 8192


@dataclass(frozen=True)
class Found:
    """An object of the other cluster.

    :param length: in bytes, of a manifest that of itself; None where none was told
    :param headers: WSGI strings, the names in lower case
    """
    timestamp: Timestamp
    etag: str
    length: int | None
    headers: dict[str, str]


class Remote:
    """Asks the other cluster's proxies. Connections are kept, and green threads may use it at the same time.

    The bound on a whole answer needs eventlet's hub; without it each read and write has its own bound.

    :param now: a clock
    """

    def __init__(self, limits: Limits, logger, now: Callable[[], float] = time.time):
        self._limits, self._logger, self._now = limits, logger, now
        self._idle: dict[tuple[str, str | None], list[tuple[float, Wire]]] = defaultdict(list)

    def head(self, destination: Destination, name: str, timestamp: Timestamp, newest: bool = True) -> Found | None:
        """Look for an object; None where there is none, or no container.

        :param newest: ask all its replicas
        """
        headers = destination.headers('HEAD', name, timestamp.internal)
        if newest:
            headers['x-newest'] = 'true'
        answer = self._ask('HEAD', destination, name, headers, (200, 404), query=AS_IT_IS)
        return None if answer.status == 404 else self._found(f'HEAD {destination.shown(name)}', answer, timestamp)

    def put(self, destination: Destination, name: str, headers: Mapping[str, str], body: Iterable[bytes],
            length: int) -> int:
        """Write an object, whole or not at all, and give the status: 201, or 202 where it has a newer one.

        :param headers: the object's, `X-Timestamp` among them
        :param body: what it raises goes through, and the other cluster has no object then; it is not closed
        """
        signed = _signed('PUT', destination, name, headers)
        sent = Body(body, length)
        status = self._ask('PUT', destination, name, signed, (201, 202), body=sent).status
        if not sent.is_whole:
            raise RemoteFailed(f'PUT {destination.shown(name)}: answered {status} before it had the whole object',
                              None, ITS_LOG)
        return status

    def post(self, destination: Destination, name: str, headers: Mapping[str, str]) -> int:
        """Change an object's metadata. :param headers: the object's, `X-Timestamp` among them"""
        return self._ask('POST', destination, name, _signed('POST', destination, name, headers), (202,)).status

    def delete(self, destination: Destination, name: str, timestamp: Timestamp) -> int:
        """Delete an object; one that is not there (404) or newer (409) is as good as deleted."""
        headers = destination.headers('DELETE', name, timestamp.internal)
        return self._ask('DELETE', destination, name, headers, (204, 404, 409)).status

    def listing(self, destination: Destination, marker: str = '', limit: int = 1000,
                prefix: str = '') -> list[dict]:
        """List objects of the container after the marker, as Swift's JSON has them."""
        headers = destination.headers('GET', None, Timestamp(self._now()).internal)
        query = urlencode({'format': 'json', 'limit': limit, 'marker': marker, 'prefix': prefix})
        answer = self._ask('GET', destination, None, headers, (200,), query=f'?{query}',
                           most=MOST_BODY + limit * MOST_ROW)
        try:
            rows = json.loads(answer.body)
        except ValueError:
            rows = None
        if not isinstance(rows, list):
            # nothing else may pass for an empty container
            raise RemoteFailed(f'GET {destination.shown(None)}: the listing is no JSON', None, ADDRESS)
        return rows

    def created(self, destination: Destination) -> Timestamp:
        """Give the time at which the container was made."""
        headers = destination.headers('GET', None, Timestamp(self._now()).internal)
        answer = self._ask('GET', destination, None, headers, (200, 204), query='?limit=1')
        return _timestamp(f'GET {destination.shown(None)}', answer)

    def close(self) -> None:
        """Close all connections that are kept."""
        for wires in self._idle.values():
            while wires:
                wires.pop()[1].close()

    def _ask(self, method, destination, name, headers, good, *, body=None, query='',
             most=MOST_BODY) -> WholeAnswer:
        # chance is all that is asked of it: which proxy is no secret
        proxy = random.choice(self._limits.proxies) if self._limits.proxies else None  # nosec B311
        key = destination.origin, proxy
        request = f'{method} {destination.shown(name)}' + (f' by way of {origin_of(proxy)}' if proxy else '')
        target = destination.path(name) + query
        wire, is_kept = self._take(request, key)
        try:
            answer = self._tried(wire, request, method, target, headers, body, most)
        except RemoteFailed:
            if not (is_kept and method in REPEATED and wire.is_mute):
                raise
            wire = self._made(request, key)
            answer = self._tried(wire, request, method, target, headers, body, most)
        self._logger.debug('%s: %d', request, answer.status)
        if answer.status not in good:
            wire.close()
            raise refused(request, answer.status)
        self._keep(key, wire)
        return answer

    def _tried(self, wire, request, method, target, headers, body, most):
        try:
            return wire.ask(method, target, headers, body, most)
        except Timeout as error:
            if not wire.bound.is_over(error):
                raise
            raise is_late(request, wire.bound.seconds) from None
        except (RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            if body is not None and body.error is error:
                raise
            raise broken(request, error, self._limits.conn_timeout, self._limits.response_timeout) from None

    def _take(self, request, key) -> tuple[Wire, bool]:
        """Give a connection that is kept, and True, or a new one, and False."""
        wires = self._idle[key]
        while wires:
            since, wire = wires.pop()
            if time.monotonic() - since < KEPT and wire.is_open:
                return wire, True
            wire.close()
        return self._made(request, key), False

    def _made(self, request, key):
        origin, proxy = key
        try:
            return Wire(origin, self._limits, proxy, self._context if 'https:' in f'{origin} {proxy}' else None)
        except OSError as error:
            raise RemoteFailed(f'{request}: {self._limits.ca_file} holds no CAs: {error.strerror or error}', None,
                              'mend ca_file in [syncer]') from None
        except (ValueError, HTTPError, ClientException):
            raise RemoteFailed(f'{request}: no HTTP goes there', None,
                              f'see that sync_proxy has http:// or https:// in front; {ADDRESS}') from None

    def _keep(self, key, wire):
        wires = self._idle[key]
        if wire.is_open and len(wires) < MOST_KEPT:
            wires.append((time.monotonic(), wire))
        else:
            wire.close()

    @cached_property
    def _context(self):
        return ssl.create_default_context(cafile=self._limits.ca_file)

    def _found(self, request, answer, asked) -> Found:
        timestamp = _timestamp(request, answer)
        if float(timestamp) > max(self._now(), float(asked)) + MOST_AHEAD:
            raise RemoteFailed(f'{request}: the object is of {timestamp.isoformat}, more than a day ahead', None,
                              'compare the clocks of both clusters; delete the object there if it is wrong')
        etag, length = answer.headers.get('etag', ''), answer.headers.get('content-length', '')
        return Found(timestamp, normalize_etag(etag), int(length) if length.isdecimal() else None, answer.headers)


def _timestamp(request, answer) -> Timestamp:
    try:
        return Timestamp(answer.headers.get('x-timestamp', ''))
    except (ValueError, OverflowError):
        raise RemoteFailed(f'{request}: the answer has no X-Timestamp that is one', None, ADDRESS) from None


def _signed(method, destination, name, headers) -> dict[str, str]:
    """Give an object's headers with the signature of their own time."""
    sent = {lower(key): str(value) for key, value in headers.items()}
    sent = {key: value for key, value in sent.items() if key not in HOPS}
    return sent | destination.headers(method, name, sent['x-timestamp'])

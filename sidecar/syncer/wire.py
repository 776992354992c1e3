"""One connection to the other cluster, kept between requests: python-swiftclient's, with nothing left to chance.

Requests and urllib3 do more for a request than a signed one may have. They rewrite the path, read proxies, logins
and CAs from the environment, read the whole body of a redirect, and take headers that broke off for whole ones. So
the request is prepared by hand, goes to one pool of one host, and the answer is read line by line.
"""
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ssl import SSLContext
from typing import Any, NamedTuple

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_auth_from_url
from swiftclient.client import HTTPConnection
from urllib3 import PoolManager, ProxyManager
from urllib3.util import make_headers

from ...conf.options import SyncerSection
from .body import Body, Bound
from .framing import Plain, Response, Secure
from .remedies import has_died

AGENT = 'swiftahead-syncer'
CHUNK = 65536
MOST_BODY = 65536


@dataclass(frozen=True)
class Limits:
    """Bounds of one request and ways to send it.

    :param conn_timeout: seconds for the connection
    :param response_timeout: seconds for each chunk that is sent, and for the answer after the last
    :param proxies: HTTP proxies, one of which each request goes through; none: the host itself is asked
    :param ca_file: the only CAs that are trusted; None: those of the system
    """
    conn_timeout: float
    response_timeout: float
    proxies: tuple[str, ...] = ()
    ca_file: str | None = None

    @classmethod
    def of(cls, syncer: SyncerSection) -> 'Limits':
        """Give those that the conf has."""
        return cls(syncer.conn_timeout, syncer.response_timeout, syncer.sync_proxy, syncer.ca_file)


class WholeAnswer(NamedTuple):
    """An answer that came whole; its headers have lower-case names, names and values are WSGI strings."""
    status: int
    headers: dict[str, str]
    body: bytes


class _Adapter(HTTPAdapter):
    """Sends requests by one pool, which holds one connection to one host."""

    def __init__(self, origin: str, pool):
        super().__init__()
        self._origin, self._pool = origin, pool

    def get_connection_with_tls_context(self, *_args, **_more):
        return self._pool

    # its name before requests 2.32
    get_connection = get_connection_with_tls_context

    def cert_verify(self, *_args, **_more):
        """Leave the CAs to the pool's own context: requests' own are not the system's."""

    def request_url(self, request: Any, proxies):
        return request.url.removeprefix(self._origin)

    def close(self):
        self._pool.close()


class Wire(HTTPConnection):
    """A connection to one host for one request at a time. It is closed by whatever goes wrong.

    :param origin: scheme, host and port
    :param proxy: URL of the HTTP proxy to go through, if any
    :ivar is_mute: whether it died before anything of the last answer came
    """

    def __init__(self, origin: str, limits: Limits, proxy: str | None, context: SSLContext | None):
        super().__init__(origin, timeout=(limits.conn_timeout, limits.response_timeout), default_user_agent=AGENT)
        self._limits = limits
        self._connection: Plain | None = None
        self._passing: dict[str, str] = {}
        self._ahead = ''
        pool: Any = self._pool(origin, proxy, context)
        pool.ConnectionCls = partial(self._opened, Secure if pool.scheme == 'https' else Plain)
        self._adapter = _Adapter(origin, pool)
        self.bound = Bound()
        self._was_heard = False
        self.is_mute = False

    def _pool(self, origin, proxy, context):
        if proxy is None:
            return PoolManager(maxsize=1, ssl_context=context).connection_from_url(origin)
        login = get_auth_from_url(proxy)
        passing = make_headers(proxy_basic_auth=':'.join(login)) if login[0] else {}
        if origin.startswith('https:'):
            return ProxyManager(proxy, proxy_headers=passing, maxsize=1, ssl_context=context,
                                proxy_ssl_context=context).connection_from_url(origin)
        self._ahead, self._passing = origin, passing
        return PoolManager(maxsize=1, ssl_context=context).connection_from_url(proxy)

    def _opened(self, kind: type[Plain], **options: Any) -> Plain:
        self._connection = connection = kind(**options)
        connection.response_class = partial(Response, heard=self._hear)
        connection.origin, connection.seconds = self._ahead, self._limits.response_timeout
        return connection

    def _hear(self):
        self._was_heard = True

    @property
    def is_open(self) -> bool:
        """Tell whether it can take another request: it is not closed, and has no more to say than was asked."""
        return bool(self._connection and not self._connection.is_closed and self._connection.is_connected)

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: Body | None = None,
            most: int = MOST_BODY) -> WholeAnswer:
        """Send a request and read its answer.

        :param target: path and query, as they are to be sent
        :param headers: WSGI strings: each character stands for a byte
        :param most: bytes of the answer's body that are read
        :raises Exception: of many kinds, `remedies.broken` tells them apart; those of the body as they are
        """
        limits, self._was_heard, self.is_mute = self._limits, False, False
        data = None if body is None else body.sent(self.bound, limits.response_timeout)
        length = {} if body is None else {'Content-Length': str(body.length)}
        try:
            self.bound.begin(limits.conn_timeout + limits.response_timeout)
            self.request(method, target, data, _as_bytes({**headers, **self._passing, **length}))
            return self._read(most)
        except BaseException as error:
            self.close()
            self.is_mute = not self._was_heard and has_died(error)
            if body is not None and body.error is not None:
                raise body.error from None
            raise
        finally:
            self.bound.end()
            if body is not None and not body.is_whole:
                # an answer that came early; the rest of the object would be taken for another request
                self.close()

    def _request(self, method, url, headers=None, data=None, files=None, **options):
        request = PreparedRequest()
        request.method, request.url, request.body = method, url, data
        request.headers = CaseInsensitiveDict(headers)
        return self._adapter.send(request, **options)

    def _read(self, most) -> WholeAnswer:
        raw, body = self.resp.raw, b''
        while len(body) <= most:
            chunk = raw.read(CHUNK, decode_content=False)
            if not chunk:
                break
            body += chunk
        else:
            self.close()
        headers = {lower(name): value for name, value in raw.headers.items()}
        return WholeAnswer(self.resp.status_code, headers, body[:most])

    def close(self):
        super().close()
        self._adapter.close()
        if self._connection is not None:
            self._connection.close()


def lower(name: str) -> str:
    """Give a header's name in lower case, but leave alone the bytes of letters that are not ASCII."""
    return name.encode('latin-1').lower().decode('latin-1')


def _as_bytes(headers):
    """Give WSGI strings as the bytes that they stand for; swiftclient would take them for text.

    Odd names stand last: Python's own servers lose what comes after one, the length of the body too.
    """
    return {name if name.isascii() else name.encode('latin-1'): str(value).encode('latin-1')
            for name, value in sorted(headers.items(), key=lambda header: not header[0].isascii())}

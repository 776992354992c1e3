"""One control request to one proxy: what may be sent, and which answers are believed.

Nothing that is sent from here may change an object, whatever was typed: a POST to an object removes its metadata.
So the path is made of an account and a container that were checked, Swift refuses the request where it meets an
object all the same (`GUARD`), and only the filter's own answers are believed.
"""
import http.client
import re
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

from swiftclient import Connection

from ..conf.arguments import account_name
from ..conf.names import GUARD, NODE_HEADER
from .errors import RemoteError, one_line

SERVER = r'(?i:https?)://[^\s/?#@\\]+'
STORAGE_URL = re.compile(rf'({SERVER})/v1/([^\s/?#\\]+)')
PROXY_URL = re.compile(rf'({SERVER})/?')
# of the filter's answers, each of one line
LONGEST_ANSWER = 1000


@dataclass(frozen=True)
class NodeAnswer:
    """
    :param node: which took or refused it; '' where the answer is not the filter's
    :param said: by the filter, or of what answered instead, in one line
    """
    status: int
    node: str
    said: str

    @property
    def is_taken(self) -> bool:
        return self.status == http.client.ACCEPTED and bool(self.node)


def split_storage_url(url: str) -> tuple[str, str]:
    """(scheme://host:port, account) of a storage URL.

    :raises RemoteError: where it is anything else than an account's
    """
    found = STORAGE_URL.fullmatch(url)
    if not found or not _is_server(found[1]):
        raise RemoteError(f'storage URL {url!a}: must be http(s)://HOST[:PORT]/v1/ACCOUNT and nothing more')
    try:
        return found[1], account_name(unquote(found[2], errors='surrogateescape'))
    except ValueError as error:
        raise RemoteError(f'storage URL {url!a}: {error}') from None


def check_proxy(url: str) -> str:
    """scheme://host:port of a proxy. :raises RemoteError:"""
    found = PROXY_URL.fullmatch(url)
    if not found or not _is_server(found[1]):
        raise RemoteError(f'--proxy {url!a}: must be http(s)://HOST[:PORT], as the proxy itself listens')
    return found[1]


def _is_server(url) -> bool:
    try:
        parts = urlsplit(url)
        return url.isprintable() and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def path_of(account: str, container: str, params: dict[str, str]) -> str:
    return f'/v1/{_quoted(account)}/{_quoted(container)}?{urlencode(params)}'


def _quoted(name):
    # Names of dots alone are names to Swift, and folders to requests, which would leave them out of the path.
    return '%2E' * len(name) if name in ('.', '..') else quote(name, safe='')


def send(connection: Connection, proxy: str, path: str) -> NodeAnswer:
    """Send a control request to a proxy. No redirect is followed: the token is for none but who was named.

    :param connection: with the token, and with all that concerns TLS and waiting
    :raises OSError: where the proxy cannot be reached, or does not answer
    """
    _, client = connection.http_connection(proxy)
    client.requests_args['allow_redirects'] = False
    with closing(client):
        response = client.request('POST', path, '', {'X-Auth-Token': connection.token, **GUARD})
        node = one_line(response.headers.get(NODE_HEADER, ''))
        if not node:
            return NodeAnswer(response.status_code, '', _explain(response.status_code))
        body = next(response.iter_content(LONGEST_ANSWER), b'')
        return NodeAnswer(response.status_code, node, one_line(body.decode('utf-8', 'replace')))


def _explain(status) -> str:
    """Tell what an answer is that the filter did not give."""
    if 200 <= status < 300:
        return f'{status}, but not by a prefetch filter: there is none in this proxy, and nothing was done'
    if 300 <= status < 400:
        return f'{status}, a redirect, which is not followed: name the proxy itself'
    if status == 404:
        return 'no such container, or no Swift at this address'
    if status in (401, 403):
        return 'this user may not write to the container, or there is no prefetch filter in this proxy'
    return ' '.join([str(status), http.client.responses.get(status, '')]).strip()

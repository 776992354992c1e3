"""What can go wrong with a request to the other cluster, and how to mend it. One line each, without keys."""
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected

from requests.exceptions import ConnectTimeout
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProtocolError, ProxyError, ReadTimeoutError

from .destination import REALMS

# the errors come by name, since `http.client.` is eventlet's copy, with errors of its own, once that is loaded
ADDRESS = f'compare the address with X-Container-Sync-To and the endpoint in {REALMS}'
OVERLOADED = 'look at the load and the log of the other cluster'
ITS_LOG = "look into the log of the other cluster's proxies at this time"
# by the status of an answer
REMEDIES = {
    400: f'{ITS_LOG}; it takes other headers or names than this cluster',
    # also where there is no such container
    401: f"see that the container is there; compare the realm's key in {REALMS} of both clusters, and "
         "X-Container-Sync-Key of both containers; see that container_sync stands before the auth filter in the "
         "other proxies' pipeline",
    403: 'see that the account and the container there may be written: their ACLs, whether the account is '
         "suspended, and read-only filters in its proxies' pipeline",
    404: 'create the container in the other cluster, and set X-Container-Sync-Key on it',
    405: f'{ADDRESS}: no container can be written there',
    409: 'the object waits there for others (segments, or the target of a symlink), or is newer; it is sent again',
    411: 'take out the HTTP proxy or load balancer that drops Content-Length on the way',
    412: 'see whether such names are allowed in the other cluster (the filter name_check, and swift.conf)',
    413: 'raise max_file_size, or the quota of the account or container, in the other cluster',
    422: 'the bytes changed on the way, or the source is damaged: where it goes on, audit the source',
    429: 'raise the rate limit of the other cluster, or lower bytes_per_second and sync_row_concurrency here',
    498: "raise the limits of the other cluster's filter ratelimit, or lower sync_row_concurrency here",
    499: 'raise client_timeout of the other proxies, or lower sync_row_concurrency here',
    507: 'make room on the disks of the other cluster',
}
REDIRECTED = (f'name the final address in X-Container-Sync-To or in {REALMS}: no redirect is followed, since the '
              'signature would go to another host')


class RemoteFailed(Exception):
    """A request to the other cluster that did not come to its end.

    :param why: says which request, and what happened to it
    :param status: of the answer, where one came
    :param remedy: says what mends it
    """

    def __init__(self, why: str, status: int | None, remedy: str):
        super().__init__(f'{why}; {remedy}')
        self.why, self.status, self.remedy = why, status, remedy


def refused(request: str, status: int) -> RemoteFailed:
    """Make the error of an answer that is none of those which the request can have."""
    phrase = next((f' {known.phrase}' for known in HTTPStatus if known == status), '')
    return RemoteFailed(f'{request}: answered {status}{phrase}', status, _remedy(status))


def _remedy(status):
    if status in REMEDIES:
        return REMEDIES[status]
    if 300 <= status < 400:
        return REDIRECTED
    if status >= 500:
        return f'{ITS_LOG}; the row is sent again later'
    return f'{ADDRESS}: no proxy of Swift answers so'


def is_late(request: str, seconds: float) -> RemoteFailed:
    """Make the error of a request that outlived its bound, though something came or went now and then."""
    return RemoteFailed(f'{request}: not over within {seconds:g} s', None,
                       f'{OVERLOADED}; where it is only slow, raise response_timeout')


def broken(request: str, error: BaseException, conn_timeout: float, response_timeout: float) -> RemoteFailed:
    """Make the error of a request that broke off.

    The other side's words are left out: they may repeat what was sent to it.
    """
    causes = list(_causes(error))
    for kinds, why, remedy in BREAKS:
        found = next((cause for cause in causes if isinstance(cause, kinds)), None)
        if found is not None:
            words = {'conn_timeout': conn_timeout, 'response_timeout': response_timeout, 'said': _said(found)}
            return RemoteFailed(f'{request}: {why.format(**words)}', None, remedy)
    return RemoteFailed(f'{request}: {type(error).__name__}', None, ITS_LOG)


def has_died(error: BaseException) -> bool:
    """Tell a connection that the other side closed from one that is silent, and from all other errors."""
    return any(isinstance(cause, ConnectionError) for cause in _causes(error))


def _causes(error: object) -> Iterator[BaseException]:
    """List an error and those that it was made of, as requests and urllib3 wrap them."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [*cause.args, cause.__cause__, cause.__context__, getattr(cause, 'reason', None)]


def _said(cause):
    """Give the words of the own side: OpenSSL's of a certificate, or the system's of an errno."""
    return getattr(cause, 'verify_message', None) or getattr(cause, 'strerror', None) or type(cause).__name__


# kinds of errors, what happened, how to mend it: the first line that fits one of the causes is taken
BREAKS = (
    (ssl.SSLCertVerificationError, "the server's certificate is not trusted: {said}",
     'name the file of its CA as ca_file in [syncer], or give the server a certificate for the host of its URL'),
    (ssl.SSLError, 'no TLS could be agreed on', f'see whether this port speaks TLS; {ADDRESS}'),
    (ProxyError, 'the HTTP proxy of sync_proxy does not connect', 'see that it runs, and lets this host pass'),
    (socket.gaierror, 'the host name is not known', f'mend the DNS of this node, or {ADDRESS}'),
    (ConnectionRefusedError, 'connection refused', f'see that the proxy runs there; {ADDRESS}'),
    (NewConnectionError, 'the host cannot be reached', f'look at the network between both clusters; {ADDRESS}'),
    ((ConnectTimeout, ConnectTimeoutError), 'no connection within {conn_timeout:g} s',
     'see that the host is up and no firewall is between, or raise conn_timeout'),
    ((ReadTimeoutError, TimeoutError), 'nothing came or went for {response_timeout:g} s',
     f'{OVERLOADED}; where it is only slow, raise response_timeout'),
    (RemoteDisconnected, 'the connection was closed before an answer', ITS_LOG),
    ((BadStatusLine, LineTooLong), 'what answers is not HTTP', ADDRESS),
    (IncompleteRead, 'the answer broke off', ITS_LOG),
    (HTTPException, 'the answer has no end, or is not as HTTP has it', ADDRESS),
    (ProtocolError, 'the connection broke', ITS_LOG),
    (UnicodeError, 'a header is not made of bytes', 'look at the metadata of the source'),
    (OSError, 'the connection broke: {said}', 'look at the network between both clusters'),
    (ValueError, 'a header or the URL cannot be sent', f'look at the metadata of the source; {ADDRESS}'),
)

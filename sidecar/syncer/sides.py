"""Both sides of a synced container, to be listed page by page: this cluster's, and the other one's."""
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from swift.common.concurrency import Timeout
from swift.common.header_key_dict import HeaderKeyDict
from swift.common.internal_client import InternalClient, UnexpectedResponse
from swift.common.request_helpers import USE_REPLICATION_NETWORK_HEADER
from swift.common.swob import Request

from ..settings import SidecarSettings
from .client import source_client
from .destination import Realms
from .remote import Limits, Remote, RemoteFailed
from .source import NotSynced, SourceFailed, read_destination

__all__ = ['NotSynced', 'RemoteFailed', 'Sides', 'SourceFailed', 'open_sides']

PAGE = 1000
RETRY_SECONDS = 1.0
ITS_LOG = "see the log of the syncer's internal client"


@dataclass(frozen=True)
class Sides:
    """
    :param url: of the container in the other cluster
    :param count: objects that this side is said to have
    :param here: gives the rows of this side after a name; likewise `there`
    """
    url: str
    count: int
    here: Callable[[str], list[dict]]
    there: Callable[[str], list[dict]]


def open_sides(settings: SidecarSettings, account: str, container: str, logger,
               pause: Callable[[float], object] = time.sleep) -> Sides:
    """Find both sides of a container.

    :raises NotSynced: where it has no other side, or none that can be listed
    :raises SourceFailed: where this cluster does not tell
    """
    syncer, client = settings.syncer, source_client(settings)
    headers = _head(client, account, container)
    sync_to, key = headers.get('x-container-sync-to'), headers.get('x-container-sync-key')
    if not sync_to or not key:
        raise NotSynced(f'{container} has no X-Container-Sync-To, or no X-Container-Sync-Key', 'set both')
    realms = Realms(settings.sidecar.swift_dir, logger)
    destination = read_destination(sync_to, key, list(syncer.allowed_sync_hosts), realms)
    if not destination.realm:
        raise NotSynced('without a realm the other cluster lets nobody list the container by its key',
                        'use X-Container-Sync-To = //realm/cluster/account/container')
    remote = Remote(Limits.of(syncer), logger)

    def here(after: str) -> list[dict]:
        return _listing(client, account, container, after)

    def there(after: str) -> list[dict]:
        return tried(lambda: remote.listing(destination, after, PAGE), syncer.request_tries, pause)
    return Sides(destination.shown(None), int(headers.get('x-container-object-count', 0)), here, there)


def _head(client: InternalClient, account, container) -> HeaderKeyDict:
    """Ask for all metadata. A proxy-server shows keys to owners alone, and an InternalClient is none by itself."""
    request = Request.blank(client.make_path(account, container), {'REQUEST_METHOD': 'HEAD', 'swift_owner': True},
                            {'X-Newest': 'true', USE_REPLICATION_NETWORK_HEADER: 'true',
                             'User-Agent': client.user_agent})
    response = request.get_response(client.app)
    if response.status_int == 404:
        raise SourceFailed(f'there is no container {container} in {account}', 'names are not quoted here')
    if response.status_int // 100 != 2:
        raise SourceFailed(f'this cluster answers {response.status_int} to a HEAD of {container}', ITS_LOG)
    return response.headers


def _listing(client, account, container, after) -> list[dict]:
    query = urlencode({'format': 'json', 'limit': PAGE, 'marker': after})
    try:
        response = client.make_request('GET', f'{client.make_path(account, container)}?{query}',
                                       {'X-Newest': 'true'}, (2,))
        return json.loads(response.body)
    except UnexpectedResponse as error:
        raise SourceFailed(f'this cluster answers {error.resp.status_int} to a GET of {container}',
                           ITS_LOG) from None
    except (Exception, Timeout) as error:  # noqa: BLE001 - the client raises whatever its pipeline does
        raise SourceFailed(f'{container} cannot be listed here: {error!r}', ITS_LOG) from None


def tried(call, tries, pause) -> list[dict]:
    """Ask again where the other cluster may have been busy for a moment, so that not all is begun anew."""
    for number in range(1, tries):
        try:
            return call()
        except RemoteFailed as error:
            if error.status is not None and error.status < 500:
                raise
            pause(RETRY_SECONDS * 2 ** number)
    return call()

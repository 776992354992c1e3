"""The client by which objects of this cluster are read."""
import os

from swift.common.internal_client import InternalClient
from swift.common.wsgi import ConfigString
from swift.container.sync import ic_conf_body

from ..settings import SidecarSettings

# as of upstream's daemon, by which operators know its requests in the proxies' and servers' logs
AGENT, LOG_NAME = 'Swift Container Sync', 'container-sync-ic'
FILE = 'internal-client.conf'


def conf_path(settings: SidecarSettings) -> str | None:
    """Give the path of the client's conf as upstream does: the one given, or the file in swift_dir.

    :returns: None where there is none of them, so that Swift's built-in conf is taken
    """
    path = os.path.join(settings.sidecar.swift_dir, FILE)
    return settings.syncer.internal_client_conf_path or (path if os.path.exists(path) else None)


def source_client(settings: SidecarSettings) -> InternalClient:
    """Make the client, which reads from the replication network. It raises whatever filters make of their conf."""
    return InternalClient(
        conf_path(settings) or ConfigString(ic_conf_body), AGENT, settings.syncer.request_tries,
        use_replication_network=True, global_conf={'log_name': LOG_NAME, 'swift_dir': settings.sidecar.swift_dir})

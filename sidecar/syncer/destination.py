"""Where a container is sent to, and how the requests that go there are signed."""
import configparser
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from swift.common.container_sync_realms import ContainerSyncRealms
from swift.common.utils import quote

REALMS = 'container-sync-realms.conf'


@dataclass(frozen=True)
class Destination:
    """A container of another cluster, with the keys that its proxies ask for.

    :param url: of the container, quoted as Swift's `validate_sync_to` gives it
    :param realm: as in container-sync-realms.conf; None where `X-Container-Sync-To` is a full URL
    :param realm_key: the operators' secret; None as with the realm
    :param user_key: the containers' secret, `X-Container-Sync-Key`
    """
    url: str
    realm: str | None
    realm_key: str | None = field(repr=False)
    user_key: str = field(repr=False)

    @property
    def origin(self) -> str:
        """Give scheme, host and port, without the login that a URL may hold."""
        return origin_of(self.url)

    def path(self, name: str | None) -> str:
        """Give the path of an object, or of the container where there is no name, as it is sent and signed."""
        container = urlsplit(self.url).path
        return container if name is None else f'{container}/{quote(name)}'

    def shown(self, name: str | None) -> str:
        """Give the URL of an object for a line in the log."""
        return self.origin + self.path(name)

    def headers(self, method: str, name: str | None, timestamp: str) -> dict[str, str]:
        """Give the headers that tell the time of a change, and that the one who asks has the keys.

        :param timestamp: as the `X-Timestamp` of the request has it
        """
        headers = {'x-timestamp': timestamp}
        if self.realm and self.realm_key:
            nonce = uuid.uuid4().hex
            # the signature is made of the arguments alone, so no realms have to be loaded for it
            signature = ContainerSyncRealms.get_sig(
                None, method, self.path(name), timestamp, nonce, self.realm_key, self.user_key)
            headers['x-container-sync-auth'] = f'{self.realm} {nonce} {signature}'
        else:
            headers['x-container-sync-key'] = self.user_key
        return headers


def origin_of(url: str) -> str:
    """Give scheme, host and port of a URL, without the login that it may hold."""
    parts = urlsplit(url)
    return f'{parts.scheme}://{parts.netloc.rpartition("@")[2]}'


class Realms(ContainerSyncRealms):
    """Swift's realms. A parser's error would quote lines of the file, and so keys: it is left out."""

    def __init__(self, swift_dir: str, logger):
        self._told = logger
        super().__init__(f'{swift_dir}/{REALMS}', self)

    def _reload(self):
        try:
            super()._reload()
        except configparser.Error:
            self.error()

    def debug(self, *_):
        """Take what Swift says where there is no file."""

    def error(self, *_):
        self._told.error('%s cannot be read; its realms stay as they were', self.conf_path)

"""Who is the client, and does it want read-ahead: the same answer for all requests of a transaction."""
from dataclasses import dataclass

from swift.common.swob import Request
from swift.common.utils import config_true_value, get_remote_client

from ..conf.names import Naming

INFOCACHE_KEY = 'swiftahead.client'


@dataclass(frozen=True)
class ReadingClient:
    """
    :param name: opaque
    :param no_prefetch: X-No-Prefetch: a hit may answer, but nothing is captured, learned or triggered
    """
    name: str
    no_prefetch: bool


# before anybody was identified: nothing may be captured or learned
NOBODY = ReadingClient('', no_prefetch=True)


def identify(req: Request, naming: Naming) -> ReadingClient:
    """The client of this request's transaction.

    Requests that SLO, DLO and symlink make on behalf of a client carry neither its address nor its
    headers, but share `swift.infocache` with the first one, which leaves the answer there.
    """
    infocache = req.environ.setdefault('swift.infocache', {})
    known = infocache.get(INFOCACHE_KEY)
    if known is None:
        address = get_remote_client(req) or req.environ.get('swift.trans_id', '')
        user = req.environ.get('REMOTE_USER') or req.environ.get('HTTP_X_USER_ID') or ''
        no_prefetch = config_true_value(req.environ.get('HTTP_X_NO_PREFETCH'))
        known = infocache[INFOCACHE_KEY] = ReadingClient(naming.client(user, address), no_prefetch)
    return known

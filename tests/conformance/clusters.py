"""The labs of the conformance runs: what differs between them is in their proxy's conf."""
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.lab import labs

from swiftahead.lab import Lab

from .warming import is_cacheable

FUNCTIONAL = (('test/functional', '--ignore=test/functional/s3api'),)
# not together: the one uses eventlet's sockets and the other the system's
S3API = (('test/functional/s3api',), ('test/s3api',))
PREFETCH = ' prefetch proxy-server'
SECTIONS = {
    'warming': {'paste.filter_factory': 'conformance.warming:filter_factory'},
    'keymaster': {'use': 'egg:swift#keymaster', 'encryption_root_secret': b64encode(b'conformance' * 4).decode()},
    'encryption': {'use': 'egg:swift#encryption'},
}


@dataclass(frozen=True)
class Cluster:
    """A kind of lab, and which tests of upstream's are run on it.

    :param tests: what each run of pytest gets, one after the other
    :param policies: the first is the default one
    :param filters: that stand left of the last proxy-logging, as Swift's documentation has it for encryption
    """
    name: str
    tests: tuple[tuple[str, ...], ...]
    policies: tuple[str, ...] = ('gold', 'silver')
    filters: tuple[str, ...] = ()
    sides: tuple[str, ...] = ('warm',)


CLUSTERS = {cluster.name: cluster for cluster in (
    Cluster('default', FUNCTIONAL, sides=('warm', 'cold')),
    Cluster('ec', FUNCTIONAL, policies=('ec', 'gold')),
    Cluster('encryption', FUNCTIONAL, filters=('keymaster', 'encryption')),
    Cluster('s3api', S3API))}


@dataclass(frozen=True)
class Share:
    """Of the GETs that the cache may answer, how many it did answer."""
    cacheable: int
    hits: int

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.cacheable if self.cacheable else 0.0


@contextmanager
def lab_for(cluster: Cluster, side: str, folder: Path) -> Iterator[Lab]:
    """:param side: 'base': without the filter; 'warm': every object GET is preceded by one of its own; 'cold'"""
    has_filter = side != 'base'
    lab = Lab(folder, policies=cluster.policies, filter=has_filter, sidecar=has_filter)
    with labs.finding_tests(), lab:
        if _add_filters(lab, cluster, side):
            lab.restart('proxy1')
        # a test of upstream's takes the account for there, which the first write makes
        labs.connection(lab).post_account({'X-Account-Meta-Conformance': ''})
        yield lab


def _add_filters(lab, cluster, side):
    conf = lab.conf_path('proxy1')
    text, added = conf.read_text(), list(cluster.filters)
    if cluster.filters:
        right = ' proxy-logging' + (' proxy-server' if side == 'base' else PREFETCH)
        text = text.replace(right, f' {" ".join(cluster.filters)}{right}', 1)
    if side == 'warm':
        added.append('warming')
        text = text.replace(PREFETCH, f' warming{PREFETCH}', 1)
    for name in added:
        options = {**SECTIONS[name], **({'counts': counts_file(lab)} if name == 'warming' else {})}
        text += f'\n[filter:{name}]\n' + ''.join(f'{key} = {value}\n' for key, value in options.items())
    conf.write_text(text)
    return added


def counts_file(lab: Lab) -> Path:
    return lab.folder / 'warmed'


def share_of(lab: Lab) -> Share:
    """As the warming filter has noted it."""
    cacheable = hits = 0
    path = counts_file(lab)
    for line in path.read_text().splitlines() if path.exists() else []:
        first, status, told = line.split('\t')
        # a precondition that failed is Swift's to word
        if is_cacheable(first) and status != '412':
            cacheable += 1
            hits += told.startswith('swiftahead; hit')
    return Share(cacheable, hits)

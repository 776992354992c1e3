"""Labs that are clusters of one realm, so that containers can be synced between them.

The spec of each names the folders of all others, and the realms conf of each their endpoints. A lab is left out
where its folder is gone, or where the folder holds another lab by now, which does not name the first.
"""
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from ..conf.files import try_lock
from .confs import write_realms
from .process import wait_until
from .spec import FIRST_CLUSTER, LabError, LabLayout, LabSpec, no_lab

LOCK_SECONDS = 10.0
Group = dict[Path, LabSpec]


def join(folder: Path, spec: LabSpec, cluster: str, given: Iterable[Path]) -> LabSpec:
    """Make the lab a cluster of the realm that it was in already, and of those of the labs `given`.

    :param cluster: the lab's name in the realm; '': the one it has had, or the next that is free
    :returns: the spec with name and peers, as it is written in the folder
    :raises LabError: where a given folder holds no lab, or a name is not free
    """
    given = list(given)
    while True:
        others = find_peers(folder, given)
        with _locked([folder, *others]):
            found = find_peers(folder, given)
            # else another lab has come in before the locks were held
            if found.keys() == others.keys():
                own = replace(spec, cluster=_choose_name(folder, cluster, found))
                return _write({folder: own, **found})[folder]


def find_peers(folder: Path, given: Iterable[Path] = ()) -> Group:
    """Read the specs of all labs that the lab in `folder` is in a realm with, or will be by the labs `given`.

    They come in the order of their names.

    :raises LabError: where a given folder holds no lab
    """
    waiting = {**_mutual(folder), **{path: _read_given(path) for path in given}}
    found: Group = {}
    while waiting:
        path, spec = waiting.popitem()
        found[path] = spec
        waiting.update((other, its) for other, its in _mutual(path).items() if other not in {folder, *found})
    return dict(sorted(found.items(), key=lambda item: (item[1].cluster, item[0])))


def _mutual(folder) -> Group:
    """Read the specs of labs that the lab in `folder` names and that name it."""
    own = _read(folder)
    named = {Path(path): _read(path) for path in (own.peers if own else ())}
    return {path: spec for path, spec in named.items() if spec and str(folder) in spec.peers}


def _read(folder):
    with suppress(LabError):
        return LabSpec.read(LabLayout(Path(folder)).spec)


def _read_given(folder):
    spec = LabSpec.read(LabLayout(folder).spec)
    if not spec:
        raise no_lab(folder)
    return spec


def _choose_name(folder, wanted, others):
    taken: dict[str, Path] = {}
    for path, spec in others.items():
        _refuse_taken(path, spec.cluster, taken)
        taken[spec.cluster.lower()] = path
    if wanted:
        _refuse_taken(folder, wanted, taken)
        return wanted
    before = _read(folder)
    numbered = (f'{FIRST_CLUSTER}{number}' for number in count(2))
    names = chain([before.cluster] if before else [], [FIRST_CLUSTER], numbered)
    return next(name for name in names if name.lower() not in taken)


def _refuse_taken(folder, name, taken):
    other = taken.get(name.lower())
    if other:
        raise LabError(f'the labs in {other} and {folder} would both be cluster {name}; take the one in {folder} '
                       'down and put it up with another --cluster')


def _write(group: Group) -> Group:
    """Write the specs of a group, and the realms conf of each lab."""
    told = {folder: replace(spec, peers=tuple(str(other) for other in group if other != folder))
            for folder, spec in group.items()}
    for folder, spec in told.items():
        layout = LabLayout(folder)
        try:
            spec.write(layout.spec)
            write_realms(told.values(), layout)
        except OSError as error:
            raise _not_written(folder, error) from error
    return told


@contextmanager
def _locked(folders) -> Iterator[None]:
    """Hold the locks of the folders, taken in one order by all processes."""
    with ExitStack() as stack:
        for folder in sorted(folders):
            path = LabLayout(folder).run / 'peers.lock'
            try:
                lock = stack.enter_context(open(path, 'w'))
            except OSError as error:
                raise _not_written(folder, error) from error
            if not wait_until(lambda lock=lock: try_lock(lock.fileno()), LOCK_SECONDS):
                raise LabError(f'another process has held {path} for {LOCK_SECONDS:g} seconds; end it')
        yield


def _not_written(folder, error):
    return LabError(f'the lab in {folder} cannot be told of its peers ({error.strerror}); '
                    'work as the user that put it up')

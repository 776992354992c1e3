"""Look for troubles before the daemon starts.

A process of its own looks, as the daemon's user, so that nothing of it stays open. It tells each trouble on
standard error, which Swift's daemons close afterwards. A trouble that somebody has to mend refuses the start. A
trouble that may be over by itself, such as a full disk or a port in use, is told; the part that needs the disk or
the port waits for it.
"""
import os
import pwd
import resource
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from swift.common.utils import config_fallocate_value, drop_privileges, get_logger

from ..cache import InUse, Store, Unavailable
from ..conf import ConfError
from ..queues import QueueError, open_queue
from .cluster import make_client, token_ring, with_proxys_servers
from .settings import SidecarSettings
from .status.snapshot import queue_path
from .syncer.start import troubles as of_syncer
from .trouble import PASSING, Trouble, hint, told_to

# a sidecar that was told to stop a moment ago puts back its leased records first
LOCK_SECONDS = 5.0
QUEUE_SECONDS = 1.0
# within which the process that looks must have ended
LOOK_SECONDS = 60.0
# files: the daemon's own, and for each fetch the backends' sockets and the spool file
OWN_FILES, FETCH_FILES = 64, 4
QUEUE_FILES = ('', '-wal', '-shm', '-journal', '.lock')


def prepare(settings: SidecarSettings) -> None:
    """Make the cache folder, and raise the limit of open files, which the user of the daemon may not do.

    :raises ConfError: where one of them cannot be done, or this process cannot become the daemon's user
    """
    own = os.geteuid()
    if own not in (0, pwd.getpwnam(settings.user).pw_uid):
        raise ConfError(f'[sidecar] user = {settings.user}: only root can start it as another user; start it as '
                        f'{settings.user}, or set user to {pwd.getpwuid(own).pw_name}')
    _raise_limit(settings)
    if _uses_queue(settings):
        try:
            _make_folder(settings.sidecar.cache_dir, settings.user)
        except OSError as error:
            # the process that looks meets a passing error, such as a full disk, again, and tells it
            if error.errno not in PASSING:
                raise ConfError(f'[sidecar] cache_dir = {settings.sidecar.cache_dir}: cannot be made: '
                                f'{told_to(settings.user, error)}') from None


def _uses_queue(settings):
    return settings.prefetcher.enabled or settings.mover.enabled


def _is_beside(settings):
    """Tell whether the queue lies in the cache folder, as it does as a rule."""
    return os.path.normpath(settings.sidecar.cache_dir) == os.path.normpath(queue_path(settings).parent)


def _raise_limit(settings):
    most = max(settings.prefetcher.concurrency, settings.mover.concurrency,
               settings.syncer.enabled and settings.syncer.sync_row_concurrency)
    needed = OWN_FILES + FETCH_FILES * most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(hard, needed)))
    except (ValueError, OSError):
        raise ConfError(f'concurrency = {most} needs {needed} open files, and {hard} are allowed: raise '
                        'LimitNOFILE of the service, or ulimit -n, or lower the concurrency of [prefetcher] and '
                        '[mover], and the sync_row_concurrency of [syncer]') from None


def _make_folder(cache_dir, user):
    """Make the folder as the user that starts the daemon: the one above may be root's. `user` makes the rest."""
    try:
        os.makedirs(cache_dir, mode=0o700)
    except FileExistsError:
        # the process that looks as `user` tells whether it can be used
        return
    entry = pwd.getpwnam(user)
    if os.geteuid() == 0:
        # another user that may write to the folder above could have put something else there meanwhile
        folder = os.open(cache_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(folder, entry.pw_uid, entry.pw_gid)
        finally:
            os.close(folder)


def is_ready(settings: SidecarSettings, conf: dict, once: bool, tell: Callable[[str], None]) -> bool:
    """Tell whether the daemon can be started. Look in a process of its own, as the user of the daemon.

    :param conf: [sidecar] as Swift reads it
    :param once: whether nothing is waited for
    :param tell: is told each trouble
    """
    pid = os.fork()
    if pid:
        return _is_well(pid, tell)
    refused = True
    try:
        refused = _is_refused(settings, conf, once, tell)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - nobody else would tell of it
        tell(f'whether all is right cannot be found out: {error!r}')
    finally:
        # the parent's work at its end is not this process's
        os._exit(1 if refused else 0)


def _is_well(pid, tell):
    """Tell whether the process that looks has found all right."""
    until = time.monotonic() + LOOK_SECONDS
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > until:
            # on a disk that hangs it may not even end
            os.kill(pid, signal.SIGKILL)
            tell(f'cache folder, queue or what the conf names did not answer within {LOOK_SECONDS:g} s; is a disk '
                 'or a mount hung?')
            return False
        time.sleep(0.02)
    return ended[1] == 0


def _is_refused(settings, conf, once, tell):
    try:
        drop_privileges(settings.user)
        os.umask(0o077)
        logger = get_logger(conf, log_route='start')
    except (OSError, ValueError) as error:
        tell(told_to(settings.user, error))
        return True
    refused = False
    for trouble in troubles(settings, conf, logger):
        passes = trouble.passes and not once
        text = trouble.text + ('; it is started all the same, and tried again and again' if passes else '')
        tell(text)
        logger.error('%s', text)
        refused = refused or not passes
    return refused


def troubles(settings: SidecarSettings, conf: dict, logger) -> Iterator[Trouble]:
    """Give each trouble that this process's user would meet as the daemon."""
    try:
        config_fallocate_value(conf.get('fallocate_reserve', '1%'))
    except ValueError as error:
        yield Trouble(f'[sidecar] {error}')
    of_cache = list(_of_cache(settings)) if settings.prefetcher.enabled else []
    yield from of_cache
    # a trouble with the folder of both is told once
    if _uses_queue(settings) and not (of_cache and _is_beside(settings)):
        yield from _of_queue(settings)
    if _uses_queue(settings):
        yield from _of_client(settings, logger)
    if settings.syncer.enabled:
        yield from of_syncer(settings)
    if settings.status.enabled:
        yield from _of_status(settings.status)


def _of_cache(settings):
    place = settings.sidecar.cache_dir
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            Store.create(place, queue_path(settings).name).lock().close()
            return
        except Unavailable as error:
            why, number = str(error), getattr(error.__cause__, 'errno', None)
            if not isinstance(error, InUse) or time.monotonic() > until:
                break
        time.sleep(0.1)
    yield Trouble(f'[sidecar] cache_dir = {place}: {why}{hint(number, settings.user)}', number in PASSING)


def _of_queue(settings):
    path, key = queue_path(settings), f'[sidecar] queue = {settings.sidecar.queue}: '
    why = _wrong_place(path, settings.user)
    if why:
        yield Trouble(key + why)
        return
    try:
        with closing(open_queue(settings.sidecar.queue, wait=QUEUE_SECONDS)) as queue:
            queue.depth()
    except QueueError as error:
        # locked, on a bad disk, or to be set aside
        yield Trouble(key + str(error), passes=True)


def _wrong_place(path, user):
    """Tell in words why there can be no queue of ours; '' where there can."""
    folder = path.parent
    try:
        if not stat.S_ISDIR(os.stat(folder).st_mode):
            return f'{folder} is no folder'
    except FileNotFoundError:
        return f'there is no folder {folder}; make it with: install -d -o {user} -m 0700 {folder}'
    except OSError as error:
        return told_to(user, error)
    if not os.access(folder, os.W_OK | os.X_OK):
        return f'the user {user} cannot write to {folder}; give it to that user, with mode 0700'
    for name in (f'{path}{suffix}' for suffix in QUEUE_FILES):
        if os.path.lexists(name) and not _is_file(name):
            return f'{name} must be a file of its own, not a folder or a link; move it away'
        if os.path.lexists(name) and not os.access(name, os.R_OK | os.W_OK):
            return f'the user {user} cannot write to {name}; give it to that user with: chown {user} {name}'
    return ''


def _is_file(path):
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _of_client(settings, logger):
    try:
        shared = with_proxys_servers(settings, logger)
        make_client(shared)
        token_ring(shared, logger)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever Swift and PasteDeploy make of the conf
        yield Trouble(f'[pipeline:main] Swift refuses what is in the conf or in {settings.sidecar.swift_dir}: '
                      f'{told_to(settings.user, error)}')


def _of_status(status):
    family = socket.AF_INET6 if ':' in status.bind_ip else socket.AF_INET
    with socket.socket(family) as probe:
        # as the server itself, which takes over a port whose connections are closing
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((status.bind_ip, status.bind_port))
            probe.listen()
        except OSError as error:
            yield Trouble(f'[status] bind_ip = {status.bind_ip}, bind_port = {status.bind_port}: there is no '
                          f'status page: {error.strerror}', error.errno in PASSING)

"""Check a lab's needs before it is put up: its folder, installed programs, free ports.

Each error names its remedy.
"""
import errno
import os
import re
import shutil
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom

from .spec import HOST, LabError, LabLayout

SOCKET_PATH_BYTES = 107
# the longest path on which a program of a lab opens a Unix socket is the queue's with this at its end
SOCKET_SUFFIX = '.wake'
# not on every user's path
DAEMON_FOLDERS = ('/usr/sbin', '/usr/local/sbin')
# other characters mean something in one of the conf files
PATH = re.compile(r'[\w./+@=,~-]+')

# names in a lab that was killed before it had its spec
OWN = re.compile(r'lock|etc|bin|run|logs|cache|node\d+|lab\.json(\.new)?|lost\+found')
# bounds of the ports
LOWEST, HIGHEST = 10000, 61000
TRIES = 1000


def check_folder(layout: LabLayout) -> None:
    """Make the folder, and check that Swift can work in it. :raises LabError: if it cannot"""
    folder = layout.folder
    if not PATH.fullmatch(str(folder)):
        raise LabError(f'{folder}: the path may hold letters, digits and . _ - + = , @ ~ only; '
                       'choose another folder')
    excess = len(os.fsencode(layout.queue)) + len(SOCKET_SUFFIX) - SOCKET_PATH_BYTES
    if excess > 0:
        raise LabError(f'{folder}: the path is too long for Unix sockets in it; choose a folder '
                       f'whose path is shorter by at least {excess} bytes')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_attributes(folder)
        _refuse_others(layout)
    except OSError as error:
        raise LabError(f'{folder} cannot be used: {error.strerror}; choose a folder that you can write to') \
            from error


def _refuse_others(layout):
    """Refuse a folder with other things: a lab would write over a system's `etc` and `bin`, say."""
    if layout.spec.exists():
        return
    for name in sorted(os.listdir(layout.folder)):
        if not OWN.fullmatch(name):
            raise LabError(f'{layout.folder} holds other things than a lab, such as {name!r}; choose an empty '
                           'folder')


def _check_attributes(folder):
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        try:
            os.setxattr(file.name, 'user.swiftahead', b'lab')
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            raise LabError(f'the file system of {folder} takes no user extended attributes, in which Swift '
                           'keeps metadata; choose a folder on ext4, xfs or btrfs') from error


def tool(name: str) -> str:
    """Find the path of an installed program, in the folders of daemons too.

    :raises LabError: where it is not installed
    """
    path = os.pathsep.join([os.environ.get('PATH', os.defpath), *DAEMON_FOLDERS])
    found = shutil.which(name, path=path)
    if not found:
        raise LabError(f'{name} is not installed; install it with: {_installer()} {name}')
    return str(Path(found).absolute())


def _installer():
    for program, command in (('apt-get', 'install'), ('dnf', 'install'), ('zypper', 'install'),
                             ('apk', 'add'), ('pacman', '-S')):
        if shutil.which(program):
            return f'sudo {program} {command}'
    return 'sudo apt-get install'


# -- free ports on loopback --------------------------------------------------------------------------------

class Reservation(ExitStack):
    """Ports that nobody else can take while this is open.

    Swift's servers listen with SO_REUSEPORT: two of them on one port is no error, and each gets half of the
    requests. So a port is first bound alone, which fails if anyone has it, and then opened to the servers.
    """

    def take(self, wanted: int | None = None) -> int:
        """Hold `wanted` if it is free, else any port that is.

        A port is not free for a minute after a server with connections has ended.
        """
        for port in ([wanted] if wanted else []) + _some_ports():
            if self._hold(port):
                return port
        raise LabError(f'no free port found on {HOST} between {LOWEST} and {HIGHEST}')

    def _hold(self, port):
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            holder.bind((HOST, port))
        except OSError:
            holder.close()
            return False
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            holder.setsockopt(socket.SOL_SOCKET, option, 1)
        self.enter_context(holder)
        return True


def _some_ports():
    """Draw ports below the outgoing ones: a connection could get a stopped server's port among those."""
    system = SystemRandom()
    highest = _first_outgoing()
    if highest - LOWEST < TRIES:
        highest = HIGHEST
    return system.sample(range(LOWEST, highest), TRIES)


def _first_outgoing():
    try:
        return int(Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    except (OSError, ValueError):
        return HIGHEST


def is_open(port: int) -> bool:
    """Tell whether any program listens on the port."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True

"""Looking at the processes of a lab from outside."""
import os
import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path

from helpers.lab import clients


def _stat(pid):
    """(state, parent's pid)"""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return fields[0], int(fields[1])


def children(pid: int) -> set[int]:
    """Of those that run."""
    found = set()
    for entry in os.listdir('/proc'):
        try:
            if entry.isdigit() and _stat(entry)[1] == pid and _stat(entry)[0] not in 'ZX':
                found.add(int(entry))
        except OSError:
            continue
    return found


def is_running(pid: int) -> bool:
    try:
        return _stat(pid)[0] not in 'ZX'
    except OSError:
        return False


def workers(lab, name: str = 'proxy1') -> set[int]:
    pid = lab.pid(name)
    return children(pid) if pid else set()


def all_workers(lab, count: int, name: str = 'proxy1') -> set[int]:
    """Once there are so many: a program answers as soon as its first one does."""
    return clients.until(lambda: len(found := workers(lab, name)) == count and found,
                         f'{name} has {count} workers')


@contextmanager
def hung(lab, *names: str):
    """Programs of the lab and their children, each of them stopped before the block begins."""
    pids = []
    for name in names:
        # the parent first, which then makes no more
        for of in (lambda pid: {pid}, children):
            for pid in of(lab.pid(name)):
                os.kill(pid, signal.SIGSTOP)
                pids.append(pid)
    try:
        for pid in pids:
            while _stat(pid)[0] != 'T':
                time.sleep(0.001)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def descriptors(pid: int) -> list[str]:
    """What each file descriptor points to: a path, or such as ``socket:[1234]``."""
    found = []
    for entry in os.listdir(f'/proc/{pid}/fd'):
        try:
            found.append(os.readlink(f'/proc/{pid}/fd/{entry}'))
        except OSError:
            continue
    return found


def sockets(pid: int) -> set[int]:
    """Inodes."""
    return {int(target[8:-1]) for target in descriptors(pid) if target.startswith('socket:[')}


def _connections():
    """(own port, the other's port, inode) of each socket of IPv4; the inode is 0 before it is accepted."""
    for line in Path('/proc/net/tcp').read_text().splitlines()[1:]:
        row = line.split()
        yield *(int(row[number].partition(':')[2], 16) for number in (1, 2)), int(row[9])


def listening(port: int) -> set[int]:
    """Inodes of the sockets that listen on a port."""
    return {inode for own, other, inode in _connections() if (own, other) == (port, 0)}


def connected_to(port: int) -> set[int]:
    """Inodes of the clients' ends of connections to a port."""
    return {inode for _, other, inode in _connections() if other == port}


def below(folder, pid: int) -> list[str]:
    """What a process has open, or mapped into its memory, below a folder."""
    mapped = re.findall(r'\s(/.*)', Path(f'/proc/{pid}/maps').read_text())
    return [path for path in descriptors(pid) + mapped if path.startswith(f'{folder}/')]


def resident(pid: int) -> int:
    """Bytes of memory that a process takes."""
    return int(re.search(r'VmRSS:\s+(\d+)', Path(f'/proc/{pid}/status').read_text())[1]) * 1024


def connected(port: int, client_port: int) -> int:
    """Inode of the server's end of a connection to `port`; 0 before it is accepted."""
    return next((inode for own, other, inode in _connections() if (own, other) == (port, client_port)), 0)

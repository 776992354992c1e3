"""Find out whether Swift's own container-sync runs on this node: both would move the same sync points."""
import configparser
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path

from swift.common.utils import readconf

from ...conf import SYNCER

PROGRAM = 'swift-container-sync'
SECTION = 'container-sync'
# where its conf names no other folder; the same as ours
DEVICES = SYNCER.option('devices').default
PROC = Path('/proc')


def running_on(devices: str) -> int | None:
    """Give the id of a process of upstream's container-sync that works on these devices; None where there is none.

    A process whose conf this user cannot read counts as one with upstream's default.

    :param devices: folder above the disks
    """
    wanted = os.path.realpath(devices)
    return next((pid for pid, conf in _daemons() if os.path.realpath(_devices(conf)) == wanted), None)


def _daemons() -> Iterator[tuple[int, str]]:
    """Give id and path of the conf of each process that runs the program."""
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / 'cmdline').read_bytes().rstrip(b'\0').split(b'\0')
        except OSError:
            # it has ended meanwhile
            continue
        if conf := _conf([os.fsdecode(word) for word in words]):
            yield int(folder.name), _absolute(folder, conf)


def _conf(words: list[str]) -> str:
    """Give the first argument that is no option, of the program; '' where it is another program."""
    if os.path.basename(words[0]).startswith('python'):
        # the script's name follows the interpreter's options
        words = list(dropwhile(lambda word: word.startswith('-'), words[1:])) or words
    if os.path.basename(words[0]) != PROGRAM:
        return ''
    return next((word for word in words[1:] if not word.startswith('-')), '')


def _absolute(process: Path, conf: str) -> str:
    """Complete a path by the folder that the process works in, or was started in: Swift's daemons leave it."""
    for folder in (_working_folder, _first_folder):
        # of another user's process the folders may be hidden
        with suppress(OSError):
            path = os.path.join(folder(process), conf)
            if os.path.exists(path):
                return path
    return ''


def _working_folder(process):
    return os.readlink(process / 'cwd')


def _first_folder(process):
    variables = (process / 'environ').read_bytes().split(b'\0')
    return os.fsdecode(next((one[4:] for one in variables if one.startswith(b'PWD=')), b''))


def _devices(conf: str) -> str:
    """Read the folder above the disks from upstream's conf."""
    try:
        return readconf(conf, SECTION).get('devices', DEVICES)
    except (OSError, ValueError, configparser.Error):
        return DEVICES

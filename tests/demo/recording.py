"""Record in which order, and at which intervals, a real program opens files: Python importing its library."""
import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from .tracefile import TraceRead

# what a program of some size pulls in; what a Python version does not have is passed over
MODULES = (
    'asyncio', 'argparse', 'logging.config', 'logging.handlers', 'json.tool', 'http.server',
    'http.cookiejar', 'urllib.robotparser', 'email.mime.multipart', 'email.mime.text', 'email.policy',
    'mailbox', 'smtplib', 'imaplib', 'poplib', 'ftplib', 'xmlrpc.server', 'xml.dom.minidom',
    'xml.etree.ElementTree', 'xml.sax.expatreader', 'sqlite3', 'dbm.dumb', 'shelve', 'csv', 'configparser',
    'plistlib', 'multiprocessing.pool', 'multiprocessing.managers', 'multiprocessing.shared_memory',
    'concurrent.futures.process', 'concurrent.futures.thread', 'unittest.mock', 'unittest.async_case',
    'doctest', 'pydoc', 'pdb', 'cProfile', 'trace', 'timeit', 'tracemalloc', 'zipfile', 'tarfile', 'gzip',
    'bz2', 'lzma', 'shutil', 'tempfile', 'glob', 'fileinput', 'filecmp', 'difflib', 'decimal', 'fractions',
    'statistics', 'random', 'datetime', 'calendar', 'zoneinfo', 'locale', 'gettext', 'string', 'textwrap',
    'pprint', 'reprlib', 'dataclasses', 'enum', 'typing', 'graphlib', 'ctypes.util', 'importlib.metadata',
    'importlib.resources', 'pkgutil', 'zipimport', 'zipapp', 'runpy', 'venv', 'ensurepip', 'compileall',
    'pickletools', 'copy', 'weakref', 'sched', 'queue', 'selectors', 'socketserver', 'ssl', 'ipaddress',
    'uuid', 'secrets', 'hmac', 'hashlib', 'wsgiref.simple_server', 'wsgiref.validate', 'html.parser',
    'webbrowser', 'curses.ascii', 'code', 'codeop', 'cmd', 'shlex', 'getopt', 'optparse', 'symtable',
    'tabnanny', 'pyclbr', 'dis', 'ast', 'inspect', 'tokenize', 'stringprep', 'netrc', 'mimetypes',
    'colorsys', 'wave', 'turtledemo',
)
# all the modules of these too, as test runners and freezers do
PACKAGES = ('asyncio', 'email', 'unittest', 'multiprocessing', 'concurrent', 'importlib', 'json', 'logging',
            'urllib', 'http', 'wsgiref', 'xml', 'xmlrpc', 'sqlite3', 'ctypes', 'encodings', 'dbm')

# runs in a Python of its own; opens are noted by the interpreter itself
PROGRAM = """
import sys, time
opened = []
sys.addaudithook(lambda event, args: event == 'open' and opened.append((time.monotonic(), args[0])))
begin = time.monotonic()
import importlib, json, pkgutil
modules, packages, log = json.load(sys.stdin)

def load(name):
    try:
        return importlib.import_module(name)
    except (ImportError, SystemExit, OSError, AttributeError, RuntimeError):
        return None

for name in modules:
    load(name)
for name in packages:
    package = load(name)
    for found in pkgutil.walk_packages(package.__path__, name + '.') if package else ():
        if not found.name.endswith('__main__') and '.test' not in found.name:
            load(found.name)
with open(log, 'w') as file:
    json.dump([(at - begin, path) for at, path in opened if isinstance(path, str)], file)
"""


def record(folder: Path, limit: int) -> list[TraceRead]:
    """The first `limit` reads of library files, by path relative to the library.

    :param folder: an empty one, for the child's log and as its place of compiled files
    """
    log = folder / 'opened.json'
    # -I: no user's packages; -B and the empty prefix: sources are opened, not what was compiled from them
    subprocess.run(
        [sys.executable, '-I', '-B', '-X', f'pycache_prefix={folder / "compiled"}', '-c', PROGRAM],
        input=json.dumps([MODULES, PACKAGES, str(log)]), text=True, check=True, timeout=120,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    return reads_of(json.loads(log.read_text()), library(), limit)


def library() -> Path:
    return Path(sysconfig.get_path('stdlib')).resolve()


def reads_of(opened: list[tuple[float, str]], root: Path, limit: int) -> list[TraceRead]:
    """Of all that was opened, the library's own source files; offsets from the first of them."""
    reads: list[TraceRead] = []
    begin = None
    for offset, name in opened:
        path = Path(name).resolve()
        if not path.is_relative_to(root) or 'site-packages' in path.parts:
            continue
        if path.suffix == '.py' and path.is_file():
            begin = offset if begin is None else begin
            relative = path.relative_to(root).as_posix()
            reads.append(TraceRead(offset - begin, '', relative, path.stat().st_size))
    return reads[:limit]


def record_here(limit: int) -> list[TraceRead]:
    with tempfile.TemporaryDirectory(prefix='swiftahead-record-') as folder:
        return record(Path(folder), limit)

"""The top level is the architecture: a new room must be known to packaging, import rules and coverage."""
import ast
import importlib
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it on 3.10

ROOT = Path(__file__).parents[2]
ROOMS = {path.parent.name for path in ROOT.glob('*/__init__.py')}


def pyproject():
    return tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']


def packaged_rooms(name='ROOMS'):
    """ROOMS, or another tuple, as setup.py assigns it, read without running setup()."""
    for node in ast.parse((ROOT / 'setup.py').read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return set(ast.literal_eval(node.value))
    raise AssertionError(f'setup.py has no {name}')


def test_every_room_is_packaged():
    assert packaged_rooms() == ROOMS


def test_every_room_within_a_room_is_packaged():
    inner = {str(path.parent.relative_to(ROOT)) for room in ROOMS for path in ROOT.glob(f'{room}/*/__init__.py')}
    assert packaged_rooms('INNER') == inner


def test_every_room_is_under_the_import_rules():
    roots = set(pyproject()['importlinter']['root_packages'])
    assert roots - {'swift'} == {f'swiftahead.{room}' for room in ROOMS}


def test_every_room_counts_in_coverage():
    assert set(pyproject()['coverage']['run']['source_dirs']) == ROOMS


def test_every_room_is_type_checked():
    assert set(pyproject()['pyright']['include']) == ROOMS


@pytest.mark.parametrize('room', sorted(ROOMS))
def test_every_room_is_told_to_newcomers(room):
    assert f'\n``{room}``  ' in (ROOT / 'doc' / 'architecture.rst').read_text()


@pytest.mark.parametrize('room', sorted(ROOMS))
def test_room_has_no_bare_name(room):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(room)


@pytest.mark.parametrize('room', sorted(ROOMS))
def test_room_is_importable_in_the_namespace(room):
    assert importlib.import_module(f'swiftahead.{room}').__name__ == f'swiftahead.{room}'

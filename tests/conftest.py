"""How much Hypothesis tries: the same few cases in each run, many new ones with ``--hypothesis-profile soak``."""
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

settings.register_profile('quick', deadline=None, derandomize=True, database=None, max_examples=100)
# what has failed once is tried first the next time
settings.register_profile('soak', deadline=None, derandomize=False, max_examples=2000, print_blob=True,
                          database=DirectoryBasedExampleDatabase('.hypothesis/examples'))
settings.load_profile('quick')


def pytest_addoption(parser):
    parser.addoption('--holds', metavar='F5',
                     help='only tests that hold this attack, fault or point of container sync; doc/promises.rst')


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption('--holds')
    if wanted:
        kept = [item for item in items if any(wanted in mark.args for mark in item.iter_markers('holds'))]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

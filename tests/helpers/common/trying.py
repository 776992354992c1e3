"""How many cases a test with Hypothesis tries, by the profile that `conftest` has."""
from hypothesis import settings


def tries(examples: int, **more) -> settings:
    """:param examples: of a quick run; a long one has as many times more as its profile has"""
    return settings(max_examples=max(1, examples * settings().max_examples // 100), **more)

"""Option tables: the options of each program, read and checked in one place."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class ConfError(ValueError):
    """A conf that cannot be used; the message names section, key, value and rule."""


class Settings(SimpleNamespace):
    """The values of one table, one attribute per option; read-only by custom."""


REQUIRED = object()


@dataclass(frozen=True)
class Option:
    """One option: `cast` takes the text of the conf file, `default` is such a text too (None: no value)."""
    name: str
    cast: Callable[[str], Any]
    default: Any
    meaning: str

    def read(self, section: str, given: str | None):
        if given is None:
            if self.default is REQUIRED:
                raise ConfError(f'[{section}] {self.name} is missing: {self.meaning}')
            return None if self.default is None else self.cast(self.default)
        try:
            return self.cast(given)
        except ValueError as error:
            raise ConfError(f'[{section}] {self.name} = {given}: {error}') from None

    def understood(self, value: Any, otherwise: Any):
        """The value that another program wrote into a file; `otherwise` where the option cannot have it."""
        try:
            return self.cast(str(value))
        except ValueError:
            return otherwise


@dataclass(frozen=True)
class Table:
    """The options of one section.

    :param foreign: keys that other code reads from the same section
    :param checked: foreign keys whose wrong values would be reported later, without the key, or never
    :param elsewhere: where an option stands that a user may look for in this section
    """
    section: str
    options: tuple[Option, ...]
    foreign: tuple[str, ...] = ()
    checked: tuple[Option, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def read(self, conf: Mapping[str, str], inherited: Mapping[str, str] | None = None) -> Settings:
        """Settings from a section's `conf`.

        :param conf: the section's own keys; an unknown one is an error
        :param inherited: keys of [DEFAULT], which are for other sections too: used, but never refused
        :raises ConfError: naming section, key, value and rule
        """
        known = {option.name for option in self.options}
        for key in conf:
            if key not in known and not self._is_foreign(key) and key not in (inherited or {}):
                raise ConfError(f'[{self.section}] {key} = {conf[key]}: no such option {self._hint(key)}')
        for option in self.checked:
            option.read(self.section, conf.get(option.name))
        merged = {**(inherited or {}), **conf}
        return Settings(**{option.name: option.read(self.section, merged.get(option.name))
                           for option in self.options})

    def _hint(self, key):
        if key in self.elsewhere:
            return f'here: it is said in {self.elsewhere[key]}'
        return f'(there are: {", ".join(sorted(option.name for option in self.options))})'

    def _is_foreign(self, key: str) -> bool:
        return any(key == name or (name.endswith('*') and key.startswith(name[:-1]))
                   for name in self.foreign)

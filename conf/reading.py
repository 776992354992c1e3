"""Read and check the options of a section: how an option is declared, and the table of a section."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, TypeVar


class ConfError(ValueError):
    """A conf that cannot be used; the message names section, key, value and rule."""


REQUIRED = object()
OPTION = 'option'
Value = TypeVar('Value')
# a frozen dataclass with one field for each option of a section
Section = TypeVar('Section')


@dataclass(frozen=True)
class Option:
    """One option: `cast` takes the text of the conf file, `default` is such a text too (None: no value)."""
    name: str
    cast: Callable[[str], Any]
    default: Any
    meaning: str

    def read(self, section: str, given: str | None) -> Any:
        if given is None:
            if self.default is REQUIRED:
                raise ConfError(f'[{section}] {self.name} is missing: {self.meaning}')
            return None if self.default is None else self.cast(self.default)
        try:
            return self.cast(given)
        except ValueError as error:
            raise ConfError(f'[{section}] {self.name} = {given}: {error}') from None

    def understood(self, value: Any, otherwise: Any) -> Any:
        """Read a value that another program wrote into a file; `otherwise` where the option cannot have it."""
        try:
            return self.cast(str(value))
        except ValueError:
            return otherwise


def option(cast: Callable[[str], Value], default: Any, meaning: str) -> Value:
    """Declare a field of a section's dataclass as the option of the field's name."""
    return field(metadata={OPTION: Option('', cast, default, meaning)})


@dataclass(frozen=True)
class Table(Generic[Section]):
    """The options of one section.

    :param kind: class of the section's values; `option` declares those fields of it that are options
    :param foreign: keys that other code reads from the same section
    :param checked: foreign keys whose wrong values would be reported later, without the key, or never
    :param elsewhere: option that a user may look for in this section -> place where it stands
    """
    section: str
    kind: type[Section]
    foreign: tuple[str, ...] = ()
    checked: tuple[Option, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> tuple[Option, ...]:
        given: Any = self.kind
        return tuple(replace(one.metadata[OPTION], name=one.name)
                     for one in fields(given) if OPTION in one.metadata)

    def option(self, name: str) -> Option:
        return next(option for option in self.options if option.name == name)

    def read(self, conf: Mapping[str, str], inherited: Mapping[str, str] | None = None,
             without: tuple[str, ...] = ()) -> Section:
        """Read the values of a section's `conf`.

        :param conf: the section's own keys; an unknown one is an error
        :param inherited: keys of [DEFAULT], which are for other sections too: used, but never refused
        :param without: options of texts that `conf` need not have: '' then
        :raises ConfError: naming section, key, value and rule
        """
        known = {option.name for option in self.options}
        for key in conf:
            if key not in known and not self._is_foreign(key) and key not in (inherited or {}):
                raise ConfError(f'[{self.section}] {key} = {conf[key]}: no such option {self._hint(key)}')
        for option in self.checked:
            option.read(self.section, conf.get(option.name))
        merged = {**(inherited or {}), **conf}
        return self.kind(**{option.name: '' if option.name in without and option.name not in merged
                            else option.read(self.section, merged.get(option.name)) for option in self.options})

    def _hint(self, key):
        if key in self.elsewhere:
            return f'here: it is said in {self.elsewhere[key]}'
        return f'(there are: {", ".join(sorted(option.name for option in self.options))})'

    def _is_foreign(self, key: str) -> bool:
        return any(key == name or (name.endswith('*') and key.startswith(name[:-1]))
                   for name in self.foreign)

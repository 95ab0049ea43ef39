# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values against an entry of an argument specification, with an example in each message. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator, Mapping

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import AnsibleValidationError, ArgumentTypeError, ElementError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._near_miss import suggestion

Entry = Mapping[str, t.Any]

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a dict",
    "path": "a path",
    "str": "a text",
}
_EXAMPLES: dict[str, t.Any] = {"int": 20, "float": 1.5, "bool": True, "path": "/path/to/file", "str": "text"}
# Keys of an entry that say something about what is below it.
_NESTED = frozenset({
    "options", "apply_defaults", "mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by",
})  # fmt: skip
_MANY = 60  # characters of a value in a message


class Checked(t.NamedTuple):
    """A value as the entry's type has it, and what is wrong with it. The value is None when something is."""

    value: t.Any
    findings: list[str]


def checked(name: str, value: object, entry: Entry) -> Checked:
    """Checks the `value` of an option against its entry of an argument specification, nested options included.

    `name`: the option, or its path below a variable (`platform_canary.steps`). Values that were given with `-e x=20` are texts; where the
    type is a number, the text is accepted.
    """
    last = name.rsplit(".", 1)[-1]
    shallow = {key: item for key, item in entry.items() if key not in _NESTED}
    result = ArgumentSpecValidator({last: shallow}).validate({last: value})
    found = [_told(name, value, entry, error) for error in result.errors]
    options: Mapping[str, Entry] | None = entry.get("options")
    if not found and options:
        found = list(_nested(name, result.validated_parameters[last], options))
    if not found:
        result = ArgumentSpecValidator({last: dict(entry)}).validate({last: value})
        found = [f"{name}: {error.msg}" for error in result.errors]
    return Checked(None, found) if found else Checked(result.validated_parameters[last], [])


def _nested(name: str, value: object, options: Mapping[str, Entry]) -> Iterator[str]:
    """Findings below a dict or a list of dicts."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nested(f"{name}[{index}]", item, options)
        return
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if key not in options:
            yield f"{name}.{key}: there is no such option{suggestion(str(key), options)}"
        elif item is not None:
            yield from checked(f"{name}.{key}", item, options[key]).findings
    for key, option in options.items():
        if option.get("required") and key not in value:
            yield f"{name}.{key}: is not given; expected for example {text_of(example(option))}"


def _told(name: str, value: object, entry: Entry, error: AnsibleValidationError) -> str:
    if isinstance(error, (ArgumentTypeError, ElementError)):
        seen = "" if entry.get("no_log") else f"{short(value)} is "
        return f"{name}: {seen}not {kind(entry)}; expected for example {text_of(example(entry))}"
    # Ansible's messages name the option itself.
    return f"{name}: {error.msg}" if "." in name else str(error.msg)


def kind(entry: Entry) -> str:
    """The type of an entry in words: `a list of whole numbers`."""
    name = str(entry.get("type") or "str")
    elements = entry.get("elements")
    if name == "list" and elements:
        return f"a list of {_WORDS.get(str(elements), str(elements)).split(' ', 1)[-1]}s"
    return _WORDS.get(name, name)


def example(entry: Entry) -> t.Any:
    """A valid value: the entry's own example or default, else one made of its type, choices and nested options."""
    if "example" in entry:
        return entry["example"]
    default = entry.get("default")
    if default and "{{" not in str(default):
        return default
    if entry.get("choices"):
        first = next(iter(entry["choices"]))
        return [first] if entry.get("type") == "list" else first
    return _made(str(entry.get("type") or "str"), entry)


def _made(name: str, entry: Entry) -> t.Any:
    if name == "list":
        return [_made(str(entry.get("elements") or "str"), entry)]
    if name != "dict":
        return _EXAMPLES.get(name, "text")
    options: Mapping[str, Entry] = entry.get("options") or {}
    required = [key for key, option in options.items() if option.get("required")]
    return {key: example(options[key]) for key in required or list(options)[:2]} or {"key": "value"}


def text_of(value: object) -> str:
    """A value as people give it: JSON, which YAML and `-e` accept; a text without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def short(value: object) -> str:
    """A value in a message, cut when it is long."""
    text = repr(value)
    return text if len(text) <= _MANY else f"{text[:_MANY]}..."

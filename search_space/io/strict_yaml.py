"""YAML as data: safe, and strict where PyYAML is silent.

PyYAML keeps the last of two equal keys, reads ``no`` as False and ``1e-3`` as a string, and recurses as deep as
the input says. Here a duplicate key, a tag, an alias, deep nesting or a huge file is an error in one line.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from search_space.errors import InputError

MAX_BYTES = 500_000  # seconds to parse, whatever is in it
MAX_DEPTH = 40


class _Loader(yaml.SafeLoader):
    """SafeLoader without duplicate keys, aliases or deep nesting, and with YAML 1.2 numbers and booleans."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not allowed", problem_mark=self.peek_event().start_mark
            )
        event = self.peek_event()
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem=f"tags ({event.tag}) are not allowed", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float):
                raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"duplicate key {key!r}", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(text: str, source: str) -> Any:
    """Parse one YAML document into plain dicts, lists, strings, numbers, booleans and None.

    Args:
        text: The document.
        source: The file's name, for the error.

    Raises:
        InputError: Not YAML, or not plain data (tags, aliases, duplicate keys, nesting, size).
    """
    if len(text) > MAX_BYTES:
        raise InputError(f"{source}: {len(text):,} characters, at most {MAX_BYTES:,} are allowed")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}, line {mark.line + 1}" if mark else source
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        raise InputError(f"{where}: {problem}".replace("\n", " ")) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not YAML: {error}") from None


class _Dumper(yaml.SafeDumper):
    """Block style for the document, flow style for the innermost collections: one line a stage."""

    def serialize(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.CollectionNode):
            node.flow_style = False
        super().serialize(node)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in [
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("bool", r"^(?:true|false)$", ["t", "f"]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),  # PyYAML would read 012 as octal
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
]:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
    # What would be read as a number, such as the text 12e4, is written in quotes.
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def dump(value: Any) -> str:
    """Plain data as YAML text in the order given, innermost lists and mappings on one line."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True
    )
    return text

"""YAML that a user wrote, read so that nothing in it takes long, takes much memory, or means something unseen.

A text has a largest size, depth and number of values, those that aliases repeat included. Dates and numbers to the base
60, which YAML 1.1 sees in `2024-01-01` and `1:30`, are texts: no setting is one.
"""

from typing import Any

import yaml

from fer_models.errors import UserError

#: Characters of a text, and of a value in it.
MOST_SIGNS, MOST_OF_A_VALUE = 200_000, 10_000
#: Values in a text with those that aliases repeat, and lists or groups within each other.
_MOST_VALUES = 5_000
_MOST_LEVELS = 30
#: The types that settings have; others of PyYAML would be guessed at (dates) or lose their order (sets).
_TYPES = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null"))
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


def read_yaml(text: str, name: str) -> Any:
    """What a YAML text holds, in plain Python types.

    Args:
        name: of the text, as the beginning of a message.

    Raises:
        UserError: it is not valid, too large, or names a key twice; the message has the line where there are several.
    """
    if len(text) > MOST_SIGNS:
        raise UserError(f"{name} has more than {MOST_SIGNS:,} characters, which no settings have.")
    try:
        loader = _Loader(text)  # which looks at its first signs
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark and "\n" in text.strip() else ""
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        hint = "; use single quotes, in which \\ means itself" if "escape" in why else ""
        raise UserError(f"{name} is not valid YAML{where}: {why[:200].rstrip('.')}{hint}.") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with limits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._num_values = self._level = 0
        #: Values that a node with an anchor stands for, once it is complete.
        self._weights: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As PyYAML's, but that it counts."""
        mark = self.peek_event().start_mark
        before, is_alias = self._num_values, self.check_event(yaml.AliasEvent)
        self._level += 1
        if self._level > _MOST_LEVELS:
            raise yaml.composer.ComposerError(problem="lists or groups stand too deep in each other", problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._level -= 1
        if is_alias and id(node) not in self._weights:
            raise yaml.composer.ComposerError(problem="a value holds itself", problem_mark=mark)
        self._num_values += self._weights[id(node)] if is_alias else 1
        self._weights.setdefault(id(node), self._num_values - before)
        if isinstance(node, yaml.ScalarNode) and len(node.value) > MOST_OF_A_VALUE:
            words = f"a value has more than {MOST_OF_A_VALUE:,} characters"
            raise yaml.composer.ComposerError(problem=words, problem_mark=mark)
        if self._num_values > _MOST_VALUES:
            words = f"it holds more values than settings have ({_MOST_VALUES:,})"
            raise yaml.composer.ComposerError(problem=words, problem_mark=mark)
        return node

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """As PyYAML's, but for what only looks like a date or a number."""
        tag = str(super().resolve(kind, value, implicit))
        is_plain = kind is yaml.ScalarNode and implicit[0] and tag != _MERGE
        return _TEXT if is_plain and (tag not in _TYPES or ":" in value) else tag

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As PyYAML's; a value that is not of its type is an error of the text."""
        try:
            if node.tag not in _TYPES:
                raise ValueError(node.tag)
            return super().construct_object(node, deep)
        except (ValueError, KeyError) as error:  # of PyYAML, for `!!int zz` and `!!bool zz`
            kind = node.tag.rpartition(":")[2]
            words = f"{_shown(node)} is no value of the type {kind[:40]!r}"
            raise yaml.constructor.ConstructorError(problem=words, problem_mark=node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As PyYAML's; of a key that is given twice the last would win unseen."""
        given: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in given:
                    words = f"{key.value[:40]!r} is given twice"
                    raise yaml.constructor.ConstructorError(problem=words, problem_mark=key.start_mark)
                given.add(key.value)
        values: dict[Any, Any] = super().construct_mapping(node, deep)
        return values


def _shown(node: yaml.Node) -> str:
    return repr(node.value[:40]) if isinstance(node, yaml.ScalarNode) else "a list or group"

"""Refuses documents and variables that do not fit the schema, in Shopify's words and with its codes.

graphql-core finds what is wrong; its sentences are turned into those of the recorded answers (undefinedField,
argumentNotAccepted, INVALID_VARIABLE ...). What no recording shows keeps graphql-core's sentence and no code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    print_ast,
    type_from_ast,
    validate,
    visit,
)
from graphql.pyutils import Undefined

_GLOBAL_ID = re.compile(r"gid://shopify/[A-Z]\w*/[^/\s]*\d[^/\s]*")

Error = dict[str, Any]
_Said = tuple[str, dict[str, Any]]

INPUT_MAX = 250
"""Objects in one input array; since API 2020-01 [shopify.dev, input objects limited to 250 items]."""


def document_errors(schema: GraphQLSchema, document: DocumentNode) -> list[Error]:
    """What is wrong with a document; empty for a good one."""
    return [_said(schema, document, error) for error in validate(schema, document)]


def _said(schema: GraphQLSchema, document: DocumentNode, error: GraphQLError) -> Error:
    node = error.nodes[0] if error.nodes else document
    place = _Place(TypeInfo(schema), node)
    visit(document, TypeInfoVisitor(place.types, place))
    message, extensions = _words(error.message, place)
    said: Error = {"message": message, "locations": _locations(error), "path": place.path}
    return said | ({"extensions": extensions} if extensions else {})


def _locations(error: GraphQLError) -> list[dict[str, int]]:
    return [{"line": each.line, "column": each.column} for each in error.locations or []]


class _Place(Visitor):
    """Finds a node in a document: the names on the way to it, and the field and argument that it stands in."""

    def __init__(self, types: TypeInfo, wanted: Node) -> None:
        super().__init__()
        self.types = types
        self.path: list[str] = []
        self.field = ""
        self.argument = ""
        self.expected = ""
        self.text = ""
        self._wanted = wanted
        self._way: list[tuple[Node, str]] = []

    def enter(self, node: Node, *_: object) -> None:
        step = _step(node)
        if step:
            self._way.append((node, step))
        if node is self._wanted:
            self.path = [each for _, each in self._way]
            self.field = next((each for at, each in reversed(self._way) if isinstance(at, FieldNode)), "")
            self.argument = next((each for at, each in reversed(self._way) if isinstance(at, ArgumentNode)), "")
            argument = self.types.get_argument()
            self.expected = str(argument.type) if argument else ""
            value = next((at for at, _ in reversed(self._way) if isinstance(at, ArgumentNode)), None)
            self.text = print_ast(value.value) if isinstance(value, ArgumentNode) else ""

    def leave(self, node: Node, *_: object) -> None:
        if _step(node):
            self._way.pop()


def _step(node: Node) -> str:
    match node:
        case OperationDefinitionNode():
            return f"{node.operation.value} {node.name.value}" if node.name else node.operation.value
        case FragmentDefinitionNode():
            return f"fragment {node.name.value}"
        case InlineFragmentNode():
            return f"... on {node.type_condition.name.value}" if node.type_condition else "..."
        case FragmentSpreadNode():
            return f"... {node.name.value}"
        case FieldNode() | ArgumentNode() | ObjectFieldNode():
            return node.name.value
    return ""


def _words(message: str, place: _Place) -> _Said:
    """Shopify's sentence and extensions for graphql-core's sentence."""
    for pattern, say in _SENTENCES:
        if found := re.match(pattern, message):
            return say(found, place)
    return message, {}


def _undefined_field(found: re.Match[str], _: _Place) -> _Said:
    text = f"Field '{found[1]}' doesn't exist on type '{found[2]}'"
    return text, {"code": "undefinedField", "typeName": found[2], "fieldName": found[1]}


def _directive(found: re.Match[str], _: _Place) -> _Said:
    return f"Directive @{found[1]} is not defined", {"code": "undefinedDirective", "directiveName": found[1]}


def _unused(found: re.Match[str], _: _Place) -> _Said:
    text = f"Variable ${found[1]} is declared by {found[2] or 'anonymous query'} but not used"
    return text, {"code": "variableNotUsed", "variableName": found[1]}


def _undeclared(found: re.Match[str], _: _Place) -> _Said:
    text = f"Variable ${found[1]} is used by {found[2] or 'anonymous query'} but not declared"
    return text, {"code": "variableNotDefined", "variableName": found[1]}


def _missing(found: re.Match[str], _: _Place) -> _Said:
    text = f"Field '{found[1]}' is missing required arguments: {found[2]}"
    more = {"className": "Field", "name": found[1], "arguments": found[2]}
    return text, {"code": "missingRequiredArguments", **more}


def _literal(found: re.Match[str], place: _Place) -> _Said:
    if not place.argument:
        return found.string, {}
    text = (
        f"Argument '{place.argument}' on Field '{place.field}' has an invalid value ({place.text}). "
        f"Expected type '{place.expected}'."
    )
    return text, {"code": "argumentLiteralsIncompatible", "typeName": "Field", "argumentName": place.argument}


def _no_selection(found: re.Match[str], _: _Place) -> _Said:
    kind = found[2].strip("![]")
    text = f"Field must have selections (field '{found[1]}' returns {kind} but has no selections.)"
    return text, {"code": "selectionMismatch", "nodeName": f"field '{found[1]}'", "typeName": kind}


def _mismatch(found: re.Match[str], place: _Place) -> _Said:
    text = f"Type mismatch on variable ${found[1]} and argument {place.argument} ({found[2]} / {found[3]})"
    return text, {"code": "variableMismatch", "variableName": found[1], "typeName": found[2]}


_SENTENCES: tuple[tuple[str, Callable[[re.Match[str], _Place], _Said]], ...] = (
    (r"Cannot query field '(\w+)' on type '(\w+)'", _undefined_field),
    (r"Unknown argument '(\w+)' on field '\w+\.(\w+)", lambda found, _: _not_accepted("Field", found[2], found[1])),
    (
        r"Expected value of type '(\w+)!?' not to include unknown field '(\w+)'",
        lambda found, _: _not_accepted("InputObject", found[1], found[2]),
    ),
    (r"Unknown directive '@(\w+)'", _directive),
    (r"Variable '\$(\w+)' is never used(?: in operation '(\w+)')?", _unused),
    (r"Variable '\$(\w+)' is not defined(?: by operation '(\w+)')?", _undeclared),
    (r"Argument '\w+\.(\w+)\((\w+):\)' of type '\S+' is required", _missing),
    (r"Value '|Expected value|\w+ cannot represent|Enum '", _literal),
    (r"Field '(\w+)' of type '(\S+)' must have a selection", _no_selection),
    (r"Variable '\$(\w+)' of type '(\S+)' used in position expecting type '(\S+)'", _mismatch),
)


def _not_accepted(kind: str, name: str, argument: str) -> _Said:
    text = f"{kind} '{name}' doesn't accept argument '{argument}'"
    more = {"name": name, "typeName": kind, "argumentName": argument}
    return text, {"code": "argumentNotAccepted", **more}


# Variables


def variable_errors(schema: GraphQLSchema, operation: OperationDefinitionNode, given: Mapping[str, Any]) -> list[Error]:
    """What is wrong with the variables; empty for good ones."""
    errors: list[Error] = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        kind = type_from_ast(schema, definition.type)
        if kind is None or (name not in given and definition.default_value is not None):
            continue
        value = given.get(name)
        problems = list(_problems(kind, value, []))
        locations = _start(definition)
        if problems:
            errors.append(_variable_error(name, print_ast(definition.type), value, problems) | {"locations": locations})
        elif (long := _too_long(value)) > INPUT_MAX:
            message = f"The input array size of {long} is greater than the maximum allowed of {INPUT_MAX}."
            errors.append(
                {"message": message, "locations": locations, "extensions": {"code": "MAX_INPUT_SIZE_EXCEEDED"}}
            )
    return errors


def _start(node: Node) -> list[dict[str, int]]:
    return [{"line": node.loc.start_token.line, "column": node.loc.start_token.column}] if node.loc else []


def _variable_error(name: str, kind: str, value: object, problems: list[tuple[list[Any], str]]) -> Error:
    told = [f"{'.'.join(map(str, path))} ({explanation})" for path, explanation in problems if path]
    suffix = f" for {', '.join(told)}" if told else ""
    rows = [{"path": path, "explanation": explanation} for path, explanation in problems]
    return {
        "message": f"Variable ${name} of type {kind} was provided invalid value{suffix}",
        "extensions": {"code": "INVALID_VARIABLE", "value": value, "problems": rows},
    }


def _problems(kind: Any, value: Any, path: list[Any]) -> Iterator[tuple[list[Any], str]]:
    if isinstance(kind, GraphQLNonNull):
        if value is None:
            yield path, "Expected value to not be null"
            return
        kind = kind.of_type
    if value is None:
        return
    if isinstance(kind, GraphQLList):
        for at, each in enumerate(value if isinstance(value, list) else [value]):
            yield from _problems(kind.of_type, each, [*path, at])
    elif isinstance(kind, GraphQLInputObjectType):
        yield from _object_problems(kind, value, path)
    elif isinstance(kind, GraphQLEnumType):
        if value not in kind.values:
            yield path, f'Expected "{value}" to be one of: {", ".join(kind.values)}'
    elif kind.name == "ID" and not (isinstance(value, str) and _GLOBAL_ID.fullmatch(value)):
        yield path, f"Invalid global id '{value}'"
    elif isinstance(kind, GraphQLScalarType) and not _fits(kind, value):
        yield path, f"Could not coerce value {_json(value)} to {kind.name}"


def _object_problems(kind: GraphQLInputObjectType, value: Any, path: list[Any]) -> Iterator[tuple[list[Any], str]]:
    if not isinstance(value, dict):
        yield path, f"Expected {_json(value)} to be an input object"
        return
    for name in value:
        if name not in kind.fields:
            yield [*path, name], f"Field is not defined on {kind.name}"
    for name, field in kind.fields.items():
        if name in value or field.default_value is Undefined:
            yield from _problems(field.type, value.get(name), [*path, name])


def _fits(kind: GraphQLScalarType, value: Any) -> bool:
    try:
        kind.parse_value(value)
    except (GraphQLError, TypeError, ValueError):
        return False
    return True


def _json(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _too_long(value: Any) -> int:
    """The length of the longest array anywhere in a value."""
    if isinstance(value, list):
        return max([len(value), *(_too_long(each) for each in value)])
    if isinstance(value, dict):
        return max((_too_long(each) for each in value.values()), default=0)
    return 0

"""Runs one operation: parsed and validated against the whole schema, paid from the bucket, executed by graphql-core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    get_named_type,
    get_operation_ast,
    parse,
)
from graphql.execution.values import get_directive_values

from vendor_shopify.asking import Ask, Call
from vendor_shopify.cost import QUERY_MAX, Bucket, Costs
from vendor_shopify.errors import NotSimulated, Refused
from vendor_shopify.schema import AdminSchema
from vendor_shopify.validation import document_errors, variable_errors

Json = dict[str, Any]
Roots = Mapping[str, Callable[[Ask], Any]]

_LIMITS = "https://shopify.dev/api/usage/rate-limits"
_SCOPES = "https://shopify.dev/api/usage/access-scopes"
_MISSING = object()


@dataclass(slots=True)
class Operation:
    """A good operation, not run yet. endpoint: what the lab's faults call it."""

    document: DocumentNode
    node: OperationDefinitionNode
    variables: Json
    name: str | None
    costs: Costs

    @property
    def roots(self) -> list[str]:
        """The fields at the top, by name; fragments at the top are not looked into."""
        found = self.node.selection_set.selections
        return [each.name.value for each in found if hasattr(each, "name") and hasattr(each, "arguments")]


@dataclass(slots=True)
class Outcome:
    """An answer. problems: what our own answer does wrong by the schema, or does not simulate."""

    content: Json
    problems: list[str] = field(default_factory=list)


@lru_cache(maxsize=500)
def _document(schema: GraphQLSchema, text: str) -> tuple[DocumentNode, list[Json]]:
    """Parsed and validated; the same text is looked at once, whichever shop is asked."""
    document = parse(text)
    return document, document_errors(schema, document)


class Executor:
    """Executes against one schema with the given root fields."""

    def __init__(self, schema: AdminSchema, queries: Roots, mutations: Roots, bucket: Bucket) -> None:
        self._schema = schema
        self._queries, self._mutations = queries, mutations
        self._bucket = bucket

    def read(self, content: Mapping[str, Any]) -> Operation | Json:
        """An operation from a request's body, or the answer that refuses it."""
        text, variables = content.get("query"), content.get("variables") or {}
        if not isinstance(text, str) or not text.strip():
            return _refused("No query document present.")
        try:
            document, errors = _document(self._schema.graphql, text)
        except GraphQLSyntaxError as error:
            return {"errors": [_syntax(error)]}
        name = content.get("operationName")
        node = get_operation_ast(document, name)
        if errors or node is None:
            return {"errors": errors} if errors else _refused("An operation name is required")
        if not isinstance(variables, dict):
            return _refused("Variables are invalid JSON")
        wrong = variable_errors(self._schema.graphql, node, variables)
        if wrong:
            return {"errors": wrong}
        return Operation(document, node, variables, name, Costs(self._schema, document, node, variables))

    def run(self, operation: Operation, call: Call, now: datetime, endpoint: str) -> Outcome:
        """Runs it if the bucket can pay; the content of the answer."""
        requested = operation.costs.requested()
        if requested > QUERY_MAX:
            return Outcome(_too_dear(requested))
        if not self._bucket.allows(requested, now, endpoint):
            return Outcome(self.throttled(requested, now))
        outcome = self.execute(operation, call)
        mutates = operation.node.operation is OperationType.MUTATION
        actual = operation.costs.actual(outcome.content.get("data"))
        self._bucket.pay(actual)
        outcome.content["extensions"] = {"cost": self._cost(requested, actual, now)} | (
            {"search": call.searches} if call.searches and not mutates else {}
        )
        return outcome

    def execute(self, operation: Operation, call: Call) -> Outcome:
        """Runs it without asking what it costs."""
        roots: Json = (
            dict(self._mutations) if operation.node.operation is OperationType.MUTATION else dict(self._queries)
        )
        result = execute_sync(
            self._schema.graphql,
            operation.document,
            root_value=roots,
            context_value=call,
            variable_values=operation.variables,
            operation_name=operation.name,
            field_resolver=self._resolve,
            type_resolver=_type_of,
        )
        outcome = Outcome({})
        if result.errors:
            outcome.content["errors"] = [self._error(error, outcome.problems) for error in result.errors]
        outcome.content["data"] = result.data
        return outcome

    def _resolve(self, source: Any, info: GraphQLResolveInfo[Any], **args: Any) -> Any:
        kind, name = info.parent_type.name, info.field_name
        call: Call = info.context
        value = source.get(name, _MISSING) if isinstance(source, dict) else _MISSING
        self._permit(call, f"{kind}.{name}", name)
        self._permit(call, get_named_type(info.return_type).name, name)
        if value is _MISSING:
            raise NotSimulated(f"{kind}.{name}")
        if callable(value):
            path = tuple(str(each) for each in info.path.as_list())
            value = value(Ask(args, call, path, self._key(info)))
        return value

    def _permit(self, call: Call, what: str, name: str) -> None:
        need = self._schema.needs.get(what)
        if need is None or need.scopes & call.scopes:
            return
        message = f"Access denied for {name} field. Required access: {need.said}"
        raise Refused(message, "ACCESS_DENIED", documentation=_SCOPES, requiredAccess=need.said)

    def _key(self, info: GraphQLResolveInfo[Any]) -> str | None:
        """The key of @idempotent on a mutation; None where it has none."""
        if info.parent_type is not self._schema.mutation:
            return None
        nodes = info.field_nodes
        directive = self._schema.graphql.get_directive("idempotent")
        assert directive is not None
        found = get_directive_values(directive, nodes[0], info.variable_values)
        return None if found is None else str(found["key"])

    def _error(self, error: GraphQLError, problems: list[str]) -> Json:
        found = error.original_error or error
        if isinstance(found, Refused):
            return dict(error.formatted)
        problems.append(f"{'.'.join(map(str, error.path or []))}: {error.message}")
        return dict(error.formatted) | {"extensions": error.extensions or {"code": "INTERNAL_SERVER_ERROR"}}

    # Cost

    def throttled(self, requested: float, now: datetime, available: float | None = None) -> Json:
        """The answer to a query that the bucket cannot pay: no data. available: what it tells instead of the truth."""
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": _LIMITS}}
        cost = self._cost(requested, None, now)
        if available is not None:
            cost["throttleStatus"]["currentlyAvailable"] = available
        return {"errors": [error], "extensions": {"cost": cost}}

    def _cost(self, requested: float, actual: float | None, now: datetime) -> Json:
        status = self._bucket.status(now).json()
        return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}


def _refused(message: str) -> Json:
    return {"errors": [{"message": message}]}


def _too_dear(cost: int) -> Json:
    message = f"Query cost is {cost}, which exceeds the single query max cost limit ({QUERY_MAX})."
    extensions = {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": QUERY_MAX, "documentation": _LIMITS}
    return {"errors": [{"message": message, "extensions": extensions}]}


def _syntax(error: GraphQLSyntaxError) -> Json:
    where = [{"line": each.line, "column": each.column} for each in error.locations or []]
    return {"message": f"syntax error, {error.message.removeprefix('Syntax Error: ')}", "locations": where}


def _type_of(value: Any, info: GraphQLResolveInfo[Any], abstract: Any) -> str | None:
    name = value.get("__typename") if isinstance(value, dict) else None
    return name if isinstance(info.schema.type_map.get(str(name)), GraphQLObjectType) else None

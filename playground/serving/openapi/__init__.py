"""The service's OpenAPI 3.1 document: what stands beside each handler, and the types that requests are read with."""

from playground.serving.openapi.document import document, undocumented
from playground.serving.openapi.operation import AnyOf, Binary, Operation, operation

__all__ = ["AnyOf", "Binary", "Operation", "document", "operation", "undocumented"]

"""Parameters and fields that a route does not have: refused, with a sentence that lists those it has.

An ignored `?detial=1` or `?stat=failed` would give a right-looking response to another question.
"""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, get_args

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.text import printable

_MOST_SHOWN = 100

#: A day of a form, which sends an empty text for none.
DayOfForm = Annotated[date | None, BeforeValidator(lambda text: text or None)]


class UnknownParameterError(RefusedError):
    """A request with a parameter or a field that its route does not have."""

    http_status = 422


async def _refuse_unknown_parameters(request: Request) -> None:
    if not request.query_params:
        return
    known = list(dict.fromkeys(_parameters(_dependant_of(request))))
    for name in request.query_params:
        if name not in known:
            raise UnknownParameterError(
                "There is no parameter `{name}` at this address.",
                "Its parameters are: {known}." if known else "It has no parameters.",
                name=printable(name[:_MOST_SHOWN]),
                known=", ".join(known),
            )


#: A dependency of routers. It reads each route's own declaration, so no route names its parameters twice.
ONLY_KNOWN_PARAMETERS = [Depends(_refuse_unknown_parameters)]


def unknown_field(request: Request, error: RequestValidationError) -> UnknownParameterError | None:
    """Return the fault of a body with a field that its model does not have; None for other errors."""
    name = next(
        (str(each["loc"][-1]) for each in error.errors() if each["type"] == "extra_forbidden"),
        None,
    )
    if name is None:
        return None
    known = ", ".join(_fields(_dependant_of(request)))
    return UnknownParameterError(
        "There is no field `{name}` in this request.",
        "Its fields are: {known}.",
        name=printable(name[:_MOST_SHOWN]),
        known=known,
    )


def _dependant_of(request: Request) -> Dependant:
    route = request.scope["route"]
    assert isinstance(route, APIRoute)  # noqa: S101 - the class of every route with this dependency
    return route.dependant


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _fields(dependant: Dependant) -> Iterator[str]:
    for field in dependant.body_params:
        yield from _fields_of(field.field_info.annotation)


def _fields_of(annotation: object) -> Iterator[str]:
    """Yield the names of the fields of a model, and of the models that its fields list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, each in annotation.model_fields.items():
            yield each.alias or name
            for inner in get_args(each.annotation):
                yield from _fields_of(inner)

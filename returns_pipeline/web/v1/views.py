"""Named views: lists with their filters that people have saved."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.records.views import View
from returns_pipeline.store import views
from returns_pipeline.web.dependencies import Db, Viewer
from returns_pipeline.web.queries import saved_views
from returns_pipeline.web.queries.saved_views import MOST_NAME, MOST_QUERY, ShownView

router = APIRouter(tags=["views"])

_Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
_Path = Annotated[str, Field(max_length=100, examples=["/search"])]
_Query = Annotated[str, Field(max_length=MOST_QUERY, examples=["q=yesterday+bag"])]
_ViewId = Annotated[int, Path(ge=1, lt=2**31)]


class NamedView(BaseModel):
    """A view: the page `path` with the filters `query`; `address` is both, as this release knows them.

    `unknown` are filters that this release does not know; the address is without them.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    name: str
    owner: str
    shared: bool
    path: str
    query: str
    address: str
    unknown: list[str]
    created_at: datetime

    @classmethod
    def of(cls, found: ShownView) -> "NamedView":
        """Return a view as a person sees it."""
        view = found.view._asdict()
        return cls(**view, address=found.address, unknown=list(found.unknown))


class NamedViews(BaseModel):
    """The views that the caller sees."""

    model_config = ConfigDict(frozen=True)

    views: list[NamedView]


class NewView(BaseModel):
    """A view to save. `overwrite`: it replaces the caller's view of this name."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    path: _Path
    query: _Query = ""
    shared: bool = False
    overwrite: bool = False


class ViewChange(BaseModel):
    """What to change of a view; null leaves it as it is."""

    model_config = ConfigDict(extra="forbid")

    name: _Name | None = None
    path: _Path | None = None
    query: _Query | None = None
    shared: bool | None = None


@router.get("/views", summary="The saved views")
def list_views(db: Db, person: Viewer) -> NamedViews:
    """Return the caller's views and those that others share, by name."""
    return NamedViews(views=[NamedView.of(each) for each in saved_views.listed(db, person)])


@router.post("/views", summary="Save a view")
def save_view(db: Db, person: Viewer, new: NewView) -> NamedView:
    """Save the filters of a page under a name. Reviewers may share it."""
    path, query = saved_views.checked(new.path, new.query)
    if new.shared:
        saved_views.require_share(person)
    name = saved_views.named(new.name)
    view = views.save(db, person.name, name, path, query, shared=new.shared, overwrite=new.overwrite)
    return NamedView.of(saved_views.shown(view, person))


@router.patch("/views/{view_id}", summary="Change a view")
def change_view(db: Db, person: Viewer, view_id: _ViewId, change: ViewChange) -> NamedView:
    """Rename, share or replace a view: the caller's own, or as an operator a shared one."""
    view = _changed(saved_views.to_change(db, view_id, person), change)
    if change.shared:
        saved_views.require_share(person)
    views.change(db, view)
    return NamedView.of(saved_views.shown(view, person))


def _changed(view: View, change: ViewChange) -> View:
    if change.path is not None or change.query is not None:
        path = view.path if change.path is None else change.path
        query = view.query if change.query is None else change.query
        path, query = saved_views.checked(path, query)
        view = view._replace(path=path, query=query)
    if change.name is not None:
        view = view._replace(name=saved_views.named(change.name))
    return view if change.shared is None else view._replace(shared=change.shared)


@router.delete("/views/{view_id}", status_code=204, summary="Remove a view")
def remove_view(db: Db, person: Viewer, view_id: _ViewId) -> Response:
    """Remove a view: the caller's own, or as an operator a shared one."""
    views.remove(db, saved_views.to_change(db, view_id, person).id)
    return Response(status_code=204)

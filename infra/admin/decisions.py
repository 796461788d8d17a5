"""Admin pages of what one person asks for and another decides.

Guards the two people: a page calls the operation, which checks them again; who may is said by the row's transitions.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from infra.coordination import clock
from infra.db.decisions import Person
from infra.db.lifecycles import may

APPROVE, REJECT = "approve", "reject"


def person(request: HttpRequest) -> Person:
    """Who is logged in to the admin."""
    assert request.user.pk is not None  # noqa: S101 - the admin lets nobody else in
    return Person(request.user.pk, request.user.get_username())


def page_of(row: Any) -> str:
    """The address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def as_decision(request: HttpRequest, made: Any, *, approving: Any) -> dict[str, Any]:
    """What templates/admin/decision_form.html shows: whether it waits, and what this person may do about it."""
    return {
        "made": made,
        "waits": made.state == type(made).State.REQUESTED,
        "is_own": made.requested_by_id == request.user.pk,
        "may_approve": may(request.user, made, approving),
        "decide_at": reverse(f"admin:{made._meta.app_label}_{made._meta.model_name}_decide", args=[made.pk]),
    }


def decision_of(request: HttpRequest, made: Any, steps: Mapping[str, Any]) -> tuple[str, str]:
    """What was pressed, and the note with it. Raises: PermissionDenied unless this person may take that transition."""
    step, note = request.POST.get("decision", ""), request.POST.get("note", "")
    if step not in steps or not may(request.user, made, steps[step]):
        raise PermissionDenied
    return step, note


def request_page(
    request: HttpRequest,
    form: Form,
    *,
    make: Callable[..., Any],
    refusal: type[Exception],
    template: str,
    context: Mapping[str, Any],
) -> HttpResponse:
    """Where one person asks for what another has to approve: the form, or the way to the row that was made.

    `make` takes the form's fields, with `by`, answers the row, and raises `refusal`.
    """
    if form.is_valid():
        try:
            made = make(**form.cleaned_data, by=person(request))
        except refusal as error:
            form.add_error(None, str(error).capitalize())
        else:
            messages.success(request, "Another person has to approve it now.")
            return HttpResponseRedirect(page_of(made))
    return TemplateResponse(request, template, {**context, "form": form})


class DecidedAdmin:
    """For a read-only admin: its rows' pages show the decision, and take it.

    `steps` and `operations` are the transitions and the operations of APPROVE and REJECT. An operation takes the row's
    id as `id_name`, with `by`, `note` and `now`, answers the row, and raises `refusal`.
    """

    steps: Mapping[str, Any]
    operations: Mapping[str, Callable[..., Any]]
    id_name: str
    refusal: type[Exception]

    def beside(self, made: Any) -> dict[str, Any]:
        """What else the page shows."""
        return {}

    def get_urls(self) -> list[URLPattern]:
        """With the address for decisions."""
        admin: Any = self
        view = admin.admin_site.admin_view(require_POST(self.decide))
        name = f"{admin.opts.app_label}_{admin.opts.model_name}_decide"
        return [path("<int:row_id>/decide/", view, name=name), *super().get_urls()]  # type: ignore[misc]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the decision, and what is beside it."""
        admin: Any = self
        made = admin.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(made, admin.model):
            context |= {**as_decision(request, made, approving=self.steps[APPROVE]), **self.beside(made)}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[misc]

    def decide(self, request: HttpRequest, row_id: int) -> HttpResponse:
        """Approve, reject or withdraw."""
        admin: Any = self
        made = get_object_or_404(admin.model, pk=row_id)
        step, note = decision_of(request, made, self.steps)
        terms = {self.id_name: row_id, "by": person(request), "note": note}
        try:
            made = self.operations[step](**terms, now=clock.of(made._state.db).now())
        except self.refusal as refusal:
            admin.message_user(request, f"{str(refusal).capitalize()}.", messages.ERROR)
        else:
            admin.message_user(request, f"It is {made.get_state_display().lower()}.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(made))

"""Webhooks as staff see them: the exchange's own endpoints are made here, all can be stopped, messages sent again.

Guards customers against staff: of a customer's endpoint nobody here sees or changes the secret.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from counter import events
from counter.access import webhook_endpoints
from counter.access.webhook_endpoints import EndpointMissing, EndpointRefused, Registered
from counter.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from counter.webhooks.resuming import resume
from counter.webhooks.sending_again import TooManyChosen, send_again
from infra.admin.decisions import page_of
from infra.admin.readonly import ReadOnlyAdmin, age_filter
from infra.coordination import clock

OPERATE = "counter.operate_webhookendpoint"
RESEND = "counter.resend_webhookdelivery"
_STATES = {
    "waiting": {"due_at__isnull": False},
    "delivered": {"delivered_at__isnull": False},
    "given-up": {"gave_up_at__isnull": False},
}


class EndpointForm(forms.ModelForm):
    """An endpoint of the exchange."""

    types = forms.MultipleChoiceField(
        choices=[(name, name) for name in events.TYPES],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None: all, those added later too.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["url", "label", "types"]

    def clean(self) -> dict[str, Any] | None:
        """Whether it may be made."""
        asked = super().clean()
        try:
            webhook_endpoints.check(
                customer_id=None,
                url=self.cleaned_data.get("url", ""),
                types=self.cleaned_data.get("types", []),
                label=self.cleaned_data.get("label", ""),
            )
        except EndpointRefused as error:
            raise forms.ValidationError(str(error).capitalize()) from error
        return asked


class OwnerFilter(admin.SimpleListFilter):
    """Whose endpoint it is."""

    title, parameter_name = "owner", "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("exchange", "the exchange"), ("customers", "customers")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("exchange", "customers"):
            return queryset
        return queryset.filter(customer__isnull=self.value() == "exchange")


class WebhookEndpointAdmin(ReadOnlyAdmin):
    form = EndpointForm
    list_display = [
        *("public_id", "customer", "url", "label", "state", "failures", "failing_since", "open_at"),
        *("last_ms", "created_at"),
    ]
    list_select_related = ["customer"]
    list_filter = [
        OwnerFilter,
        "disabled",
        ("failing_since", admin.EmptyFieldListFilter),
        ("paused_at", admin.EmptyFieldListFilter),
        ("deleted_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["public_id__exact", "customer__reference__startswith"]
    search_help_text = "Public id, or beginning of the customer's reference"
    actions = ["pause", "resume", "disable", "enable", "end"]
    change_form_outer_before_template = "counter/webhooks/endpoint.html"

    def get_urls(self) -> list[URLPattern]:
        """With the address that gives another secret."""
        view = self.admin_site.admin_view(require_POST(self.rotate))
        return [
            path("<int:endpoint_id>/rotate/", view, name="counter_webhookendpoint_rotate"),
            *super().get_urls(),
        ]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the actions and whose request for them is obeyed."""
        return request.user.has_perm(OPERATE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_operate_permission(request)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Never a secret, encrypted or not."""
        if obj is None:
            return ["url", "label", "types"]
        return [
            *("public_id", "customer", "url", "label", "types", "created_at", "disabled", "disabled_at"),
            *("paused_at", "deleted_at", "failures", "failing_since", "open_at", "last_ms", "previous_until"),
        ]

    @display(description="state")
    def state(self, endpoint: WebhookEndpoint) -> str:
        """In one word, the strongest."""
        if endpoint.deleted_at is not None:
            return "deleted"
        if endpoint.disabled:
            return f"disabled {endpoint.get_disabled_display()}"
        if endpoint.paused_at is not None:
            return "paused"
        return "failing" if endpoint.failures else "in use"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the way to another secret, of the exchange's."""
        endpoint = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(endpoint, WebhookEndpoint):
            is_ours = endpoint.customer_id is None and endpoint.deleted_at is None
            context["may_rotate"] = is_ours and self.has_operate_permission(request)
        return super().change_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make the endpoint that was asked for."""
        asked = form.cleaned_data
        made = webhook_endpoints.register(
            customer_id=None,
            url=asked["url"],
            types=asked["types"],
            label=asked["label"],
            now=clock.of("default").now(),
        )
        obj.pk, obj.public_id = made.endpoint.pk, made.endpoint.public_id
        obj.made = made

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The secret, this once."""
        return self._secret(request, obj.made)

    def rotate(self, request: HttpRequest, endpoint_id: int) -> HttpResponse:
        """Another secret, shown this once."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        endpoint = get_object_or_404(webhook_endpoints.endpoints_of(None), pk=endpoint_id)
        try:
            made = webhook_endpoints.rotate(
                customer_id=None, public_id=endpoint.public_id, now=clock.of("default").now()
            )
        except EndpointMissing as error:
            raise Http404(str(error)) from error
        self.log_change(request, endpoint, "Secret rotated.")
        return self._secret(request, made)

    def _secret(self, request: HttpRequest, made: Registered) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Secret of the webhook endpoint",
            "endpoint": made.endpoint,
            "secret": made.secret,
            "back": page_of(made.endpoint),
        }
        answer = TemplateResponse(request, "counter/webhooks/secret.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    @action(description="Pause: keep events until resumed, send none", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """Nothing is sent until it is resumed; what happens is kept, however long that takes."""
        rows = list(queryset.filter(paused_at__isnull=True))
        queryset.filter(pk__in=[row.pk for row in rows]).update(paused_at=clock.of("default").now())
        self._tell(request, rows, "paused")

    @action(description="Resume: send at once, and what was kept", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """What was kept is sent, tried as long as what happens now; one that failed is tried now."""
        rows = list(queryset)
        resume([row.pk for row in rows], now=clock.of("default").now())
        self._tell(request, rows, "resumed")

    @action(description="Disable: keep and send nothing", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """Nothing more is written down for them; their customers cannot undo it."""
        now = clock.of("default").now()
        self._each(
            request,
            queryset,
            lambda row: webhook_endpoints.disable(
                customer_id=row.customer_id,
                public_id=row.public_id,
                by=WebhookEndpoint.Disabled.STAFF,
                now=now,
            ),
            "disabled",
        )

    @action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """They hear again, of what happens from now on."""
        self._each(
            request,
            queryset,
            lambda row: webhook_endpoints.enable(
                customer_id=row.customer_id, public_id=row.public_id, by_staff=True
            ),
            "enabled",
        )

    @action(description="Delete for good", permissions=["operate"])
    def end(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """What waits for them is never sent."""
        now = clock.of("default").now()
        self._each(
            request,
            queryset,
            lambda row: webhook_endpoints.delete(
                customer_id=row.customer_id, public_id=row.public_id, now=now
            ),
            "deleted",
        )

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[WebhookEndpoint],
        change: Callable[[WebhookEndpoint], Any],
        done: str,
    ) -> None:
        changed = []
        for row in queryset.filter(deleted_at__isnull=True):
            try:
                change(row)
            except EndpointMissing:
                text = f"Webhook endpoint {row.public_id} has just been deleted."
                self.message_user(request, text, messages.WARNING)
            else:
                changed.append(row)
        self._tell(request, changed, done)

    def _tell(self, request: HttpRequest, rows: list[WebhookEndpoint], done: str) -> None:
        for row in rows:
            self.log_change(request, row, f"{done.capitalize()}.")
        level = messages.SUCCESS if rows else messages.WARNING
        self.message_user(request, f"{len(rows)} webhook endpoints were {done}.", level)


class TypeFilter(admin.SimpleListFilter):
    """Which kind of event; the table is not read for it."""

    title = parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in events.TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() in events.TYPES else queryset


class StateFilter(admin.SimpleListFilter):
    """Where deliveries stand."""

    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.replace("-", " ")) for name in _STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**_STATES.get(self.value() or "", {}))


class AttemptInline(TabularInline):
    """Each attempt of a delivery."""

    model = WebhookAttempt
    fields = readonly_fields = ["number", "at", "outcome", "status", "took_ms", "told"]
    ordering = ["-pk"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = [
        *("id", "happened_at", "type", "customer", "endpoint", "state", "attempts", "last_status", "due_at"),
        "delivered_at",
    ]
    list_select_related = ["customer", "endpoint"]
    list_filter = [StateFilter, TypeFilter, age_filter("happened_at", goes_with_key=True)]
    search_fields = ["pk"]  # shows the search box; `get_search_results` says what is searched
    search_help_text = "Id of the event (evt_), of the endpoint (whe_), or the customer's reference"
    inlines = [AttemptInline]
    actions = ["send_again"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Deliveries of one event, one endpoint or one customer: each by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith("evt_"):
            return queryset.filter(event_id=term).exclude(event_id=""), False
        if term.startswith(webhook_endpoints.PUBLIC_PREFIX):
            found = WebhookEndpoint.objects.filter(public_id=term).values_list("pk", flat=True)
            return queryset.filter(endpoint__in=list(found)), False
        return queryset.filter(customer__reference=term), False

    @display(description="state")
    def state(self, delivery: WebhookDelivery) -> str:
        """In one word."""
        if delivery.delivered_at is not None:
            return "delivered"
        return "given up" if delivery.gave_up_at is not None else "waiting"

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the action and whose request for it is obeyed."""
        return request.user.has_perm(RESEND)

    @action(description="Send again", permissions=["resend"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        """The same messages, under the same ids, as soon as their endpoints take any; not those that wait anyway."""
        try:
            rows = send_again(queryset, now=clock.of("default").now())
        except TooManyChosen as error:
            text = f"Nothing was done: {error}. Choose by endpoint, type, state or age."
            self.message_user(request, text, messages.ERROR)
            return
        for row in rows:
            self.log_change(request, row, "Sent again.")
        level = messages.SUCCESS if rows else messages.WARNING
        text = f"{len(rows)} webhooks are sent again: those chosen that were over and have an endpoint."
        self.message_user(request, text, level)

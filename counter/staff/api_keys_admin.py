"""Customers' API keys as staff see them: offered and revoked, the history says by whom; their secrets never.

Guards customers against staff: the secret is made and shown when the customer collects it on the trade page.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from counter.access import api_keys
from counter.models import ApiKey
from counter.staff.row_choice import RowChoice
from infra.admin.readonly import ReadOnlyAdmin
from infra.coordination import clock

ISSUE = "counter.issue_apikey"


class ApiKeyForm(forms.ModelForm):
    """What a key is to be."""

    scopes = forms.MultipleChoiceField(
        choices=ApiKey.Scope.choices,
        initial=ApiKey.Scope.values,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    networks = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Where it may come from: networks as 192.0.2.0/24, or addresses, one a line. None: anywhere.",
    )

    class Meta:
        model = ApiKey
        fields = ["customer", "label", "scopes", "networks", "requests_per_second", "expires_at"]
        help_texts = {
            "requests_per_second": "Of this key alone, orders included. None: the customer's limits."
        }

    def clean_networks(self) -> list[str]:
        """As they are kept."""
        try:
            return api_keys.read_networks(self.cleaned_data["networks"].split())
        except api_keys.ApiKeyError as error:
            raise forms.ValidationError(str(error)) from error


class ApiKeyAdmin(ReadOnlyAdmin):
    form = ApiKeyForm
    list_display = [
        *("id", "customer", "label", "public_id", "scopes", "created_at", "last_used_at", "expires_at"),
        *("is_collected", "revoked_at"),
    ]
    list_select_related = ["customer"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["public_id__exact", "customer__reference__startswith"]
    search_help_text = "Public id, or beginning of the customer's reference"
    autocomplete_fields = ["customer"]
    actions = ["revoke"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The customer is searched for."""
        kwargs["widget"] = RowChoice(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_issue_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the action and whose request for it is obeyed."""
        return request.user.has_perm(ISSUE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_issue_permission(request)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Never the secret, encrypted or not."""
        asked = ["customer", "label", "scopes", "networks", "requests_per_second", "expires_at"]
        return asked if obj is None else ["public_id", *asked, "created_at", "last_used_at", "revoked_at"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Offer the key that was asked for."""
        asked = form.cleaned_data
        offered = api_keys.offer(
            customer_id=asked["customer"].pk,
            label=asked["label"],
            scopes=asked["scopes"],
            networks=asked["networks"],
            requests_per_second=asked["requests_per_second"],
            expires_at=asked["expires_at"],
            now=clock.of("default").now(),
        )
        obj.pk, obj.public_id = offered.pk, offered.public_id
        text = f"{obj.customer} finds the key and its secret on the trade page, under API keys, once."
        self.message_user(request, text, messages.SUCCESS)

    @display(description="collected", boolean=True)
    def is_collected(self, key: ApiKey) -> bool:
        """Whether the customer has its secret: until then it opens nothing."""
        return key.encrypted_secret != api_keys.UNCOLLECTED

    @action(description="Revoke", permissions=["issue"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """The selected keys open nothing any more, in every process within seconds, and never again."""
        keys = list(queryset.filter(revoked_at__isnull=True))
        for key in keys:
            api_keys.revoke(key, now=clock.of("default").now())
            self.log_change(request, key, "Revoked.")
        level = messages.SUCCESS if keys else messages.WARNING
        self.message_user(request, f"{len(keys)} API keys were revoked.", level)

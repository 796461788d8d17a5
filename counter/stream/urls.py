"""Addresses of the stream program."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from counter.api.errors import unknown_address
from counter.stream.views import StreamView

urlpatterns = [
    path("api/v1/stream", StreamView.as_view()),
    path("<path:rest>", csrf_exempt(unknown_address)),
]

handler400 = "counter.api.errors.bad_request"
handler500 = "counter.api.errors.server_error"

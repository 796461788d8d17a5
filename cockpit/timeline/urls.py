"""Addresses of the timeline, below admin/."""

from django.contrib import admin
from django.urls import path

from cockpit.timeline import pages

urlpatterns = [
    path("", admin.site.admin_view(pages.search), name="find_order"),
    path("<int:order_id>/", admin.site.admin_view(pages.show), name="order_timeline"),
]

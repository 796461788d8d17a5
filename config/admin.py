"""Second factors are made by `manage.py two_factor` alone: their admin pages would show keys and hand them out."""

from django.contrib import admin
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

admin.site.unregister([TOTPDevice, StaticDevice])

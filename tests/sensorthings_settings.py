# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of a django-ogc-sensorthings that a test starts in an environment of its own (tools/sensorthings.sh).

Read by Django there, not by the tests: LYKTA_THINGS_URL is where it answers, LYKTA_THINGS_DATABASE its SQLite file.
"""

import os
import secrets
from uuid import UUID

_APP = "sensorthings.versions.v1_1"
SECRET_KEY = secrets.token_hex()
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [_APP, f"{_APP}.backends.django", f"{_APP}.extensions.dataarray"]
ROOT_URLCONF = f"{_APP}.urls"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["LYKTA_THINGS_DATABASE"]},
}
USE_TZ = True
SENSORTHINGS_V1_1_SERVICE_URL = os.environ["LYKTA_THINGS_URL"]
SENSORTHINGS_V1_1_BACKEND_ADAPTER = f"{_APP}.backends.django.adapter.DjangoBackendAdapter"
SENSORTHINGS_V1_1_ID_TYPE = UUID
SENSORTHINGS_V1_1_ID_DELIMITER = "'"

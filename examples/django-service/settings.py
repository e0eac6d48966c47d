"""A Django service that believes Gatehouse's access tokens.

It runs on Debian's packages: Django, Django REST framework, simplejwt, gunicorn.
It has no database, and no users but those of the tokens.
"""

import os

# What Gatehouse is configured with: issuer, tokens.audience, tokens.algorithm.
ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
ALGORITHM = os.environ.get("ALGORITHM", "ES256")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTStatelessUserAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
SIMPLE_JWT = {
    "ALGORITHM": ALGORITHM,
    "JWK_URL": ISSUER + "/.well-known/jwks.json",
    "ISSUER": ISSUER,
    "AUDIENCE": AUDIENCE,
    "LEEWAY": 30,
    "USER_ID_CLAIM": "user_id",
    "TOKEN_USER_CLASS": "users.GatehouseUser",
}

ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
ROOT_URLCONF = "urls"
SECRET_KEY = os.environ.get("SECRET_KEY", "signs nothing here")
USE_TZ = True
WSGI_APPLICATION = "wsgi.application"

"""The peer: the same jobs by Django REST framework and simplejwt, as Debian ships them.

It gets what helps it: no middleware, persistent connections, HS256 for all
tokens, the identity provider's keys in memory, no cookies, CSRF tokens, audit
events or throttling. Rotation is durable: the old token goes on the blacklist
before the new one is handed out.

    service.py seed USERS < JWKS    make the tables and rows; print a refresh token for each user
"""

import datetime
import json
import os
import sys

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    SECRET_KEY=os.environ["PEER_SECRET"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework_simplejwt.token_blacklist"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PEER_DATABASE"],
            "HOST": "127.0.0.1",
            "PORT": os.environ["PEER_PORT"],
            "USER": os.environ["PEER_USER"],
            "PASSWORD": os.environ["PEER_PASSWORD"],
            "CONN_MAX_AGE": None,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    LOGGING_CONFIG=None,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
    },
    SIMPLE_JWT={"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True, "UPDATE_LAST_LOGIN": True},
)

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

import jwt  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import User, update_last_login  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.exceptions import AuthenticationFailed  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.tokens import RefreshToken, UntypedToken  # noqa: E402
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken  # noqa: E402
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView, TokenVerifyView  # noqa: E402

ISSUER, AUDIENCE = os.environ["PEER_ISSUER"], os.environ["PEER_AUDIENCE"]
KEYS = {
    key["kid"]: jwt.PyJWK(key).key for key in json.loads(os.environ["PEER_JWKS"])["keys"]
}


class StatelessVerifySerializer(serializers.Serializer):
    """Without simplejwt's look into the blacklist, since the service's own verify has none."""

    token = serializers.CharField(write_only=True)

    def validate(self, attrs):
        UntypedToken(attrs["token"])
        return {}


def decode(token, **rules):
    key = KEYS[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER, **rules)


class Exchange(APIView):
    def post(self, request):
        try:
            claims = decode(request.data["id_token"], audience=AUDIENCE)
            access = decode(request.data["access_token"])
            if access["sub"] != claims["sub"] or access["client_id"] != AUDIENCE:
                raise AuthenticationFailed()
        except (jwt.PyJWTError, KeyError) as fault:
            raise AuthenticationFailed() from fault
        user, _ = User.objects.get_or_create(
            username=claims["cognito:username"],
            defaults={"email": claims["email"], "first_name": claims["given_name"], "last_name": claims["family_name"]},
        )
        update_last_login(None, user)
        refresh = RefreshToken.for_user(user)
        return Response({"access": str(refresh.access_token), "refresh": str(refresh)})


class Health(APIView):
    def get(self, request):
        return Response({})


urlpatterns = [
    path("sign-in/", TokenObtainPairView.as_view()),
    path("refresh/", TokenRefreshView.as_view()),
    path("verify/", TokenVerifyView.as_view(serializer_class=StatelessVerifySerializer)),
    path("social-exchange/", Exchange.as_view()),
    path("health/", Health.as_view()),
]


def seed(users):
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    password = make_password(os.environ["PEER_PLAIN"])
    first = int(os.environ["PEER_FIRST"])
    people = [
        User(username=f"user{first + i}", email=f"user{first + i}@example.com", first_name="Given", last_name="Family", password=password)
        for i in range(users)
    ]
    people = User.objects.bulk_create(people)
    rows = []
    for user in people:
        token = RefreshToken()
        token["user_id"] = user.id
        rows.append(OutstandingToken(
            user=user, jti=token["jti"], token=str(token), created_at=timezone.now(),
            expires_at=timezone.now() + datetime.timedelta(days=1),
        ))
    OutstandingToken.objects.bulk_create(rows, batch_size=1000)
    print("\n".join(row.token for row in rows))


if __name__ == "__main__":
    seed(int(sys.argv[2]))

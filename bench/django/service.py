"""The peer: the same jobs by Django REST framework and simplejwt, as Debian ships them.

It does what the service does: ES256 tokens that others can verify (simplejwt has
one algorithm for both kinds unless its classes are changed), the refresh token in an HttpOnly cookie and
Django's CSRF protection before it, rotation that is durable before the new token
is handed out (the old one goes on the blacklist); at an
exchange both tokens of the provider verified, the user found by issuer and
subject, each ID token taken once, and a sign-in recorded with its audit event in
one transaction, with the user in the answer.

It gets what helps it: no middleware but that of CSRF where it is needed,
persistent connections, the provider's keys in memory, no throttling, no list of
sessions, no grace for lost answers, no look at the user at a refresh.

    service.py seed USERS < JWKS    make the tables and rows; print a refresh token for each user
"""

import datetime
import hashlib
import json
import os
import sys

from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
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
    SIMPLE_JWT={
        "ALGORITHM": "ES256",
        # Read once: as text they would be read for each token.
        "SIGNING_KEY": load_pem_private_key(os.environ["PEER_PRIVATE"].encode(), None),
        "VERIFYING_KEY": load_pem_public_key(os.environ["PEER_PUBLIC"].encode()),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
        "UPDATE_LAST_LOGIN": True,
    },
)

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

import jwt  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import User, update_last_login  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.decorators import method_decorator  # noqa: E402
from django.views.decorators.csrf import csrf_protect  # noqa: E402
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


class Identity(models.Model):
    issuer = models.TextField()
    subject = models.TextField()
    user = models.ForeignKey(User, models.CASCADE)
    last_seen = models.DateTimeField()

    class Meta:
        app_label = "auth"
        unique_together = [("issuer", "subject")]


class UsedToken(models.Model):
    digest = models.BinaryField(primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        app_label = "auth"


class AuditEvent(models.Model):
    at = models.DateTimeField()
    event = models.TextField()
    user = models.ForeignKey(User, models.CASCADE)
    ip = models.TextField()
    user_agent = models.TextField()

    class Meta:
        app_label = "auth"


TABLES = [Identity, UsedToken, AuditEvent]


def grant(request, data, user=None):
    """The answer of every view that grants tokens: the refresh token leaves in a cookie."""
    body = {"access": data["access"], "token_type": "Bearer", "expires_in": 300, "CSRF_token": get_token(request)}
    if user:
        body["user"] = {"id": user.pk, "username": user.username, "email": user.email}
    response = Response(body)
    response.set_cookie("refresh", data["refresh"], max_age=86400, secure=True, httponly=True, samesite="Strict")
    return response


def record(request, user, now):
    AuditEvent.objects.create(
        at=now, event="sign_in", user=user, ip=request.META["REMOTE_ADDR"], user_agent=request.META.get("HTTP_USER_AGENT", "")
    )


@method_decorator(csrf_protect, name="dispatch")
class Refresh(TokenRefreshView):
    def post(self, request):
        serializer = self.get_serializer(data={"refresh": request.COOKIES.get("refresh", "")})
        serializer.is_valid(raise_exception=True)
        return grant(request, serializer.validated_data)


class SignIn(TokenObtainPairView):
    def post(self, request):
        serializer = self.get_serializer(data=request.data)
        with transaction.atomic():
            serializer.is_valid(raise_exception=True)
            record(request, serializer.user, timezone.now())
        return grant(request, serializer.validated_data, serializer.user)


class Exchange(APIView):
    def post(self, request):
        try:
            claims = decode(request.data["id_token"], audience=AUDIENCE)
            access = decode(request.data["access_token"])
            if access["sub"] != claims["sub"] or access["client_id"] != AUDIENCE:
                raise AuthenticationFailed()
            if claims["token_use"] != "id" or access["token_use"] != "access":
                raise AuthenticationFailed()
            with transaction.atomic():
                user, refresh = self.admit(request, claims)
        except (jwt.PyJWTError, KeyError, IntegrityError) as fault:
            raise AuthenticationFailed() from fault
        return grant(request, {"access": str(refresh.access_token), "refresh": str(refresh)}, user)

    def admit(self, request, claims):
        now = timezone.now()
        try:
            identity = Identity.objects.select_related("user").get(issuer=claims["iss"], subject=claims["sub"])
        except Identity.DoesNotExist:
            user = User.objects.create(
                username=claims["cognito:username"], email=claims["email"],
                first_name=claims["given_name"], last_name=claims["family_name"],
            )
            identity = Identity.objects.create(issuer=claims["iss"], subject=claims["sub"], user=user, last_seen=now)
        else:
            Identity.objects.filter(pk=identity.pk).update(last_seen=now)
        if not identity.user.is_active:
            raise AuthenticationFailed()
        digest = hashlib.sha256(request.data["id_token"].encode()).digest()
        expires_at = datetime.datetime.fromtimestamp(claims["exp"], datetime.timezone.utc)
        UsedToken.objects.bulk_create([UsedToken(digest=digest, expires_at=expires_at)])
        update_last_login(None, identity.user)
        record(request, identity.user, now)
        return identity.user, RefreshToken.for_user(identity.user)


class Health(APIView):
    def get(self, request):
        return Response({})


urlpatterns = [
    path("sign-in/", SignIn.as_view()),
    path("refresh/", Refresh.as_view()),
    path("verify/", TokenVerifyView.as_view(serializer_class=StatelessVerifySerializer)),
    path("social-exchange/", Exchange.as_view()),
    path("health/", Health.as_view()),
]


def seed(users):
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        for table in TABLES:
            editor.create_model(table)
    password = make_password(os.environ["PEER_PLAIN"])
    first = int(os.environ["PEER_FIRST"])
    people = [
        User(username=f"user{first + i}", email=f"user{first + i}@example.com", first_name="Given", last_name="Family", password=password)
        for i in range(users)
    ]
    people = User.objects.bulk_create(people)
    Identity.objects.bulk_create(
        [Identity(issuer=ISSUER, subject=f"subject-{first + i}", user=user, last_seen=timezone.now()) for i, user in enumerate(people)],
        batch_size=1000,
    )
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

from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response


@api_view(["GET"])
def me(request):
    return Response({"id": str(request.user.id), "department": request.user.department})


urlpatterns = [path("me", me)]

"""The user that a token stands for, with the claims that are ours."""

from rest_framework_simplejwt.models import TokenUser


class GatehouseUser(TokenUser):
    @property
    def department(self):
        return self.token.get("department", "")

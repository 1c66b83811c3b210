"""Login, invitations and accounts. None of allauth's own pages is mounted."""

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from sovereign.web.people import account, choosing, connecting, invited, login, oidc, sessions

urlpatterns = [
    path("login", login.Login.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("invitations/<str:secret>", invited.invitation, name="invitation"),
    path("account", RedirectView.as_view(pattern_name="account")),
    path("account/", account.page, name="account"),
    path("account/password", account.password, name="account-password"),
    path("account/connect", connecting.connect, name="account-connect"),
    path("account/disconnect", connecting.disconnect, name="account-disconnect"),
    path("account/sessions", sessions.page, name="account-sessions"),
    path("account/sessions/end", sessions.end, name="account-sessions-end"),
    path("login/oidc/whose", choosing.page, name="login-elsewhere-whose"),
    *oidc.urlpatterns,
]

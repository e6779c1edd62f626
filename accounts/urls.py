from django.urls import path, re_path

from accounts import people_views, views

app_name = "accounts"
urlpatterns = [
    path("", views.home, name="home"),
    path("accounts/login/", views.sign_in, name="login"),
    path("accounts/logout/", views.sign_out, name="logout"),
    path("accounts/invitation/", views.invitation, name="invitation"),
    re_path(r"^accounts/invitation/(?P<secret>[A-Za-z0-9_-]{43})/\Z", views.open_invitation, name="invitation_open"),
    path("profile/", views.profile, name="profile"),
    path("profile/password/", views.password, name="password"),
    path("profile/tokens/", views.tokens, name="tokens"),
    path("profile/tokens/<uuid:token_id>/revoke/", views.revoke_token, name="revoke_token"),
    path("people/", people_views.people, name="people"),
    path("people/invite/", people_views.invite, name="invite"),
    path("people/<uuid:user_id>/", people_views.person_page, name="person"),
    path("people/<uuid:user_id>/invitation/", people_views.renew_invitation, name="renew_invitation"),
    path("people/<uuid:user_id>/standing/", people_views.standing, name="standing"),
    path("people/<uuid:user_id>/grant/", people_views.grant_to_person, name="grant_to_person"),
    path("grants/<uuid:grant_id>/revoke/", people_views.revoke_grant, name="revoke_grant"),
    path("compartments/", people_views.compartment_list, name="compartments"),
    path("compartments/open/", people_views.open_compartment, name="open_compartment"),
    path("compartments/<uuid:compartment_id>/", people_views.compartment_page, name="compartment"),
    path("compartments/<uuid:compartment_id>/edit/", people_views.describe_compartment, name="describe_compartment"),
    path("compartments/<uuid:compartment_id>/grant/", people_views.grant_in_compartment, name="grant_in_compartment"),
]

"""The pages of the project."""

from django.urls import path

from mysite import views

urlpatterns = [
    path("", views.home, name="home"),
    path("greet/", views.greet, name="greet"),
]

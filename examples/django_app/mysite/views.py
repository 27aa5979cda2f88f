"""A page with a form, and what it leads to."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render


def home(request: HttpRequest) -> HttpResponse:
    """The form, and how the request came in."""
    return render(request, "home.html", {"interface": type(request).__name__.removesuffix("Request")})


def greet(request: HttpRequest) -> HttpResponse:
    """Greets whoever filled the form in."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return render(request, "greet.html", {"name": request.POST.get("name", "").strip() or "whoever you are"})

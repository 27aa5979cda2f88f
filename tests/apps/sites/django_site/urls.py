"""The site's views, each a thing a server can get wrong."""

import json
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Django over Drawbar")


def token(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_token(request))


def form(request: HttpRequest) -> JsonResponse:
    return JsonResponse({name: request.POST.getlist(name) for name in request.POST})


@csrf_exempt
def upload(request: HttpRequest) -> JsonResponse:
    file = request.FILES["file"]
    digest = sha256()
    for part in file.chunks():
        digest.update(part)
    return JsonResponse({"name": file.name, "bytes": file.size, "sha256": digest.hexdigest()})


@csrf_exempt
def body(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"json": json.loads(request.body)})


def count(request: HttpRequest) -> JsonResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"count": request.session["count"]})


def away(request: HttpRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect("/")


def fault(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("a fault of the application's")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def sync_parts() -> Iterator[str]:
        for number in range(100):
            yield f"line {number}\n"

    async def async_parts() -> AsyncIterator[str]:
        for line in sync_parts():
            yield line

    over_asgi = hasattr(request, "scope")
    return StreamingHttpResponse(async_parts() if over_asgi else sync_parts(), content_type="text/plain")


async def async_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse("from a coroutine")


def file(request: HttpRequest) -> FileResponse:
    # Django closes it with the response.
    return FileResponse(open(__file__, "rb"), as_attachment=True)


def where(request: HttpRequest) -> JsonResponse:
    said = {"path": request.path, "info": request.path_info, "secure": request.is_secure(), "host": request.get_host()}
    return JsonResponse(said | {"peer": request.META["REMOTE_ADDR"], "query": request.GET.dict()})


urlpatterns = [
    path("", home),
    path("token", token),
    path("form", form),
    path("upload", upload),
    path("body", body),
    path("count", count),
    path("away", away),
    path("fault", fault),
    path("stream", stream),
    path("async", async_view),
    path("file", file),
    path("where", where),
    path("where/<path:rest>", lambda request, rest: where(request)),
]

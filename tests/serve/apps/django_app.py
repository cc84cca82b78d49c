"""A Django project in one module."""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a test",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup()


def synchronous(request):
    return JsonResponse({"method": request.method, "path": request.path, "a": request.GET.get("a")})


async def asynchronous(request):
    return HttpResponse(b"async " + request.body)


async def stream(request):
    async def parts():
        for number in range(10):
            yield f"{number}\n"

    return StreamingHttpResponse(parts(), content_type="text/plain")


def fail(request):
    raise LookupError("on purpose")


urlpatterns = [
    path("sync/", synchronous),
    path("async/", asynchronous),
    path("stream/", stream),
    path("fail/", fail),
]

app = get_asgi_application()

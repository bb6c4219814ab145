"""No client in this process follows a redirect: a server's answer must not choose where the gateway goes next.

Whoever says that it follows none has its own way with 3xx and keeps it. For everybody else a redirect is a 502.
"""

import aiohttp
import httpx
import requests

# Tokenizers come from there by redirects. No server of a box has these names.
_FREE = ("huggingface.co", ".huggingface.co", ".hf.co")
MESSAGE = "the server answered with a redirect, which is not followed"


def install():
    httpx.Client.send = _sync(httpx.Client.send)
    httpx.AsyncClient.send = _async(httpx.AsyncClient.send)
    aiohttp.ClientSession._request = _aiohttp(aiohttp.ClientSession._request)
    requests.Session.send = _requests(requests.Session.send)


def _free(host):
    return host is not None and (host == _FREE[0] or host.endswith(_FREE[1:]))


def _refusal(response):
    """What the client gets in place of the redirect; it does not say where to."""
    body = {"error": {"message": MESSAGE, "type": "server_error", "code": "redirect_refused"}}
    return httpx.Response(502, json=body, request=response.request)


def _sync(send):
    def without_redirects(self, request, *, follow_redirects=httpx.USE_CLIENT_DEFAULT, **rest):
        if follow_redirects is False or _free(request.url.host):
            return send(self, request, follow_redirects=follow_redirects, **rest)
        response = send(self, request, follow_redirects=False, **rest)
        if not response.has_redirect_location:
            return response
        response.close()
        return _refusal(response)

    return without_redirects


def _async(send):
    async def without_redirects(self, request, *, follow_redirects=httpx.USE_CLIENT_DEFAULT, **rest):
        if follow_redirects is False or _free(request.url.host):
            return await send(self, request, follow_redirects=follow_redirects, **rest)
        response = await send(self, request, follow_redirects=False, **rest)
        if not response.has_redirect_location:
            return response
        await response.aclose()
        return _refusal(response)

    return without_redirects


def _aiohttp(ask):
    async def without_redirects(self, method, str_or_url, **rest):
        if rest.get("allow_redirects") is False:
            return await ask(self, method, str_or_url, **rest)
        response = await ask(self, method, str_or_url, **{**rest, "allow_redirects": False})
        if response.status in (301, 302, 303, 307, 308):
            response.close()
            raise aiohttp.ClientResponseError(response.request_info, response.history, status=502, message=MESSAGE)
        return response

    return without_redirects


def _requests(send):
    def without_redirects(self, request, **rest):
        if rest.get("allow_redirects") is False or _free(requests.utils.urlparse(request.url).hostname):
            return send(self, request, **rest)
        response = send(self, request, **{**rest, "allow_redirects": False})
        if response.is_redirect:
            response.close()
            raise requests.exceptions.TooManyRedirects(MESSAGE, response=None, request=request)
        return response

    return without_redirects

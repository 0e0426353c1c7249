"""A web site whose pages a test changes, and what tests ask of sources."""

from hashlib import sha256

from tests.app.egress.sites import answer

LOOPBACK = "127.0.0.1"


def page(words, *links, head=""):
    """A page that says something and leads somewhere."""
    anchors = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    title = words.split(".")[0][:40]
    body = f"<main><h1>{title}</h1><p>{words}</p></main><footer><ul>{anchors}</ul></footer>"
    return f"<html><head><title>{title}</title>{head}</head><body>{body}</body></html>".encode()


def urlset(*urls):
    return f"<urlset>{''.join(f'<url><loc>{url}</loc></url>' for url in urls)}</urlset>".encode()


class Web:
    """Pages by path: HTML, a whole answer, or a coroutine function that writes one. Without a robots.txt."""

    def __init__(self, **pages):
        self.pages = dict(pages)
        self.site = None
        self.etags = False
        self.before = None

    async def serve(self, path, writer):
        if self.before is not None:
            await self.before(path)
        found = self.pages.get(path, answer(b"<p>Sorry.</p>", status="404 Not Found"))
        if callable(found):
            await found(path, writer)
        elif found.startswith(b"HTTP/"):
            writer.write(found)
        else:
            writer.write(self._page(found))

    def _page(self, body):
        etag = f'"{sha256(body).hexdigest()[:8]}"' if self.etags else ""
        if etag and f"If-None-Match: {etag}" in self.site.requests[-1]:
            return answer(status="304 Not Modified", Content_Length="", Content_Type="")
        return answer(body, ETag=etag)

    def url(self, path="/"):
        return self.site.url(path, LOOPBACK)

    def asked(self):
        """The paths that were asked for since the last time, in order, without robots.txt."""
        paths = [head.split()[1] for head in self.site.requests]
        self.site.requests.clear()
        return [path for path in paths if path != "/robots.txt"]


async def add(tenant, url, **fields):
    response = await tenant.http.post("/v1/sources", json={"url": url, **fields})
    assert response.status_code == 202, response.text
    return response.json()["id"]


async def sync(tenant, source_id):
    response = await tenant.http.post(f"/v1/sources/{source_id}/sync")
    assert response.status_code == 202, response.text


async def source(tenant, source_id):
    response = await tenant.http.get(f"/v1/sources/{source_id}")
    assert response.status_code == 200, response.text
    return response.json()


async def listed(tenant, source_id, **query):
    """The pages of a source by their paths."""
    response = await tenant.http.get(f"/v1/sources/{source_id}/pages", params={"limit": 100, **query})
    assert response.status_code == 200, response.text
    return {"/" + each["url"].split("/", 3)[3]: each for each in response.json()["pages"]}


async def states(tenant, source_id):
    return {path: each["state"] for path, each in (await listed(tenant, source_id)).items()}


async def texts(tenant, query, limit=10):
    return [passage["text"] for passage in await tenant.search(query, limit)]

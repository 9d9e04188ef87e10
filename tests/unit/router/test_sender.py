"""URLs on their way to httpx: what our rules read is what it calls."""

from hypothesis import assume, given
from hypothesis import strategies as st

from services.router.domain.endpoint_url import EndpointUrl, UrlRefused, read_url
from services.router.sender import _http_url

HOSTS = ["a.example", "b_c.example", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1%eth0]", "ä.example", "10.0.0.1", "A.x."]
PORTS = {"http": 80, "https": 443}


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=st.sampled_from(HOSTS),
    port=st.sampled_from(["", ":80", ":443", ":8080"]),
    rest=st.text(max_size=20) | st.text(alphabet="/?#[]@!$&'()*+,;=:%~-._a2F", max_size=20),
)
def test_every_url_that_is_taken(scheme: str, host: str, port: str, rest: str) -> None:
    """Httpx calls the host, port and target that we checked; only `.` and `..` it resolves before."""
    written = f"{scheme}://{host}{port}/{rest}"
    try:
        read = read_url(written)
    except UrlRefused:
        assume(False)
    url = _http_url(written)
    called = (url.scheme, url.raw_host.decode(), url.port or PORTS[url.scheme], url.netloc.decode())

    assert called == (read.scheme, read.host, read.port, host_header(read))
    if not {".", ".."} & set(read.target.partition("?")[0].split("/")):
        assert url.raw_path.decode() == read.target


def host_header(url: EndpointUrl) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.port == PORTS[url.scheme] else f"{host}:{url.port}"

"""Getting bytes over HTTP: fast, patient with what passes, and only from where the configuration says.

    client = open_client(FetchPolicy().naming("https://tiles.example.com/{z}/{x}/{y}.jpg"))
    fetched = client.get(url, deadline=time.monotonic() + 5, max_bytes=2**20)

``client`` is the front door, ``policy`` says from where and how, ``tile`` makes a map tile of what came. One thread
(``loop``) owns every connection; ``request`` is one get with its tries and redirects, ``breaker`` knows which hosts are
down. ``urls`` and ``addresses`` are the guard: the first reads what is written, the second what is connected to.
"""

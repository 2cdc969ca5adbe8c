# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/parley

# The pins change less often than the source, so their layers are kept between builds.
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN /opt/parley/bin/pip install --require-hashes -r requirements/runtime.txt \
 && pip install --require-hashes -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY src src
RUN pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
 && /opt/parley/bin/pip install --no-deps dist/*.whl


FROM python:3.13-slim

ENV PATH=/opt/parley/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PARLEY_ENV=production \
    PARLEY_DATA_DIR=/var/lib/parley

RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/parley parley \
 && install -d -o parley -g parley -m 0700 /var/lib/parley
COPY --from=build /opt/parley /opt/parley

USER parley
WORKDIR /var/lib/parley
VOLUME /var/lib/parley
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
CMD ["parley", "serve", "--host", "0.0.0.0"]

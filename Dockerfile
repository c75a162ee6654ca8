# The gateway in a container: non-root, no build tools, read-only root file system.
#
#   docker run --read-only --volume govgate:/var/lib/govgate --publish 127.0.0.1:8080:8080 govgate:0.1.0
#
# Everything it writes is in /var/lib/govgate: the embedded database and the keyring. Back up
# both, apart from each other: without the keyring, what is recorded cannot be read.

# A release pins the digest as well: --build-arg BASE=python:3.11.14-slim-bookworm@sha256:…
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src

# What changes least comes first, so that its layer is kept. Wheels only: nothing that is
# installed runs code of its own here.
COPY requirements/server.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/govgate \
    && python -m pip --python /opt/govgate/bin/python install \
        --require-hashes --only-binary :all: -r requirements/server.txt \
    && python -m pip install --require-hashes --only-binary :all: -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY requirements/server.in requirements/
COPY policies policies
COPY gateway gateway
RUN python -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m pip --python /opt/govgate/bin/python install --no-index --no-deps /wheels/*.whl

FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && python -m pip uninstall --yes --quiet pip setuptools wheel \
    && groupadd --system --gid 10001 govgate \
    && useradd --system --uid 10001 --gid govgate --home-dir /var/lib/govgate \
        --shell /usr/sbin/nologin govgate \
    && install --directory --owner govgate --group govgate --mode 0700 /var/lib/govgate

COPY --from=build /opt/govgate /opt/govgate

ENV PATH=/opt/govgate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GOVGATE_DATA_DIR=/var/lib/govgate \
    GOVGATE_SERVER__HOST=0.0.0.0 \
    GOVGATE_SERVER__PORT=8080

USER 10001:10001
WORKDIR /var/lib/govgate
VOLUME /var/lib/govgate
EXPOSE 8080
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
caller = http.client.HTTPConnection('127.0.0.1', int(os.environ['GOVGATE_SERVER__PORT']), timeout=2); \
caller.request('GET', '/livez'); \
sys.exit(caller.getresponse().status != 200)"]

ENTRYPOINT ["govgate"]
CMD ["serve"]

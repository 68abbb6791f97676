# The one image: gateway, workers, and what runs beside a user's container (`python -m workers.pod...`).
#     docker build -t oscar-gateway .
# Packages come from the lock file, checked by their hashes. Without an index: put their wheels into build/wheels and
# say --build-arg PIP_NO_INDEX=1. What every call runs through is compiled on the way, which takes a C compiler from Debian;
# without it (--build-arg COMPILE=0) the same code runs, and calls cost half as much again.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
ARG PIP_NO_INDEX
COPY requirements.lock build/wheel[s] /wheels/
RUN python3 -m venv /opt/oscar-gateway \
    && /opt/oscar-gateway/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --find-links /wheels -r /wheels/requirements.lock \
    && /opt/oscar-gateway/bin/python -m pip uninstall --yes pip setuptools

FROM ${BASE_IMAGE} AS code
ARG COMPILE=1
COPY gateway /app/gateway
COPY workers /app/workers
COPY pyproject.toml requirements-compile.lock /compile/
COPY scripts/compile /compile/scripts/compile
RUN if [ "$COMPILE" = 1 ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends gcc libc6-dev \
        && python3 -m venv /venv \
        && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
            -r /compile/requirements-compile.lock \
        && cp -r /app/gateway /app/workers /compile \
        && cd /compile && /venv/bin/python scripts/compile /compiled \
        && cp -r /compiled/gateway /compiled/*.so /app; \
    fi
# Trusted as they are: a pod starts sooner when no source is looked at.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE_IMAGE}
COPY --from=packages /opt/oscar-gateway /opt/oscar-gateway
ENV PATH=/opt/oscar-gateway/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/oscar-gateway/app \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    HTTP_HOST=0.0.0.0 \
    LOG_FORMAT=json
# By name too: some runtimes take the group from there alone.
RUN echo "oscar:x:65532:65532::/data:/usr/sbin/nologin" >>/etc/passwd && echo "oscar:x:65532:" >>/etc/group \
    && mkdir -m 0700 /data && chown 65532:65532 /data
WORKDIR /data
# The last layer, since it changes most: scripts/cluster/code_layer.py replaces it alone.
COPY --from=code /app /opt/oscar-gateway/app
USER 65532:65532
VOLUME /data
EXPOSE 8080
CMD ["python", "-m", "gateway"]

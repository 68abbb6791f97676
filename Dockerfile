# The one image: gateway, workers, and what runs beside a user's container (`python -m workers.pod...`).
#     docker build -t oscar-gateway .
# Packages come from the lock file, checked by their hashes. Without an index: put their wheels into build/wheels and
# say --build-arg PIP_NO_INDEX=1.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
ARG PIP_NO_INDEX
COPY requirements.lock build/wheel[s] /wheels/
RUN python3 -m venv /opt/oscar-gateway \
    && /opt/oscar-gateway/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --find-links /wheels -r /wheels/requirements.lock \
    && /opt/oscar-gateway/bin/python -m pip uninstall --yes pip setuptools

FROM ${BASE_IMAGE} AS code
COPY gateway /app/gateway
COPY workers /app/workers
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

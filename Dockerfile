# One image for every service; which one a container is, its command says: `api`, `worker shipping`, `monitor`, …
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements/build.txt requirements/image.txt requirements/
# Two environments, so that what builds our package stays out of the image: pip, hatchling and what they need.
RUN python -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt \
    && python -m venv --without-pip /opt/orderflow \
    && /tools/bin/pip --python /opt/orderflow/bin/python install --no-cache-dir --no-compile \
       --require-hashes --only-binary :all: -r requirements/image.txt
COPY pyproject.toml README.md ./
COPY src src
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --no-cache-dir --wheel-dir /wheels . \
    && /tools/bin/pip --python /opt/orderflow/bin/python install --no-deps --no-index --no-compile /wheels/*.whl \
    # Compiled here: a container can't write beside its code.
    && /opt/orderflow/bin/python -m compileall -q -j 0 /opt/orderflow/lib

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 orderflow \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/orderflow --shell /usr/sbin/nologin orderflow \
    # A new volume takes over the owner of the folder that it covers.
    && install --directory --owner orderflow --group orderflow /var/lib/orderflow /var/lib/orderflow/logs \
    # Alertmanager's and Prometheus', for the jobs that write their configuration.
    && install --directory --owner 65534 --group 65534 /etc/alertmanager /etc/prometheus
COPY --from=build /opt/orderflow /opt/orderflow
# Every service answers on the same port of its own container, which is a network of its own: whom to let in is said
# where it is deployed (ORDERFLOW_API_KEYS, ORDERFLOW_TRUSTED_NETWORK).
ENV PATH=/opt/orderflow/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORDERFLOW_DATA_DIR=/var/lib/orderflow \
    ORDERFLOW_API_HOST=0.0.0.0 \
    ORDERFLOW_API_PORT=8080 \
    ORDERFLOW_HEALTH_HOST=0.0.0.0 \
    ORDERFLOW_HEALTH_PORT=8080
WORKDIR /var/lib/orderflow
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["orderflow"]
CMD ["--help"]

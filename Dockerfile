# The server: docker build -t digitlens . && docker run --rm -p 127.0.0.1:8000:8000 digitlens
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --constraint constraints.txt --wheel-dir /wheels '.[serve,photo]'

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 digitlens
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'digitlens[serve,photo]'
USER digitlens
WORKDIR /home/digitlens
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["digitlens"]
CMD ["serve", "--host", "0.0.0.0"]

# Two images of the suite: `docker build --target cpu .` and `docker build --target gpu .`; see docs/install.md.
FROM python:3.12-slim AS base
RUN useradd --create-home --uid 1000 suite && mkdir /work && chown suite /work
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

FROM base AS gpu
RUN pip install -c constraints.txt '.[study]'
USER suite
WORKDIR /work
CMD ["reparam-fit", "--help"]

FROM base AS cpu
RUN pip install -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu '.[study]'
USER suite
WORKDIR /work
CMD ["reparam-fit", "--help"]

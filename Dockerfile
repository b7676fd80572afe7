# The one image: ECS Fargate, kind and `docker run` start it alike.
#
#   docker build -t plusone --build-arg VERSION=1.0.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#   docker run --rm --read-only plusone serve        # or: migrate
#
# The base is pinned to Node's major version and Debian's release, so that security fixes arrive with the next build;
# SECURITY.md says how to pin it to the byte. It stands in a line of its own, where Dependabot can read it: an ARG it can't
# (https://github.com/dependabot/dependabot-core/issues/2057).
FROM node:24-bookworm-slim AS base

FROM base AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Types, source maps, manuals, tests, and builds for browsers are more than half of what packages bring, and nothing reads them at run time.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
    && find node_modules -type f \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' -o -name '*.md' \) -delete \
    && find node_modules -type d \( -name test -o -name tests -o -name benchmarks -o -name dist-es \
        -o -path '*/dist/esm' -o -path '*/dist/umd' -o -path '*/dist/iife' \) -prune -exec rm -r {} + \
    && npm sbom --package-lock-only --sbom-format cyclonedx --omit dev > plusone.cdx.json

FROM base
# The service installs nothing: without a package manager there is less to patch and less to misuse.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
    /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-*
WORKDIR /app
# A small nursery for new objects: the service lives well with it and takes some 50 MB less under load.
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-semi-space-size=8 \
    NODE_COMPILE_CACHE=/app/compile-cache
RUN install -d -o 1000 -g 1000 compile-cache
COPY --from=dependencies /app/node_modules node_modules
COPY --from=dependencies /app/plusone.cdx.json ./
COPY package.json ./
COPY src src

# The user "node" of the base image, as a number: Kubernetes can only then see that it is not root.
USER 1000:1000
# Types are stripped and code is compiled once, here, instead of at every start; a run that ends for want of a region
# has loaded everything, the AWS SDK included. The cache belongs to this user and this version of Node.
RUN SECRETS_PATH=/none node src/main.ts serve 2>/dev/null; test -n "$(ls compile-cache)"
EXPOSE 5000 9464
# ECS and Kubernetes take the same from copilot/plusone/manifest.yml; this one is for `docker run`. The base has no curl,
# and starting Node takes some fifty times the processor time of bash.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["timeout", "4", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${PORT:-5000} && printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [[ $status == 200 ]]"]
# No init process: node is process 1 itself, src/main.ts handles SIGTERM and SIGINT, and nothing here starts children
# whose remains would have to be collected.
ENTRYPOINT ["node", "src/main.ts"]
CMD ["serve"]

# Last, so that a new commit alone rebuilds no layer.
ARG VERSION=unknown
ARG REVISION=unknown
ENV REVISION=${REVISION}
LABEL org.opencontainers.image.title="plusone" \
    org.opencontainers.image.description="A birthday API on Restify, Objection and MySQL" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

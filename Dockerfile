# A static binary in an empty image: nothing to patch but the bridge itself.
#   docker build --build-arg VERSION=1.0.0 -t einvoice-bridge .
#   docker run -v ./bridge.yaml:/etc/einvoice-bridge/bridge.yaml:ro -v journal:/var/lib/einvoice-bridge -p 8080:8080 einvoice-bridge
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/einvoice-bridge ./cmd/einvoice-bridge \
 && mkdir -p /out/journal

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/einvoice-bridge /einvoice-bridge
# The journal's folder belongs to the user that the bridge runs as; mount a local disk here, never NFS. The configuration
# names it whole, sqlite:/var/lib/einvoice-bridge/bridge.db: a bare name counts from the configuration's own folder.
COPY --from=build --chown=65532:65532 /out/journal /var/lib/einvoice-bridge
WORKDIR /var/lib/einvoice-bridge
USER 65532:65532
EXPOSE 8080 9090
# The console must listen on 127.0.0.1:9090 or 0.0.0.0:9090 for this.
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/einvoice-bridge", "health"]
ENTRYPOINT ["/einvoice-bridge"]
CMD ["serve", "-c", "/etc/einvoice-bridge/bridge.yaml"]

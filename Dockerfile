# Builds the static binary and puts it alone into an image.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/toastmaster ./cmd/toastmaster \
 && mkdir -p /out/data /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/toastmaster /usr/local/bin/toastmaster
COPY --from=build --chown=10025:10025 /out/data /data
# For the database's temporary files.
COPY --from=build --chown=10025:10025 /out/tmp /tmp
USER 10025:10025
VOLUME /data
ENV TOASTMASTER_CONFIG=/data/toastmaster.toml
ENTRYPOINT ["/usr/local/bin/toastmaster"]
CMD ["serve"]

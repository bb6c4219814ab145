#!/bin/sh
# Grafana wants what it is provisioned with in folders of their own.
set -eu
mkdir -p /tmp/provisioning/datasources /tmp/provisioning/dashboards
cp /etc/gpubox/datasources.yaml /tmp/provisioning/datasources/
cp /etc/gpubox/dashboards.yaml /tmp/provisioning/dashboards/
exec /run.sh

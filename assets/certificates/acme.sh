# Gets or renews the certificate by ACME and gives it to the edge: sh /etc/gpubox/renew.sh [--force-renewal]
# Does nothing while the certificate is not due, which certbot decides. Exit 1: certbot says why, and what was there stays.
set -eu
umask 027
CERTIFICATE=/var/lib/certificates/tls.pem
NEW=/var/lib/certificates/.tls.pem.new

exec 9>/tmp/lock
flock 9
[ ! -f /etc/gpubox/trust.pem ] || export REQUESTS_CA_BUNDLE=/etc/gpubox/trust.pem
# On standard error, where whoever runs this looks for the reason of a failure.
certbot certonly --config /etc/gpubox/certbot.ini "$@" >&2
cat "/var/lib/acme/live/$GPUBOX_LINEAGE/fullchain.pem" "/var/lib/acme/live/$GPUBOX_LINEAGE/privkey.pem" >"$NEW"
if cmp -s "$NEW" "$CERTIFICATE"; then rm "$NEW"; else mv "$NEW" "$CERTIFICATE"; fi

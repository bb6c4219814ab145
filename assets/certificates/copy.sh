# Copies a certificate and its key from where somebody else renews them to where the edge may read them, as one file:
# sh /etc/gpubox/renew.sh. Does nothing when nothing changed. Exit 1: the two are no pair, and what was there stays.
#
# Runs as root without any capability, so it reads what root owns and nothing else. HAProxy itself is asked whether it takes
# the pair: a renewal writes one file after the other.
set -eu
umask 027
SAID=/tmp/said
CERTIFICATE=/var/lib/certificates/tls.pem
NEW=/var/lib/certificates/.tls.pem.new

# In the loop a message is said once, until it is another one.
refuse() {
  rm -f "$NEW"
  [ -n "${GPUBOX_LOOP:-}" ] && [ "$1" = "$(cat $SAID 2>/dev/null)" ] || echo "$1" >&2
  printf %s "$1" >$SAID
  exit 1
}

exec 9>/tmp/lock
flock 9
for file in "$GPUBOX_CERTIFICATE" "$GPUBOX_KEY"; do
  [ -r "$file" ] || refuse "${file#/host} cannot be read: it is not there, root does not own it, or it is a link to elsewhere."
done
{
  cat "$GPUBOX_CERTIFICATE"
  echo
  cat "$GPUBOX_KEY"
} >"$NEW"
if cmp -s "$NEW" "$CERTIFICATE"; then
  rm "$NEW"
  exit
fi
answer=$(haproxy -c -f /etc/gpubox/try.cfg 2>&1) ||
  refuse "The certificate and the key are not taken: $(printf '%s\n' "$answer" | sed -n "s/^.*ALERT.*section 'frontend' : //p" | head -n 1)"
mv "$NEW" "$CERTIFICATE"
rm -f $SAID
echo "copied ${GPUBOX_CERTIFICATE#/host} and its key for the edge"

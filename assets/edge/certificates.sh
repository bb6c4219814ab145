# Makes the edge take a renewed certificate, by a reload that loses no connection, and tells its end. Sourced by
# entrypoint.sh, which runs `watch_certificate` beside HAProxy, and by reload.sh. Whoever renews puts one whole file there, under its name at once.

CERTIFICATE=/var/lib/certificates/tls.pem

# Changes with the file's content and says nothing about the key in it; empty while there is none.
certificate_hash() {
  [[ ! -f $CERTIFICATE ]] || sha256sum "$CERTIFICATE" | cut -c1-64
}

# Tells the process that serves, and those after it, until when the certificate is good that it has loaded.
tell_expiry() {
  local file end
  file=$(ask "@1 show ssl cert" | awk '/^\// && !found { print; found = 1 }')
  [[ -n $file ]] || return 0
  end=$(date -d "$(ask "@1 show ssl cert $file" | sed -n 's/^notAfter: //p')" +%s) || return 1
  echo "expiry $end" >"$EXPIRY"
  ask "@1 clear map $EXPIRY" >/dev/null
  ask "@1 add map $EXPIRY $(<"$EXPIRY")" >/dev/null
}

# watch_certificate HASH: never ends. HASH: that of what HAProxy starts with. A file that HAProxy does not take changes
# nothing, is said once, and is tried again until it is another one.
watch_certificate() {
  local loaded=$1 now answer said=""
  # A look that fails must not be the last one.
  set +e
  while sleep 5; do
    now=$(certificate_hash)
    [[ $now != "$loaded" ]] || continue
    if answer=$(bash /etc/gpubox/reload.sh 2>&1); then
      loaded=$now said=""
      echo "took a new certificate"
    elif [[ $answer != "$said" ]]; then
      said=$answer
      echo "the new certificate is not taken, the one before serves on: $answer" >&2
    fi
  done
}

# Lets programs of Postgres log in with the password on standard input. Sourced; POSIX sh.
#
# It comes to them in a file that has no name any more: whoever may look into the container reads the environment of its processes,
# and a file with a name is left when a check or a backup is killed.
log_in_with() {
  file=$(mktemp) || return
  exec 3<>"$file"
  rm "$file"
  {
    printf '*:*:*:*:'
    sed 's/[\\:]/\\&/g'
  } >&3
  export PGPASSFILE=/dev/fd/3
}

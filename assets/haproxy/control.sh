# Talks to the HAProxy of this container through the master's socket. Sourced by the other scripts.
#
# A Unix socket on the container's own tmpfs, with perl as its client: bash cannot open one, and a TCP port on loopback
# would have no owner. perl-base is essential in Debian, so every image made from it has it.

MASTER=/tmp/master.sock

# ask COMMAND: prints the answer. Prefix a command with @1 for the worker that serves, @!PID for one that only finishes.
# A process that is just starting gets some time to open its socket.
ask() {
  perl -MIO::Socket::UNIX -e '
    $SIG{ALRM} = sub { die "HAProxy does not answer on its socket\n" };
    alarm 10;
    my $socket;
    select(undef, undef, undef, 0.1) until $socket = IO::Socket::UNIX->new($ARGV[0]);
    print {$socket} "$ARGV[1]\n";
    # The master keeps listening for more commands otherwise.
    $socket->shutdown(1);
    print while <$socket>;
  ' "$MASTER" "$1"
}

# Process ids: first of the worker that serves, then of those that only finish what they have.
workers() {
  ask "show proc" | awk '$2 == "worker" { print $1 }'
}

# serves [PATTERN]: whether a worker answers, and its process id begins like that.
serves() {
  ask "@1 show info" 2>/dev/null | grep "^Pid: ${1:-}" >/dev/null
}

# Only one script at a time changes a running HAProxy.
lock() {
  exec 9>/tmp/gpubox.lock
  flock -w 60 9 || fail "another switch or reload is still at work after 60 seconds"
}

fail() {
  echo "$1" >&2
  exit 1
}

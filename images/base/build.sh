#!/bin/sh
# Makes the image that every recipe starts from: Debian trixie, minimal. Needs root, debootstrap and a Docker engine.
# Run by `npm run images build`, which finds out the arguments; WORKDIR is a scratch directory.
#
#   build.sh REFERENCE WORKDIR CA_BUNDLE MIRROR SECURITY_MIRROR
#
# Debian packages are the newest of their release at build time and an image is built once per recipe, so a changed date
# in the next line is how a host gets new packages: it renames, and so replaces, every image that is built from it.
# Packages as of 2026-11-21.
set -eu
reference=$1 root=$2/root ca_bundle=$3 mirror=$4 security_mirror=$5

debootstrap --variant=minbase --include=ca-certificates trixie "$root" "$mirror"

# What the host trusts beyond Debian's own list, one certificate a file: on a network that inspects TLS, pip and the
# running gateway meet certificates that only the host's administrator vouches for. Elsewhere nothing is added.
one_a_line() { awk '/-BEGIN CERT/ { c = "" } { c = c $0 "|" } /-END CERT/ { print c }' "$1" | sort -u; }
one_a_line "$root/etc/ssl/certs/ca-certificates.crt" >"$2/stock"
one_a_line "$ca_bundle" >"$2/host"
added=0
comm -13 "$2/stock" "$2/host" >"$2/added"
while IFS= read -r certificate; do
  added=$((added + 1))
  printf '%s' "$certificate" | tr '|' '\n' >"$root/usr/local/share/ca-certificates/host-$added.crt"
done <"$2/added"
echo "Certificates taken over from the host: $added"
chroot "$root" update-ca-certificates

cat >"$root/etc/apt/sources.list" <<SOURCES
deb $mirror trixie main
deb $mirror trixie-updates main
deb $security_mirror trixie-security main
SOURCES
# A package must not start its daemon while it is installed.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/dpkg/dpkg.cfg.d/no-docs" <<'EXCLUDES'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
EXCLUDES
cat >"$root/etc/apt/apt.conf.d/no-cache" <<'CACHE'
APT::Keep-Downloaded-Packages "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
CACHE
chroot "$root" apt-get update
DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get upgrade -y

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/usr/share/man/* \
  "$root"/usr/share/info/* "$root"/usr/share/locale/*
find "$root/usr/share/doc" -type f ! -name copyright -delete
: >"$root/etc/hostname"
: >"$root/etc/resolv.conf"
tar --one-file-system --numeric-owner -C "$root" --exclude='./dev/*' -cf "$2/root.tar" .
docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV LANG=C.UTF-8' "$2/root.tar" "$reference"

# What the scripts of the gate share. Read by them, not run.

stage() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }
skip() { printf 'SKIPPED: %s\n' "$1"; [ "${CI:-}" != true ] || { echo 'with CI=true it must run' >&2; exit 1; }; }

# Installs those of the packages that are missing; fails where it may not.
install() {
  local package missing=()
  for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

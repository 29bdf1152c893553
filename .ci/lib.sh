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

# Does something beside what follows, with what that leaves of the machine. What it says is kept until `joined`.
declare -A BESIDE
beside() { # name, command
  mkdir -p target
  (renice -n 19 -p "$BASHPID" >/dev/null; "${@:2}") >"target/$1.log" 2>&1 &
  BESIDE[$1]=$!
}
joined() { # name
  local code=0
  wait "${BESIDE[$1]}" || code=$?
  cat "target/$1.log"
  return "$code"
}

# Wine 8 has no bcryptprimitives.dll, which other Windows targets load.
WINDOWS=x86_64-win7-windows-gnu

# Debian's compiler, with the standard library built along: like every one that is shipped without debug assertions. Wine
# packs the addresses of a name at odd places, as no Windows does, and those would end the program.
debian_cargo() {
  RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target/other CARGO_BUILD_WARNINGS=deny \
    CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false \
    /usr/bin/cargo "$1" --locked -Zwarnings -Zbuild-std=std --config profile.dev.overflow-checks=true \
    --config profile.dev.package.mio.debug-assertions=true --config profile.dev.package.mio-echo.debug-assertions=true \
    "${@:2}"
}

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

# Does something beside what follows, with what that leaves of the machine, and not for longer. What it says is kept until
# `joined`.
declare -A BESIDE
trap 'for leader in "${BESIDE[@]}"; do kill -- "-$leader" 2>/dev/null || true; done' EXIT
beside() { # name, command
  mkdir -p target
  # A process group of its own, to end all of it.
  set -m
  (renice -n 19 -p "$BASHPID" >/dev/null; "${@:2}") </dev/null >"target/$1.log" 2>&1 &
  set +m
  BESIDE[$1]=$!
}
joined() { # name
  local code=0
  wait "${BESIDE[$1]}" || code=$?
  unset "BESIDE[$1]"
  cat "target/$1.log"
  return "$code"
}

sum_of_failed() { sed -n 's/^test result: .* \([0-9]*\) failed;.*/\1/p' "$1" | awk '{ sum += $1 } END { print sum + 0 }'; }

# Runs tests, and those that failed once more, one after the other. Twice is a failure; `failed` names them.
twice() { # command, what it is to run the first time
  local log=target/tests.log
  failed=()
  "$@" 2>&1 | tee "$log" && return
  mapfile -t failed < <(sed -n 's/^test \(\S*\) .*FAILED\r\?$/\1/p' "$log")
  # A program that did not come to its end, or a failure whose line is not there, has no second chance.
  [ "$(grep -c '^ *Running ' "$log")" = "$(grep -c '^test result: ' "$log")" ] || return 1
  [ ${#failed[@]} -gt 0 ] && [ ${#failed[@]} = "$(sum_of_failed "$log")" ] || return 1
  echo "RUN AGAIN, one after the other: ${failed[*]}"
  "$1" --test-threads=1 --exact "${failed[@]}"
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

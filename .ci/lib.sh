# Functions for the scripts of .ci. Source this file; do not run it.

stage() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }
skip() { printf 'SKIPPED: %s\n' "$1"; [ "${CI:-}" != true ] || { echo 'CI=true does not allow this' >&2; exit 1; }; }

# Installs the missing packages. Fails without root or apt-get.
install() {
  local package missing=()
  for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Waits at most some seconds for the success of a command.
wait_until() { # seconds, command
  local tenths
  for ((tenths = 0; tenths < 10 * $1; tenths++)); do "${@:2}" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "waited $1 s in vain: ${*:2}" >&2
  return 1
}

# Starts a command in the background with the lowest priority. Its output is kept until `join_background`. The command is
# killed when the script ends.
declare -A BACKGROUND
trap 'for leader in "${BACKGROUND[@]}"; do kill -- "-$leader" 2>/dev/null || true; done' EXIT
start_background() { # name, command
  mkdir -p target
  # A process group of its own, so that the trap can kill every process of the command.
  set -m
  (renice -n 19 -p "$BASHPID" >/dev/null; "${@:2}") </dev/null >"target/$1.log" 2>&1 &
  set +m
  BACKGROUND[$1]=$!
}

# Waits for a command in the background, prints its output and returns its exit code.
join_background() { # name
  local code=0
  wait "${BACKGROUND[$1]}" || code=$?
  unset "BACKGROUND[$1]"
  cat "target/$1.log"
  return "$code"
}

sum_of_failed() { sed -n 's/^test result: .* \([0-9]*\) failed;.*/\1/p' "$1" | awk '{ sum += $1 } END { print sum + 0 }'; }

# Runs tests, and runs the tests that failed a second time, one after the other. Fails if a test fails twice. `failed` has
# the names of the tests that failed the first time.
with_second_chance() { # command, its arguments for the first run
  local log=target/tests.log
  failed=()
  "$@" 2>&1 | tee "$log" && return
  mapfile -t failed < <(sed -n 's/^test \(\S*\) .*FAILED\r\?$/\1/p' "$log")
  # There is no second chance if a test program did not finish, or if the name of a failed test was not printed.
  [ "$(grep -c '^ *Running ' "$log")" = "$(grep -c '^test result: ' "$log")" ] || return 1
  [ ${#failed[@]} -gt 0 ] && [ ${#failed[@]} = "$(sum_of_failed "$log")" ] || return 1
  echo "RUN AGAIN, one after the other: ${failed[*]}"
  "$1" --test-threads=1 --exact "${failed[@]}"
}

# Wine 8 has no bcryptprimitives.dll, which other Windows targets load.
WINDOWS=x86_64-win7-windows-gnu

# Runs Debian's cargo and builds the standard library, too. The standard library is built without debug assertions, like
# every released one: Wine returns unaligned addresses of a name, which Windows does not, and the assertions would abort.
debian_cargo() {
  RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target/other CARGO_BUILD_WARNINGS=deny \
    CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false \
    /usr/bin/cargo "$1" --locked -Zwarnings -Zbuild-std=std --config profile.dev.overflow-checks=true \
    --config profile.dev.package.mio.debug-assertions=true --config profile.dev.package.mio-echo.debug-assertions=true \
    "${@:2}"
}

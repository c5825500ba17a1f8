#!/bin/bash
# Builds the program with each of the bugs of Cargo.toml (`mutant-…`), and shows that the tests find it.
set -euo pipefail
cd "$(dirname "$0")/.."

# Else a program with a bug would lie where the good one is looked for.
trap 'cargo build --locked; rm -f "$said"' EXIT
said=$(mktemp)

mutants=$(sed -n 's/^\(mutant-[a-z-]*\) = .*/\1/p' Cargo.toml)
[ -n "$mutants" ] || { echo 'Cargo.toml has no mutants' >&2; exit 1; }

planted=$(grep -c '^#\[tokio::test' tests/integration/chaos/planted.rs)
[ "$planted" -ge "$(wc -w <<< "$mutants")" ] || { echo 'there are more mutants than tests for them' >&2; exit 1; }

# Each of these tests fails unless it finds its bug exactly where it is planted: so all of them have to run, and to pass.
for mutant in $mutants; do
  echo "== $mutant"
  grep -q "feature = \"$mutant\"" tests/integration/chaos/planted.rs || { echo "no test looks for $mutant" >&2; exit 1; }
  cargo test --locked --features "$mutant" --test integration -- chaos::planted | tee "$said"
  grep -q "^test result: ok\. $planted passed; 0 failed; 0 ignored;" "$said" ||
    { echo "not all of the $planted tests for planted bugs ran" >&2; exit 1; }
done
